"""A corpus of six pictures in Flickr8K's own layout, and everything that can be wrong with it."""

from __future__ import annotations

import pickle
import random
from pathlib import Path

import pytest
from PIL import Image

from kit.corpora.flickr8k import STRAY_NAME, flickr8k

SPLITS = {
    "train": ["a.jpg", "b.jpg", "c.jpg"],
    "dev": ["d.jpg"],
    "test": ["e.jpg"],
}
IN_NO_SPLIT = "f.jpg"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pictures = tmp_path / "Flicker8k_Dataset"
    pictures.mkdir()
    names = [name for split in SPLITS.values() for name in split] + [IN_NO_SPLIT]
    lines = []
    for index, name in enumerate(names):
        Image.new("RGB", (20, 10), (40 * index, 0, 0)).save(pictures / name)
        lines += [f"{name}#{number}\tcaption {number} of {name} ." for number in range(5)]
    (tmp_path / "Flickr8k.token.txt").write_text("\n".join(lines) + "\n")
    for split, names in SPLITS.items():
        (tmp_path / f"Flickr_8k.{split}Images.txt").write_text("\n".join(names) + "\n")
    return tmp_path


def add_captions(folder: Path, text: str) -> None:
    with (folder / "Flickr8k.token.txt").open("a") as file:
        file.write(text)


def drop_captions(folder: Path, name: str) -> None:
    path = folder / "Flickr8k.token.txt"
    kept = [line for line in path.read_text().splitlines() if not line.startswith(name)]
    path.write_text("\n".join(kept) + "\n")


def test_splits_labels_and_captions(folder: Path) -> None:
    corpus = flickr8k(folder)
    assert corpus.counts == {
        "train": {"images": 3, "captions": 15},
        "validation": {"images": 1, "captions": 5},
        "test": {"images": 1, "captions": 5},
    }
    assert list(corpus.train.image_names) == SPLITS["train"]
    labels = [label for split in corpus.splits for label in split.image_labels]
    assert labels == [0, 1, 2, 3, 4]
    for split in corpus.splits:
        for caption, image in zip(split.captions, split.caption_images, strict=True):
            assert caption.endswith(f"of {split.image_names[image]} .")
    assert corpus.train.captions[:2] == ["caption 0 of a.jpg .", "caption 1 of a.jpg ."]


def test_captions_need_not_come_in_the_order_of_the_images(folder: Path) -> None:
    path = folder / "Flickr8k.token.txt"
    lines = path.read_text().splitlines()
    random.Random(0).shuffle(lines)
    path.write_text("\n".join(lines))
    for split in flickr8k(folder).splits:
        assert len(split.captions) == 5 * len(split.image_names)
        for caption, image in zip(split.captions, split.caption_images, strict=True):
            assert caption.endswith(f"of {split.image_names[image]} .")


def test_counts_and_unused_images_are_reported(folder: Path) -> None:
    notes = flickr8k(folder).notes
    assert notes == (
        "1 images (5 captions) are in no split and are not used",
        "train: expected 6000 images and 30000 captions, found 3 and 15 (differs)",
        "validation: expected 1000 images and 5000 captions, found 1 and 5 (differs)",
        "test: expected 1000 images and 5000 captions, found 1 and 5 (differs)",
    )


def test_the_published_counts_are_said_to_agree(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "kit.corpora.flickr8k.PUBLISHED_IMAGES", {"train": 3, "validation": 1, "test": 2}
    )
    notes = flickr8k(folder).notes
    assert "train: expected 3 images and 15 captions, found 3 and 15" in notes
    assert "test: expected 2 images and 10 captions, found 1 and 5 (differs)" in notes


def test_pictures_open_by_index_and_travel_to_workers(folder: Path) -> None:
    split = pickle.loads(pickle.dumps(flickr8k(folder).train))
    picture = split.open_image(2)
    assert picture.mode == "RGB"
    assert picture.size == (20, 10)
    assert abs(picture.getpixel((5, 5))[0] - 80) < 5


@pytest.mark.parametrize(
    "name", ["Flickr8k.token.txt", "Flickr_8k.devImages.txt", "Flickr_8k.trainImages.txt"]
)
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ValueError, match=rf"flickr8k: expected the file .*{name}, found none"):
        flickr8k(folder)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"folder of photographs at .*Flicker8k_Dataset, found"):
        flickr8k(tmp_path)


@pytest.mark.parametrize(
    "line", ["a.jpg#5 no tab", "a.jpg\tno number", "a.jpg#5\t", "a.jpg#5\t  ", "", "#5\tno name"]
)
def test_a_bad_line_is_named_by_file_and_number(folder: Path, line: str) -> None:
    add_captions(folder, f"{line}\n")
    with pytest.raises(
        ValueError, match=r"Flickr8k\.token\.txt, line 31: expected NAME#NUMBER<TAB>caption, got"
    ):
        flickr8k(folder)


def test_a_caption_given_twice_is_named(folder: Path) -> None:
    add_captions(folder, "a.jpg#3\tagain\n")
    with pytest.raises(ValueError, match=r"line 31: a\.jpg#3 has a caption already"):
        flickr8k(folder)


def test_a_file_that_is_no_text_is_named(folder: Path) -> None:
    (folder / "Flickr8k.token.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"Flickr8k\.token\.txt: expected a file of UTF-8 text"):
        flickr8k(folder)


def test_overlapping_splits_are_named(folder: Path) -> None:
    (folder / "Flickr_8k.testImages.txt").write_text("e.jpg\na.jpg\n")
    with pytest.raises(
        ValueError,
        match=r"^flickr8k: .*: 1 images are in 'train' and in 'test': a\.jpg$",
    ):
        flickr8k(folder, skip_bad=True)


def test_a_name_twice_in_one_split_is_named(folder: Path) -> None:
    (folder / "Flickr_8k.trainImages.txt").write_text("a.jpg\na.jpg\n")
    with pytest.raises(
        ValueError, match=r"trainImages\.txt: names must be unique, got twice: a\.jpg"
    ):
        flickr8k(folder)


def test_an_empty_split_is_named(folder: Path) -> None:
    (folder / "Flickr_8k.devImages.txt").write_text("\n")
    with pytest.raises(ValueError, match=r"devImages\.txt: expected image names, got an empty"):
        flickr8k(folder)


def test_missing_images_are_named_and_counted(folder: Path) -> None:
    for name in ("a.jpg", "e.jpg"):
        (folder / "Flicker8k_Dataset" / name).unlink()
    with pytest.raises(ValueError, match=r"got 2 x missing image: a\.jpg, e\.jpg\. skip_bad=True"):
        flickr8k(folder)


def test_a_split_may_not_name_an_image_that_does_not_exist(folder: Path) -> None:
    (folder / "Flickr_8k.devImages.txt").write_text("d.jpg\nnowhere.jpg\n")
    with pytest.raises(ValueError, match=r"1 x missing image: nowhere\.jpg"):
        flickr8k(folder)


@pytest.mark.parametrize("damage", ["cut", "text", "empty"])
def test_corrupt_images_are_named_and_counted(folder: Path, damage: str) -> None:
    path = folder / "Flicker8k_Dataset" / "b.jpg"
    noise = random.Random(0).randbytes(64 * 64 * 3)
    Image.frombytes("RGB", (64, 64), noise).save(path)
    whole = path.read_bytes()
    path.write_bytes({"cut": whole[: len(whole) // 2], "text": b"no picture", "empty": b""}[damage])
    with pytest.raises(ValueError, match=r"1 x unreadable image: b\.jpg\. skip_bad"):
        flickr8k(folder)
    corpus = flickr8k(folder, skip_bad=True)
    assert list(corpus.train.image_names) == ["a.jpg", "c.jpg"]
    assert corpus.notes[0].startswith("left out, unreadable image (")
    assert corpus.notes[0].endswith("): b.jpg")
    assert str(folder) not in corpus.notes[0]


def test_an_image_without_captions_is_named(folder: Path) -> None:
    drop_captions(folder, "c.jpg")
    with pytest.raises(ValueError, match=r"1 x image without captions: c\.jpg"):
        flickr8k(folder)


def test_captions_without_an_image_are_named(folder: Path) -> None:
    add_captions(folder, "z.jpg#0\tof nothing\nz.jpg#1\tof nothing\n")
    with pytest.raises(ValueError, match=r"1 x captions without image: z\.jpg"):
        flickr8k(folder)
    corpus = flickr8k(folder, skip_bad=True)
    assert corpus.counts["train"] == {"images": 3, "captions": 15}
    assert corpus.notes[0] == "left out, captions without image (2): z.jpg"


def test_the_stray_captions_of_the_original_file_are_noted(folder: Path) -> None:
    add_captions(folder, "".join(f"{STRAY_NAME}#{number}\twaiting\n" for number in range(5)))
    assert flickr8k(folder).notes[0].startswith("left out, captions without image (5): ")


def test_skip_bad_lists_what_it_leaves_out(folder: Path) -> None:
    (folder / "Flicker8k_Dataset" / "a.jpg").unlink()
    drop_captions(folder, "b.jpg")
    corpus = flickr8k(folder, skip_bad=True)
    assert list(corpus.train.image_names) == ["c.jpg"]
    assert [label for split in corpus.splits for label in split.image_labels] == [0, 1, 2]
    assert corpus.notes[:2] == (
        "left out, missing image: a.jpg",
        "left out, image without captions: b.jpg",
    )


def test_skip_bad_does_not_leave_a_split_empty(folder: Path) -> None:
    (folder / "Flicker8k_Dataset" / "d.jpg").unlink()
    with pytest.raises(
        ValueError, match="split 'validation': expected at least one image, got none"
    ):
        flickr8k(folder, skip_bad=True)


def test_pictures_are_decoded_once_and_what_is_kept_of_them_is_no_picture(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "Flicker8k_Dataset" / "b.jpg").write_text("no picture")
    first = flickr8k(folder, skip_bad=True)
    monkeypatch.delattr("PIL.Image.open")
    again = flickr8k(folder, skip_bad=True)
    assert again.notes == first.notes
    assert again.notes[0] == "left out, unreadable image (cannot identify image file): b.jpg"
    assert again.train.content_hash() == first.train.content_hash()


# ---- files as other programs leave them


@pytest.mark.parametrize(
    "name", ["Flickr8k.token.txt", "Flickr_8k.trainImages.txt", "Flickr_8k.testImages.txt"]
)
def test_a_byte_order_mark_and_lines_of_windows_change_nothing(folder: Path, name: str) -> None:
    expected = flickr8k(folder)
    path = folder / name
    path.write_text(path.read_text(), encoding="utf-8-sig", newline="\r\n")
    assert flickr8k(folder).fingerprint() == expected.fingerprint()


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_a_text_in_another_encoding_is_named(folder: Path, encoding: str) -> None:
    path = folder / "Flickr8k.token.txt"
    path.write_text(path.read_text() + "a.jpg#9\té", encoding=encoding)
    with pytest.raises(ValueError, match=r"^flickr8k: .*token\.txt: expected a file of UTF-8 text"):
        flickr8k(folder)


@pytest.mark.parametrize("name", ["Flickr8k.token.txt", "Flickr_8k.devImages.txt"])
def test_a_folder_where_a_file_is_expected_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    (folder / name).mkdir()
    with pytest.raises(ValueError, match=rf"^flickr8k: {folder}/{name}: .*Is a directory"):
        flickr8k(folder)


def test_the_home_folder_may_be_written_as_a_tilde(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = flickr8k(folder).fingerprint()
    monkeypatch.setenv("HOME", str(folder))
    assert flickr8k("~").fingerprint() == expected


@pytest.mark.parametrize("path", [None, 3, "", "a\0b"])
def test_what_is_no_path_is_refused(path: object) -> None:
    with pytest.raises(ValueError, match=r"^flickr8k: expected the path of a file or folder, got "):
        flickr8k(path)  # type: ignore[arg-type]


# ---- pictures


def test_equal_pictures_in_two_splits_are_refused_by_name(folder: Path) -> None:
    pictures = folder / "Flicker8k_Dataset"
    (pictures / "e.jpg").write_bytes((pictures / "b.jpg").read_bytes())
    with pytest.raises(
        ValueError,
        match=r"^flickr8k: 1 equal pictures are in two splits: b\.jpg \(train\) and "
        r"e\.jpg \(test\)$",
    ):
        flickr8k(folder)


def test_equal_pictures_in_one_split_are_noted_and_stay_as_published(folder: Path) -> None:
    pictures = folder / "Flicker8k_Dataset"
    (pictures / "c.jpg").write_bytes((pictures / "b.jpg").read_bytes())
    corpus = flickr8k(folder)
    assert corpus.counts["train"] == {"images": 3, "captions": 15}
    assert "one picture under several names, each an image: b.jpg, c.jpg" in corpus.notes


def test_a_folder_or_a_dead_link_in_place_of_a_picture_is_left_out(folder: Path) -> None:
    pictures = folder / "Flicker8k_Dataset"
    for name in ("a.jpg", "b.jpg"):
        (pictures / name).unlink()
    (pictures / "a.jpg").mkdir()
    (pictures / "b.jpg").symlink_to("nowhere")
    with pytest.raises(ValueError, match=r"2 x missing image: a\.jpg, b\.jpg"):
        flickr8k(folder)
    assert list(flickr8k(folder, skip_bad=True).train.image_names) == ["c.jpg"]


@pytest.mark.parametrize("content", [b"%!PS-Adobe-3.0 EPSF-3.0\n", b"%PDF-1.4", b"GIF89a"])
def test_what_is_no_picture_is_named_and_left_out(folder: Path, content: bytes) -> None:
    (folder / "Flicker8k_Dataset" / "b.jpg").write_bytes(content)
    with pytest.raises(ValueError, match=r"1 x unreadable image: b\.jpg"):
        flickr8k(folder)
    corpus = flickr8k(folder, skip_bad=True)
    assert list(corpus.train.image_names) == ["a.jpg", "c.jpg"]
    assert corpus.notes[0].startswith("left out, unreadable image (")
