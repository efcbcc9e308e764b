"""Datasets in every form that is read, made on the spot; nothing here needs a network."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import datasets
import pytest
from PIL import Image

from kit.corpora.huggingface import from_dataset
from kit.data.pairs import Corpus


@pytest.fixture(autouse=True)
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()


def picture(index: int) -> Image.Image:
    return Image.new("RGB", (4, 4), (20 * index, 0, 0))


def stored(index: int) -> bytes:
    file = io.BytesIO()
    picture(index).save(file, "png")
    return file.getvalue()


def rows(start: int, stop: int, **columns: list[object]) -> datasets.Dataset:
    indices = range(start, stop)
    table = {
        "image": [picture(index) for index in indices],
        "captions": [[f"row {index}", f"again {index}"] for index in indices],
        "first": [f"one {index}" for index in indices],
        "second": [f"two {index}" for index in indices],
        "part": [["train", "val", "test"][index % 3] for index in indices],
    }
    return datasets.Dataset.from_dict({**table, **columns})


def named_splits() -> datasets.DatasetDict:
    return datasets.DatasetDict(train=rows(0, 3), validation=rows(3, 5), test=rows(5, 6))


def numbers(corpus: Corpus) -> list[list[int]]:
    """The rows of each split, told from the pictures."""
    return [
        [split.open_image(i).getpixel((0, 0))[0] // 20 for i in range(len(split.image_names))]
        for split in corpus.splits
    ]


def test_named_splits_with_a_list_of_captions() -> None:
    corpus = from_dataset(named_splits(), captions="captions")
    assert numbers(corpus) == [[0, 1, 2], [3, 4], [5]]
    assert list(corpus.validation.captions) == ["row 3", "again 3", "row 4", "again 4"]
    assert list(corpus.validation.caption_images) == [0, 0, 1, 1]
    labels = [label for split in corpus.splits for label in split.image_labels]
    assert len(set(labels)) == 6
    assert corpus.notes == (
        "train: 3 images and 6 captions",
        "validation: 2 images and 4 captions",
        "test: 1 images and 2 captions",
    )


@pytest.mark.parametrize("spelling", ["val", "valid", "dev"])
def test_the_validation_split_has_several_names(spelling: str) -> None:
    parts = named_splits()
    parts[spelling] = parts.pop("validation")
    assert numbers(from_dataset(parts, captions="captions")) == [[0, 1, 2], [3, 4], [5]]


def test_captions_in_several_columns_and_in_one() -> None:
    corpus = from_dataset(named_splits(), captions=["first", "second"])
    assert list(corpus.test.captions) == ["one 5", "two 5"]
    assert list(from_dataset(named_splits(), captions="second").test.captions) == ["two 5"]


def test_a_split_column_and_words_that_name_no_split() -> None:
    table = rows(0, 7, part=["train", "test", "val", "train", "restval", "dev", "restval"])
    corpus = from_dataset(table, captions="captions", split_column="part")
    assert numbers(corpus) == [[0, 3], [2, 5], [1]]
    assert corpus.notes[0] == "2 rows of the split 'restval' are not used"


def test_a_split_column_goes_before_the_names_of_the_parts() -> None:
    parts = datasets.DatasetDict(test=rows(0, 3), more=rows(3, 6))
    corpus = from_dataset(parts, captions="captions", split_column="part")
    assert numbers(corpus) == [[0, 3], [1, 4], [2, 5]]


def test_shares_are_drawn_by_seed_and_use_every_row_once() -> None:
    table = rows(0, 10)
    first = numbers(from_dataset(table, captions="captions", shares=(0.6, 0.3, 0.1), seed=1))
    again = numbers(from_dataset(table, captions="captions", shares=(0.6, 0.3, 0.1), seed=1))
    other = numbers(from_dataset(table, captions="captions", shares=(0.6, 0.3, 0.1), seed=2))
    assert [len(part) for part in first] == [6, 3, 1]
    assert sorted(row for part in first for row in part) == list(range(10))
    assert first == again != other


def test_saved_folders_and_parquet_files(tmp_path: Path) -> None:
    named_splits().save_to_disk(str(tmp_path / "saved"))
    assert numbers(from_dataset(tmp_path / "saved", captions="captions"))[1] == [3, 4]
    rows(0, 6).save_to_disk(str(tmp_path / "one"))
    whole = from_dataset(str(tmp_path / "one"), captions="captions", split_column="part")
    assert numbers(whole) == [[0, 3], [1, 4], [2, 5]]
    rows(0, 3).to_parquet(str(tmp_path / "a.parquet"))
    rows(3, 6).to_parquet(str(tmp_path / "b.parquet"))
    files = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    corpus = from_dataset(files, captions="captions", split_column="part")
    assert numbers(corpus) == [[0, 3], [1, 4], [2, 5]]
    assert corpus.fingerprint() == whole.fingerprint()
    single = from_dataset(tmp_path / "a.parquet", captions="captions", split_column="part")
    assert numbers(single) == [[0], [1], [2]]


def test_pictures_as_bytes_and_as_paths(tmp_path: Path) -> None:
    paths = []
    for index in range(3):
        paths.append(str(tmp_path / f"{index}.png"))
        picture(index).save(paths[-1])
    for images in (paths, [stored(index) for index in range(3)]):
        table = rows(0, 3, image=images)
        corpus = from_dataset(table, captions="captions", split_column="part")
        assert numbers(corpus) == [[0], [1], [2]]


def test_grey_pictures_become_rgb_and_the_opener_travels_to_workers() -> None:
    table = rows(0, 3, image=[picture(index).convert("L") for index in range(3)])
    corpus = from_dataset(table, captions="captions", split_column="part")
    opener = pickle.loads(pickle.dumps(corpus.test.open_image))
    assert opener(0).mode == "RGB"
    assert opener(0).size == (4, 4)


def test_missing_columns_are_named_with_those_that_exist() -> None:
    with pytest.raises(
        ValueError,
        match="train: expected the columns picture, text, missing picture, text; "
        "there are image, captions, first, second, part",
    ):
        from_dataset(named_splits(), image="picture", captions="text")
    with pytest.raises(ValueError, match="missing fold; there are image"):
        from_dataset(rows(0, 3), captions="captions", split_column="fold")


@pytest.mark.parametrize("empty", [[], None, ["good", " "], ["good", None]])
def test_empty_captions_are_counted_and_named(empty: object) -> None:
    table = rows(0, 6, captions=[["good"], ["good"], ["good"], empty, ["good"], ["good"]])
    with pytest.raises(
        ValueError,
        match=r"expected a picture and captions in every row, 1 of 6 rows are bad: "
        r"row 3: (no caption|caption \d is empty or no text)\. skip_bad=True",
    ):
        from_dataset(table, captions="captions", split_column="part")
    corpus = from_dataset(table, captions="captions", split_column="part", skip_bad=True)
    assert numbers(corpus) == [[0], [1, 4], [2, 5]]
    assert corpus.notes[0].startswith("left out, row 3: ")


def test_captions_that_are_no_text_are_named() -> None:
    table = rows(0, 3, first=[1, 2, 3])
    with pytest.raises(ValueError, match="3 of 3 rows are bad: row 0: caption 0 is empty or no te"):
        from_dataset(table, captions=["first", "second"], split_column="part")


@pytest.mark.parametrize("broken", [b"no picture", stored(1)[:40], None])
def test_undecodable_images_are_counted_and_named(broken: bytes | None) -> None:
    images = [stored(index) for index in range(6)]
    table = rows(0, 6, image=[*images[:4], broken, images[5]])
    with pytest.raises(ValueError, match=r"1 of 6 rows are bad: row 4: undecodable image \("):
        from_dataset(table, captions="captions", split_column="part")
    corpus = from_dataset(table, captions="captions", split_column="part", skip_bad=True)
    assert numbers(corpus) == [[0, 3], [1], [2, 5]]
    assert corpus.notes[0].startswith("left out, row 4: undecodable image (")
    assert " at 0x" not in corpus.notes[0]


def test_a_picture_that_goes_missing_later_is_named(tmp_path: Path) -> None:
    paths = [str(tmp_path / f"{index}.png") for index in range(3)]
    for index, path in enumerate(paths):
        picture(index).save(path)
    corpus = from_dataset(rows(0, 3, image=paths), captions="captions", split_column="part")
    Path(paths[2]).unlink()
    with pytest.raises(
        ValueError, match=r"picture 0, column 'image': expected a picture, .*2\.png"
    ):
        corpus.test.open_image(0)


def content(images: list[object]) -> list[str]:
    table = rows(0, len(images), image=images)
    corpus = from_dataset(table, captions="captions", split_column="part")
    return [split.content_hash() for split in corpus.splits]


def test_content_is_told_from_stored_bytes_and_from_files_without_opening_a_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [str(tmp_path / f"{index}.png") for index in range(6)]
    for index, path in enumerate(paths):
        picture(index).save(path)
    images = [stored(index) for index in range(6)]
    first, as_files = content([*images]), content([*paths])
    assert len({*first, *as_files}) == 6
    assert content([*images]) == first
    assert content([*paths]) == as_files
    other = content([*images[:4], stored(7), images[5]])
    assert [a == b for a, b in zip(first, other, strict=True)] == [True, False, True]
    picture(8).save(paths[0])
    changed = content([*paths])
    assert changed[0] != as_files[0]
    assert changed[1:] == as_files[1:]
    table = rows(0, 6, image=[*images])
    corpus = from_dataset(table, captions="captions", split_column="part")
    monkeypatch.delattr("PIL.Image.open")
    assert [split.content_hash() for split in corpus.splits] == first


def test_a_column_that_cannot_hold_pictures_is_named() -> None:
    table = rows(0, 3, image=[1, 2, 3])
    with pytest.raises(ValueError, match="column 'image' must hold pictures, their bytes or paths"):
        from_dataset(table, captions="captions", split_column="part")


def test_splits_that_are_not_there_are_named() -> None:
    parts = datasets.DatasetDict(train=rows(0, 3), test=rows(3, 4))
    with pytest.raises(
        ValueError,
        match=r"'validation': expected rows called validation or val or valid or dev, got "
        r"train \(3 rows\), test \(1 rows\); known are train, validation, val, valid, dev, test; ",
    ):
        from_dataset(parts, captions="captions")
    with pytest.raises(
        ValueError,
        match=r"expected rows called train, got all \(3 rows\); known are train, .*; name a",
    ):
        from_dataset(rows(0, 3), captions="captions")


def test_an_empty_split_is_named() -> None:
    with pytest.raises(
        ValueError, match=r"split 'validation': expected rows .*, got train \(1 rows\);"
    ):
        from_dataset(rows(0, 1), captions="captions", split_column="part")


@pytest.mark.parametrize("shares", [(0.5, 0.5, 0.5), (1.0, 0.0, 0.0), (0.5, 0.5)])
def test_impossible_shares_are_refused(shares: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="shares must be three positive numbers that sum to 1"):
        from_dataset(rows(0, 3), captions="captions", shares=shares)


def test_two_ways_of_splitting_are_refused() -> None:
    with pytest.raises(ValueError, match="expected split_column or shares, got both"):
        from_dataset(rows(0, 3), captions="captions", split_column="part", shares=(0.8, 0.1, 0.1))


def test_sources_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for source in (tmp_path / "folder", tmp_path / "gone.parquet", "nobody/nothing"):
        with pytest.raises(ValueError, match=f"from_dataset: {source}: no dataset that can be re"):
            from_dataset(source, captions="captions")
