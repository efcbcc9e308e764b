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


# ---- one picture in several rows


def a_row_per_caption(pictures: int, each: int, **columns: list[object]) -> datasets.Dataset:
    """As captions.txt gives them: row i shows picture i // each."""
    shown = [row // each for row in range(pictures * each)]
    return datasets.Dataset.from_dict(
        {
            "image": [stored(one) for one in shown],
            "file": [f"{one}.png" for one in shown],
            "caption": [f"caption {row}" for row in range(len(shown))],
            "part": [["train", "val", "test"][one % 3] for one in shown],
            **columns,
        }
    )


def told(corpus: Corpus) -> dict[int, list[str]]:
    """What is said of each picture, over all splits; each is one image with a label of its own."""
    found = [
        (split.open_image(i).getpixel((0, 0))[0] // 20, split.captions_of(i), split.image_labels[i])
        for split in corpus.splits
        for i in range(len(split.image_names))
    ]
    assert len({picture for picture, _, _ in found}) == len(found)
    assert len({label for _, _, label in found}) == len(found)
    return {picture: captions for picture, captions, _ in found}


@pytest.mark.parametrize("identity", ["file", None])
@pytest.mark.parametrize("seed", range(4))
def test_rows_of_one_picture_are_drawn_together(identity: str | None, seed: int) -> None:
    table = a_row_per_caption(10, 3).shuffle(seed=seed)
    corpus = from_dataset(
        table, captions="caption", identity=identity, shares=(0.6, 0.2, 0.2), seed=seed
    )
    captions = {n: sorted(f"caption {row}" for row in range(3 * n, 3 * n + 3)) for n in range(10)}
    assert {picture: sorted(found) for picture, found in told(corpus).items()} == captions
    assert [len(split.image_names) for split in corpus.splits] == [6, 2, 2]
    assert corpus.notes[:2] == (
        "train: 18 rows of 6 pictures, captions put together",
        "train: 6 images and 18 captions",
    )


def test_rows_of_one_picture_within_a_split_are_one_image() -> None:
    corpus = from_dataset(a_row_per_caption(6, 2), captions="caption", split_column="part")
    assert told(corpus)[4] == ["caption 8", "caption 9"]
    assert numbers(corpus) == [[0, 3], [1, 4], [2, 5]]
    assert "test: 4 rows of 2 pictures, captions put together" in corpus.notes


def test_one_picture_from_bytes_and_from_files_is_the_same(tmp_path: Path) -> None:
    paths = []
    for index in range(3):
        paths += [str(tmp_path / f"{index}{copy}.png") for copy in "ab"]
        for path in paths[-2:]:
            Path(path).write_bytes(stored(index))
    table = a_row_per_caption(3, 2, image=[*paths])
    assert told(from_dataset(table, captions="caption", split_column="part"))[2] == [
        "caption 4",
        "caption 5",
    ]


def test_equal_pictures_in_two_splits_are_refused_by_name() -> None:
    parts = ["train", "test", "val", "train", "test", "test"]
    table = a_row_per_caption(3, 2, part=[*parts])
    with pytest.raises(
        ValueError,
        match=r"^from_dataset: 2 equal pictures are in two splits: 0 \(train\) and 1 \(test\), "
        r"3 \(train\) and 2 \(validation\)$",
    ):
        from_dataset(table, captions="caption", split_column="part")


def test_an_identity_in_two_splits_is_refused_though_its_pictures_differ() -> None:
    table = rows(0, 6, file=[f"{row // 2}.jpg" for row in range(6)])
    with pytest.raises(
        ValueError, match=r"^from_dataset: 3 values of column 'file' are in two splits: 0 \(train\)"
    ):
        from_dataset(table, captions="captions", identity="file", split_column="part")


def test_pictures_of_one_identity_are_one_instance_in_one_split() -> None:
    table = rows(0, 12, file=[row // 2 for row in range(12)])
    corpus = from_dataset(table, captions="captions", identity="file", shares=(0.5, 0.25, 0.25))
    for split, found in zip(corpus.splits, numbers(corpus), strict=True):
        assert found == sorted({*found, *(row ^ 1 for row in found)})
        assert list(split.image_labels) == [row - row % 2 for row in found]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["a", "b", None, "c", "d", "e"], "expected a name for each, 1 of 6 have none: rows 2$"),
        ([1.0, 2.0, float("nan"), 3.0, 4.0, 5.0], "1 of 6 have none: rows 2$"),
        (["a", "b", "a ", "c", "d", "e"], "must not look alike, got 'a' and 'a '$"),
    ],
)
def test_identities_that_are_none_or_look_alike_are_refused(
    values: list[object], message: str
) -> None:
    with pytest.raises(
        ValueError, match=rf"^from_dataset: column 'file': identities:? .*{message}"
    ):
        from_dataset(
            rows(0, 6, file=values), captions="captions", identity="file", split_column="part"
        )


def test_one_picture_under_two_identities_is_noted_in_a_split_and_refused_in_two() -> None:
    table = a_row_per_caption(6, 2, file=[f"{row}.png" for row in range(12)])
    corpus = from_dataset(table, captions="caption", identity="file", split_column="part")
    assert corpus.notes[0] == "one picture has several values of column 'file': 0.png, 1.png"
    assert [len(set(split.image_labels)) for split in corpus.splits] == [4, 4, 4]
    with pytest.raises(ValueError, match=r"^from_dataset: \d equal pictures are in two splits: \d"):
        from_dataset(table, captions="caption", identity="file", shares=(0.5, 0.25, 0.25), seed=1)


def test_equal_pictures_in_two_parts_are_refused() -> None:
    parts = datasets.DatasetDict(train=rows(0, 3), validation=rows(3, 5), test=rows(2, 4))
    with pytest.raises(
        ValueError, match=r"^from_dataset: 2 equal pictures are in two splits: 2 \(tr"
    ):
        from_dataset(parts, captions="captions")


def test_a_data_set_of_one_picture_is_noted() -> None:
    corpus = from_dataset(
        rows(0, 6, image=[stored(1)] * 6), captions="captions", split_column="part"
    )
    assert [len(split.image_names) for split in corpus.splits] == [2, 2, 2]
    assert corpus.notes[0] == "all rows have the same picture; each row stays an image of its own"


def test_shares_that_leave_a_split_empty_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"image or more for each split, got 2 images .* none for "
    ):
        from_dataset(a_row_per_caption(2, 5), captions="caption", shares=(0.8, 0.1, 0.1))


# ---- words, names and paths


@pytest.mark.parametrize(
    ("captions", "reason"),
    [
        ("['a dog runs', 'a red dog']", "a list kept as text: .*a red dog"),
        ("两个孩子在海边玩沙子。", "written without blanks between words; put them .*两个孩子"),
    ],
)
def test_captions_that_are_no_sentences_are_named_and_left_out(captions: str, reason: str) -> None:
    table = rows(0, 6, first=["a dog", captions, *["a dog"] * 4])
    with pytest.raises(ValueError, match=f"1 of 6 rows are bad: row 1: caption 0 is {reason}"):
        from_dataset(table, captions="first", split_column="part")
    corpus = from_dataset(table, captions="first", split_column="part", skip_bad=True)
    assert numbers(corpus) == [[0, 3], [4], [2, 5]]
    assert corpus.notes[0].startswith("left out, row 1: caption 0 is ")


def test_the_names_of_a_class_label_are_split_words() -> None:
    kind = datasets.ClassLabel(names=["train", "dev", "test", "other"])
    table = rows(0, 7, part=[0, 1, 2, 0, 1, 3, None]).cast_column("part", kind)
    corpus = from_dataset(table, captions="captions", split_column="part")
    assert numbers(corpus) == [[0, 3], [1, 4], [2]]
    assert corpus.notes[0] == "1 rows of the split 'other' are not used"


@pytest.mark.parametrize(
    ("parts", "found"),
    [
        (["Train", "Val", "Test"], r"Train \(2 rows\), Val \(2 rows\), Test \(2 rows\)"),
        ([0, 1, 2], r"0 \(2 rows\), 1 \(2 rows\), 2 \(2 rows\)"),
        (["train ", "val", "test"], r"train  \(2 rows\), val \(2 rows\), test \(2 rows\)"),
        ([None, None, None], r"None \(6 rows\)"),
    ],
)
def test_split_words_that_are_not_understood_are_listed(parts: list[object], found: str) -> None:
    with pytest.raises(
        ValueError,
        match=rf"^from_dataset: split 'train': expected rows called train, got {found}; known are "
        "train, validation, val, valid, dev, test; name a split_column, or draw the splits$",
    ):
        from_dataset(rows(0, 6, part=parts * 2), captions="captions", split_column="part")


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("0.png", r"no file at {here}/0\.png \(paths are relative to the current directory\)"),
        ("~/0.png", r"no file at {here}/home/0\.png \("),
        ("/nowhere/0.png", r"no file at /nowhere/0\.png \("),
        (".", r"cannot read {here} \(.*Is a directory"),
        (
            "https://example.org/0.png",
            r"a web address, which is not fetched: https://example\.org/0",
        ),
    ],
)
def test_paths_that_lead_nowhere_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, reason: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with pytest.raises(
        ValueError, match=f"3 of 3 rows are bad: row 0: {reason.format(here=tmp_path)}"
    ):
        from_dataset(rows(0, 3, image=[path] * 3), captions="captions", split_column="part")


def test_paths_may_begin_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for index in range(3):
        (tmp_path / f"{index}.png").write_bytes(stored(index))
    table = rows(0, 3, image=[f"~/{index}.png" for index in range(3)])
    table.to_parquet(str(tmp_path / "table.parquet"))
    corpus = from_dataset("~/table.parquet", captions="captions", split_column="part")
    assert numbers(corpus) == [[0], [1], [2]]
    assert len({split.content_hash() for split in corpus.splits}) == 3


@pytest.mark.parametrize("name", ["table.csv", "table.jsonl", "table.json", "table.arrow", "table"])
def test_files_of_other_kinds_are_named_with_what_is_read(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("image,caption\n0.png,a dog\n")
    with pytest.raises(
        ValueError,
        match=rf"{tmp_path}/{name}: no dataset that can be read: expected a parquet file, a folder "
        rf"of save_to_disk or a name on the hub, got {tmp_path}/{name}$",
    ):
        from_dataset(tmp_path / name, captions="captions")


@pytest.mark.parametrize("content", [b"", b"PAR1", b"caf\xe9", b"<!doctype html>"])
def test_damaged_parquet_files_are_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(ValueError, match=rf"^from_dataset: {tmp_path}/a\.parquet: no dataset that"):
        from_dataset(tmp_path / "a.parquet", captions="captions")


@pytest.mark.parametrize("source", [None, 3, "", [], [None], "a\0b.parquet", {"a": 1}])
def test_what_is_no_source_is_refused(source: object) -> None:
    with pytest.raises(
        ValueError, match=r"^from_dataset: .*: no dataset that can be read: expected "
    ):
        from_dataset(source, captions="captions")


@pytest.mark.parametrize("captions", [[], ()])
def test_no_column_of_captions_is_refused(captions: list[str]) -> None:
    with pytest.raises(
        ValueError, match=r"^from_dataset: expected a column of captions or several"
    ):
        from_dataset(named_splits(), captions=captions)


def test_a_seed_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^from_dataset: splits: seed must be a whole number"):
        from_dataset(rows(0, 9), captions="captions", shares=(0.6, 0.2, 0.2), seed=-1)


def test_pictures_of_any_kind_come_as_they_are_meant_to_be_seen() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    lying, clear, file = Image.new("RGB", (6, 4)), Image.new("RGBA", (1, 1)), io.BytesIO()
    lying.save(file, "jpeg", exif=exif)
    images = [file.getvalue()]
    for one in (clear, Image.new("I;16", (1, 1), 65535)):
        file = io.BytesIO()
        one.save(file, "png")
        images.append(file.getvalue())
    corpus = from_dataset(rows(0, 3, image=[*images]), captions="captions", split_column="part")
    shown = [split.open_image(0) for split in corpus.splits]
    assert shown[0].size == (4, 6)
    assert [one.getpixel((0, 0)) for one in shown[1:]] == [(255, 255, 255)] * 2


def test_a_bomb_is_left_out() -> None:
    bomb = io.BytesIO()
    Image.new("1", (20_000, 10_000)).save(bomb, "png")
    images = [stored(0), stored(1), stored(2), bomb.getvalue(), b"%!PS-Adobe-3.0 EPSF-3.0"]
    table = rows(0, 5, image=[*images])
    with pytest.raises(ValueError, match=r"row 3: undecodable image \(Image size .*, row 4: undec"):
        from_dataset(table, captions="captions", split_column="part")
    corpus = from_dataset(table, captions="captions", split_column="part", skip_bad=True)
    assert numbers(corpus) == [[0], [1], [2]]
