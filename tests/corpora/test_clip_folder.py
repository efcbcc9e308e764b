"""A folder of arrays: read, written and read again; everything that can be wrong with one."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.corpora.clip_folder import (
    read_clip_corpus,
    read_clip_folder,
    write_clip_folder,
)
from kit.data.clip_batches import TrainingClips, evaluation_batches
from kit.data.clips import Clips
from kit.data.epochs import TrainingLoader
from kit.data.ragged import Ragged, Taken
from kit.data.splits import group_folds, stratified_split
from kit.data.text import looks

TABLE = """id,label,split,group
a,two,train,s1
b,one,train,s1
c,two,validation,s2
d,one,test,s3
e,one,test,s3
"""
LIPS = np.arange(5 * 2 * 4 * 3 * 1, dtype=np.uint8).reshape(5, 2, 4, 3, 1)
WORDS = Ragged(np.arange(16, dtype=np.float32).reshape(8, 2), np.array([2, 1, 3, 1, 1]))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "items.csv").write_text(TABLE)
    np.save(tmp_path / "lips.npy", LIPS)
    np.savez(tmp_path / "words.npz", values=WORDS.values, lengths=WORDS.lengths)
    return tmp_path


def without(column: str) -> str:
    """The table without a column."""
    place = TABLE.splitlines()[0].split(",").index(column)
    lines = [line.split(",") for line in TABLE.splitlines()]
    return "\n".join(",".join(line[:place] + line[place + 1 :]) for line in lines) + "\n"


# ---- reading


def test_all_clips_of_a_folder(folder: Path) -> None:
    clips, classes = read_clip_folder(folder)
    assert classes == ("one", "two")
    assert clips.name == "all"
    assert clips.ids == ["a", "b", "c", "d", "e"]
    assert clips.labels == [1, 0, 1, 0, 0]
    assert clips.groups == ["s1", "s1", "s2", "s3", "s3"]
    assert list(clips.modalities) == ["lips", "words"]
    assert np.array_equal(clips.modality("lips"), LIPS)
    assert clips.modality("lips").dtype == np.uint8
    words = clips.modality("words")
    assert isinstance(words, Ragged)
    assert [words[row].tolist() for row in range(5)] == [WORDS[row].tolist() for row in range(5)]


def test_a_folder_with_splits_is_a_corpus(folder: Path) -> None:
    corpus = read_clip_corpus(folder)
    assert corpus.name == folder.name
    assert corpus.classes == ("one", "two")
    assert corpus.counts == {"train": 2, "validation": 1, "test": 2}
    assert (corpus.test.ids, corpus.test.labels, corpus.test.groups) == (
        ["d", "e"],
        [0, 0],
        ["s3", "s3"],
    )
    assert np.array_equal(corpus.test.modality("lips"), LIPS[3:])
    assert corpus.validation.modality("words")[0].tolist() == WORDS[2].tolist()


def test_a_folder_named_from_within_gives_the_corpus_its_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    assert read_clip_corpus(".").name == folder.name


def test_splits_whose_lines_are_mixed(folder: Path) -> None:
    lines = TABLE.splitlines()
    order = [3, 5, 1, 4, 2]  # of the lines behind the header
    table = "\n".join([lines[0], *(lines[line] for line in order)])
    (folder / "items.csv").write_text(table)
    moved = [line - 1 for line in order]
    np.save(folder / "lips.npy", LIPS[moved])
    words = WORDS.take(moved)
    np.savez(folder / "words.npz", values=words.values, lengths=words.lengths)
    corpus = read_clip_corpus(folder)
    assert (corpus.train.ids, corpus.test.ids) == (["a", "b"], ["e", "d"])
    assert np.array_equal(corpus.test.modality("lips"), LIPS[[4, 3]])
    assert corpus.train.modality("words")[0].tolist() == WORDS[0].tolist()


def test_group_and_split_may_be_absent(folder: Path) -> None:
    (folder / "items.csv").write_text(without("group"))
    assert list(read_clip_corpus(folder).train.groups) == []
    (folder / "items.csv").write_text(without("split"))
    assert read_clip_folder(folder)[0].groups == ["s1", "s1", "s2", "s3", "s3"]


def test_a_group_that_is_tested_is_nowhere_else(folder: Path) -> None:
    (folder / "items.csv").write_text(TABLE.replace("e,one,test,s3", "e,one,test,s1"))
    message = r"1 of 3 groups are in the test split and in another: s1$"
    with pytest.raises(ValueError, match=rf"^read_clip_corpus: .*{message}"):
        read_clip_corpus(folder)


def test_a_folder_without_splits_is_split_by_class_or_by_group(tmp_path: Path) -> None:
    labels, groups = [0, 1] * 8, ["s1", "s2"] * 4 + ["s2", "s1"] * 4
    rows = np.arange(16.0)[:, None]
    written = Clips("all", [str(row) for row in range(16)], labels, {"row": rows}, groups)
    write_clip_folder(tmp_path, written, ("one", "two"))
    clips, classes = read_clip_folder(tmp_path)
    split = stratified_split(clips, classes, name="mine", seed=0)
    assert split.counts == {"train": 8, "validation": 4, "test": 4}
    # Rows that do not follow one another stay on the disk too.
    drawn = split.test.modality("row")
    assert isinstance(drawn, Taken)
    assert [drawn[row].tolist() for row in range(4)] == [[float(one)] for one in split.test.ids]
    folds = list(group_folds(clips, classes, name="mine"))
    assert [(group, fold.counts["test"]) for group, fold in folds] == [("s1", 8), ("s2", 8)]


def test_columns_come_in_any_order_and_from_a_spreadsheet(folder: Path) -> None:
    turned = "\r\n".join(",".join(line.split(",")[::-1]) for line in TABLE.splitlines())
    (folder / "items.csv").write_bytes(b"\xef\xbb\xbf" + turned.encode() + b"\r\n\r\n")
    assert read_clip_corpus(folder).test.ids == ["d", "e"]


def test_only_the_modalities_asked_for_are_read(folder: Path) -> None:
    (folder / "broken.npy").write_bytes(b"no array")
    assert list(read_clip_folder(folder, modalities=["words"])[0].modalities) == ["words"]
    corpus = read_clip_corpus(folder, modalities=["words", "lips"])
    assert list(corpus.train.modalities) == ["words", "lips"]


def test_other_files_are_left_alone(folder: Path) -> None:
    (folder / "README.txt").write_text("mine")
    (folder / "._lips.npy").write_bytes(b"a Mac's")
    assert list(read_clip_folder(folder)[0].modalities) == ["lips", "words"]


def test_a_list_of_classes_gives_their_order(folder: Path) -> None:
    (folder / "classes.csv").write_text("class\nzero\ntwo\none\n")
    clips, classes = read_clip_folder(folder)
    assert classes == ("zero", "two", "one")
    assert clips.labels == [1, 2, 1, 2, 2]
    with pytest.raises(ValueError, match="the training split has no clip of zero"):
        read_clip_corpus(folder)


def test_what_is_of_one_size_stays_on_the_disk(folder: Path) -> None:
    clips, _ = read_clip_folder(folder)
    lips = clips.modality("lips")
    assert isinstance(lips, np.memmap)
    assert not lips.flags.writeable
    # The lines of each split follow one another, so no split is a copy.
    for split in read_clip_corpus(folder).splits:
        assert isinstance(split.modality("lips"), np.memmap)
        assert split.modality("lips").base is not None


def test_batches_come_from_a_folder_as_from_memory(folder: Path) -> None:
    """Without a warning that arrays on a disk cannot be written."""
    there = read_clip_corpus(folder).test
    here = Clips("test", ["d", "e"], [0, 0], {"lips": LIPS[3:], "words": WORDS.take([3, 4])})
    for clips in (there, here):
        (batch,) = evaluation_batches(clips, ["lips", "words"])
        assert torch.equal(batch.modalities["lips"], torch.from_numpy(LIPS[3:]).float())
        assert batch.lengths["words"].tolist() == [1, 1]
    loader = TrainingLoader(TrainingClips(there, ["lips"]), batch_size=2)
    (batch,) = loader.epoch(0)
    assert np.array_equal(batch.modalities["lips"], LIPS[3:][batch.indices])
    assert np.array_equal(pickle.loads(pickle.dumps(there)).modality("lips"), LIPS[3:])


# ---- what is wrong with a table


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("", r"items.csv: expected the columns id, label and perhaps split, group, got none$"),
        (without("label"), r"id, label and perhaps split, group, got id, split, group$"),
        (TABLE.replace("group", "speaker", 1), r"got id, label, split, speaker$"),
        (TABLE.replace("group", "split", 1), r"got id, label, split, split$"),
        (TABLE.replace(",", ";"), r"got id;label;split;group$"),
        (
            TABLE + "f,one,test\n",
            r"line 7: expected id, label, split, group, all filled, got {'id': 'f', 'lab",
        ),
        (TABLE + "f,one,test,s,x\n", r"line 7: expected id, label, split, group, all filled, got"),
        (
            TABLE.replace("b,one", "b,"),
            r"line 3: .* all filled, got {'id': 'b', 'label': '', 'split': 'train', ",
        ),
        (TABLE.replace("d,one", ",one"), r"line 5: .* all filled, got {'id': '', 'label': 'one', "),
        (
            TABLE.replace("test,s3\n", "test,\n").replace("d,one,test,", "d,one,test,s3"),
            r"line 6: .* all filled, got {.*, 'group': ''}$",
        ),
        (
            TABLE.replace("d,one", "b,one"),
            r"ids must be unique, got twice: b$",
        ),
        (TABLE + '"f,one', r"items.csv: expected a table in UTF-8 with commas, got unexpected end"),
        (
            "id,label\n",
            r"expected at least one clip and one modality, got 0 and 2$",
        ),
    ],
)
def test_a_wrong_table_is_named(folder: Path, table: str, message: str) -> None:
    (folder / "items.csv").write_text(table)
    with pytest.raises(ValueError, match=rf"^read_clip_folder: {folder}.*{message}"):
        read_clip_folder(folder)


def test_a_table_that_is_not_utf8_is_named(folder: Path) -> None:
    (folder / "items.csv").write_bytes(TABLE.replace("two", "é").encode("latin-1"))
    with pytest.raises(
        ValueError, match=r"items.csv: expected a table in UTF-8 with commas, got 'ut"
    ):
        read_clip_folder(folder)


def test_a_folder_without_a_table_or_none_at_all(folder: Path, tmp_path: Path) -> None:
    (folder / "items.csv").unlink()
    for place in (folder, tmp_path / "gone"):
        with pytest.raises(
            ValueError,
            match=f"^read_clip_folder: .*expected a folder {place} with items.csv, found none$",
        ):
            read_clip_folder(place)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (
            "class\none\nthree\n",
            r"items.csv: expected a label among one, three, got 2 others: "
            r"'two' \(a\), 'two' \(c\)$",
        ),
        ("class\none\ntwo\none\n", r"classes.csv: classes must be unique, got twice: one$"),
        ("name\none\ntwo\n", r"classes.csv: expected the columns class, got name$"),
        (
            "class\none\ntwo,2\n",
            r"classes.csv, line 3: expected class, all filled, got {'class': 'two', '': \['2'\]}$",
        ),
    ],
)
def test_labels_that_are_no_class_are_named(folder: Path, classes: str, message: str) -> None:
    (folder / "classes.csv").write_text(classes)
    with pytest.raises(ValueError, match=rf"^read_clip_folder: {folder}: {message}"):
        read_clip_folder(folder)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            TABLE.replace("validation", "val").replace("e,one,test", "e,one,Test"),
            r"expected a split among train, validation, test, got 2 others: 'val' \(c\), 'Test' \(",
        ),
        (
            TABLE.replace("validation", "test"),
            r"expected clips of each split, got 2 of train, 0 of validation, 3 of test$",
        ),
        (
            without("split"),
            r"expected a column split, got id, label, group; read_clip_folder and stratified_split",
        ),
    ],
)
def test_splits_that_are_none_are_named(folder: Path, table: str, message: str) -> None:
    (folder / "items.csv").write_text(table)
    with pytest.raises(ValueError, match=rf"^read_clip_corpus: {folder}: .*: {message}"):
        read_clip_corpus(folder)
    assert len(read_clip_folder(folder)[0]) == 5


def test_a_class_that_is_only_tested_is_named(folder: Path) -> None:
    (folder / "items.csv").write_text(TABLE.replace("e,one", "e,three"))
    with pytest.raises(
        ValueError, match=f"'{folder.name}': the training split has no clip of three"
    ):
        read_clip_corpus(folder)


# ---- what is wrong with the arrays


def test_a_missing_modality_is_named_with_those_that_are_there(folder: Path) -> None:
    with pytest.raises(
        ValueError,
        match=rf"^read_clip_folder: {folder}: expected NAME.npy or NAME.npz of depth, pose, "
        r"found \['lips.npy', 'words.npz'\]$",
    ):
        read_clip_folder(folder, modalities=["lips", "depth", "pose"])
    with pytest.raises(ValueError, match=r"NAME.npz of sound, found \['lips.npy', 'words"):
        read_clip_corpus(folder, modalities=["sound"])


def test_a_folder_without_arrays_is_named(folder: Path) -> None:
    (folder / "lips.npy").unlink()
    (folder / "words.npz").unlink()
    with pytest.raises(ValueError, match=r"NAME.npz of each modality, found \[\]$"):
        read_clip_folder(folder)


def test_two_files_of_one_modality_are_refused(folder: Path) -> None:
    np.savez(folder / "lips.npz", values=WORDS.values, lengths=WORDS.lengths)
    with pytest.raises(
        ValueError,
        match=f"^read_clip_folder: {folder}: array files: names must be unique, got twice: lips$",
    ):
        read_clip_folder(folder)


def test_clips_with_nan_are_named_with_their_file(folder: Path) -> None:
    sound = np.zeros((5, 3), dtype=np.float32)
    sound[[1, 4], 2] = np.nan
    np.save(folder / "sound.npy", sound)
    with pytest.raises(
        ValueError,
        match=rf"^read_clip_folder: {folder}: .* modality 'sound': 2 clips hold nan or infinity "
        r"in float32: b, e$",
    ):
        read_clip_folder(folder)
    values = WORDS.values.copy()
    values[3] = np.inf
    np.savez(folder / "words.npz", values=values, lengths=WORDS.lengths)
    with pytest.raises(ValueError, match=r"'words': 1 clips hold .*: c$"):
        read_clip_corpus(folder, modalities=["words"])


def test_unequal_counts_are_named(folder: Path) -> None:
    np.save(folder / "lips.npy", LIPS[:4])
    with pytest.raises(
        ValueError,
        match=r"expected one of lips per clip \(5\), got 4$",
    ):
        read_clip_folder(folder)
    short = WORDS.take([0, 1])
    np.savez(folder / "words.npz", values=short.values, lengths=short.lengths)
    with pytest.raises(ValueError, match=r"expected one of words per clip \(5\), got 2$"):
        read_clip_folder(folder, modalities=["words"])


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (
            np.array([[1.0], "text", None, {}, 5], dtype=object),
            "expected one array of .*objects in",
        ),
        (np.array(5.0), "lips.npy: expected one array of numbers: a single number$"),
        (
            np.array(list("abcde")),
            "modality 'lips': expected a non-empty array of numbers, got <U1",
        ),
    ],
)
def test_arrays_of_other_than_numbers_are_refused(
    folder: Path, array: np.ndarray[Any, Any], message: str
) -> None:
    np.save(folder / "lips.npy", array, allow_pickle=True)
    with pytest.raises(ValueError, match=message):
        read_clip_folder(folder)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"values": np.zeros((5, 2))}, "expected the arrays values and lengths: got values$"),
        ({"a": np.zeros(5), "b": np.zeros(5)}, "values and lengths: got a, b$"),
        (
            {"values": np.array([None] * 5), "lengths": np.ones(5, dtype=int)},
            "values and lengths: Object arrays cannot be loaded",
        ),
        (
            {"values": np.zeros((5, 2)), "lengths": np.ones(4, dtype=int)},
            r"Ragged: lengths must sum to rows of \(5, 2\), got 4$",
        ),
    ],
)
def test_wrong_ragged_files_are_refused(folder: Path, arrays: dict[str, Any], message: str) -> None:
    np.savez(folder / "words.npz", allow_pickle=True, **arrays)
    with pytest.raises(ValueError, match=rf"^read_clip_folder: {folder}: words.npz: .*{message}"):
        read_clip_folder(folder)


def test_files_that_are_no_arrays_are_refused(folder: Path) -> None:
    for name, expected in (
        ("lips.npy", "one array of numbers"),
        ("words.npz", "the arrays values and lengths"),
    ):
        whole = (folder / name).read_bytes()
        for broken in (b"", b"no array", whole[:40], whole[:-20]):
            (folder / name).write_bytes(broken)
            with pytest.raises(
                ValueError, match=f"^read_clip_folder: .*{name}: expected {expected}: "
            ):
                read_clip_folder(folder)
        (folder / name).write_bytes(whole)
    (folder / "lips.npy").rename(folder / "words.npz")
    with pytest.raises(
        ValueError, match=r"words.npz: .* values and lengths: File is not a zip file$"
    ):
        read_clip_folder(folder)


@pytest.mark.parametrize("name", ["lips.npy", "words.npz"])
def test_a_file_with_a_damaged_byte_is_read_or_refused_by_name(folder: Path, name: str) -> None:
    whole = (folder / name).read_bytes()
    for place in range(0, len(whole), 3):
        for flip in (0xFF, 0x10):
            broken = bytearray(whole)
            broken[place] ^= flip
            (folder / name).write_bytes(broken)
            refused = ""
            try:
                read_clip_folder(folder)
            except ValueError as error:
                refused = str(error)
            if refused:
                assert refused.startswith(f"read_clip_folder: {folder}: ")
                assert name.partition(".")[0] in refused


def test_a_shape_that_no_memory_holds_is_refused_by_name(folder: Path) -> None:
    header = io.BytesIO()
    forged = {"descr": "<f8", "fortran_order": False, "shape": (2**44, 2)}
    np.lib.format.write_array_header_1_0(header, forged)
    (folder / "lips.npy").write_bytes(header.getvalue())
    with pytest.raises(ValueError, match=r"lips\.npy: expected one array of numbers: "):
        read_clip_folder(folder, modalities=["lips"])
    with zipfile.ZipFile(folder / "words.npz", "w") as archive:
        archive.writestr("values.npy", header.getvalue())
        archive.writestr("lengths.npy", header.getvalue())
    with pytest.raises(ValueError, match=r"words\.npz: expected the arrays values and lengths: .+"):
        read_clip_folder(folder, modalities=["words"])


@pytest.mark.parametrize("name", ["items.csv", "classes.csv", "lips.npy", "words.npz"])
def test_a_folder_where_a_file_is_expected_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink(missing_ok=True)
    (folder / name).mkdir()
    with pytest.raises(ValueError, match=rf"^read_clip_folder: {folder}: {name}: .*directory"):
        read_clip_folder(folder)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
@pytest.mark.parametrize("name", ["items.csv", "classes.csv"])
def test_tables_in_another_encoding_are_named(folder: Path, name: str, encoding: str) -> None:
    table = {"items.csv": TABLE.replace("s1", "é"), "classes.csv": "class\none\ntwo\né\n"}
    (folder / name).write_text(table[name], encoding=encoding)
    with pytest.raises(ValueError, match=rf"{folder}: {name}: expected a table in UTF-8 with comm"):
        read_clip_folder(folder)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("id,label\na,walk\nb,walk \n", "items.csv: labels must not look alike, got 'walk' and 'w"),
        (
            "id,label\na,caf\u00e9\nb,cafe\u0301\n",
            "items.csv: labels must not look alike, got 'caf",
        ),
        ("id,label\na,x\na\u200b,x\n", "Clips: split 'all': ids must not look alike, got 'a' and"),
        ("id,label,group\na,x,s\nb,x, s\n", "Clips: split 'all': groups must not look alike, got"),
        ("id,label,group\na,x,s\nb,x, \n", "Clips: split 'all': groups: expected .*, 1 of 2 have"),
    ],
)
def test_names_that_look_alike_are_refused(tmp_path: Path, table: str, message: str) -> None:
    (tmp_path / "items.csv").write_text(table, encoding="utf-8")
    np.save(tmp_path / "vector.npy", np.ones((2, 2)))
    with pytest.raises(ValueError, match=rf"^read_clip_folder: {tmp_path}: {message}"):
        read_clip_folder(tmp_path)


def test_names_may_differ_in_upper_and_lower_case(tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text("id,label\na,Walk\nA,walk\n", encoding="utf-8")
    np.save(tmp_path / "vector.npy", np.ones((2, 2)))
    assert read_clip_folder(tmp_path)[1] == ("Walk", "walk")


def test_the_home_folder_may_be_written_as_a_tilde(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(folder))
    clips, classes = read_clip_folder("~")
    assert read_clip_corpus("~").name == folder.name
    write_clip_folder("~/copy", clips, classes)
    assert read_clip_folder(folder / "copy")[0].ids == clips.ids


@pytest.mark.parametrize("path", [None, 3, "", "a\0b", [], b"folder"])
def test_what_is_no_path_is_refused(folder: Path, path: Any) -> None:
    clips, classes = read_clip_folder(folder)
    for read in (
        read_clip_folder,
        read_clip_corpus,
        lambda path: write_clip_folder(path, clips, classes),
    ):
        with pytest.raises(ValueError, match=r"expected the path of a file or folder, got "):
            read(path)


def test_one_name_is_no_list_of_modalities(folder: Path) -> None:
    for name in ("lips", 3):
        with pytest.raises(ValueError, match=r"expected several modalities in a list, got "):
            read_clip_folder(folder, modalities=name)  # type: ignore[arg-type]


# ---- writing


CLASSES = ("sad", "happy", "ängstlich\nzweite")  # not in alphabetical order


def made() -> Clips:
    rng = np.random.default_rng(0)
    words = Ragged.of([rng.random((1 + row % 4, 2), dtype=np.float32) for row in range(24)])
    sound = rng.random((24, 3), dtype=np.float32)
    ids = [f'clip {row}, "quoted"' for row in range(24)]
    groups = [f"s{row}" for row in range(24)]
    return Clips("all", ids, [0, 1, 2] * 8, {"words": words, "sound": sound}, groups)


def test_files_are_those_that_numpy_writes(tmp_path: Path) -> None:
    one = Clips("all", ["a", "b"], [0, 1], {"lips": LIPS[:2], "words": WORDS.take([2, 1])})
    write_clip_folder(tmp_path, one, ("one", "two"))
    np.save(tmp_path / "expected.npy", LIPS[:2])
    assert (tmp_path / "lips.npy").read_bytes() == (tmp_path / "expected.npy").read_bytes()
    with np.load(tmp_path / "words.npz") as words:
        assert {*words} == {"values", "lengths"}
        assert words["values"].dtype == WORDS.values.dtype
        assert np.array_equal(words["values"], WORDS.take([2, 1]).values)
        assert words["lengths"].tolist() == [3, 1]


def test_a_corpus_is_read_as_it_was_written(tmp_path: Path) -> None:
    clips = made()
    write_clip_folder(tmp_path / "mine", clips, CLASSES)
    again, classes = read_clip_folder(tmp_path / "mine")
    assert isinstance(again.modality("sound"), np.memmap)
    assert (again.groups, classes) == (clips.groups, CLASSES)
    fingerprints = {
        stratified_split(one, CLASSES, name="mine", seed=0).fingerprint() for one in (clips, again)
    }
    assert len(fingerprints) == 1
    files = ["classes.csv", "items.csv", "sound.npy", "words.npz"]
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == files


def test_clips_are_read_as_they_were_written(tmp_path: Path) -> None:
    ids, groups = np.array(["a", "b", "c"]), np.array(["x", "x", "y"])
    clips = Clips("all", ids, [2, 0, 2], {"lips": LIPS[:3], "words": WORDS.take([0, 1, 2])}, groups)
    write_clip_folder(tmp_path, clips, ("sad", "happy", "calm"))
    again, classes = read_clip_folder(tmp_path)
    assert classes == ("sad", "happy", "calm")
    assert (again.ids, again.labels, again.groups) == (["a", "b", "c"], [2, 0, 2], ["x", "x", "y"])
    assert np.array_equal(again.modality("lips"), clips.modality("lips"))
    assert again.modality("words")[2].tolist() == WORDS[2].tolist()
    with pytest.raises(ValueError, match="expected a column split, got id, label, group"):
        read_clip_corpus(tmp_path)


texts = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=5)
texts = texts.filter(lambda text: looks(text) != "")


@given(
    ids=st.lists(texts, min_size=1, max_size=5, unique_by=looks),
    classes=st.lists(texts, min_size=1, max_size=3, unique_by=looks),
    dtype=st.sampled_from(["u1", "<i4", ">f4", "<f2", "<f8"]),
    data=st.data(),
)
@settings(deadline=None, max_examples=60)
def test_any_words_and_types_come_back(
    tmp_path_factory: pytest.TempPathFactory,
    ids: list[str],
    classes: list[str],
    dtype: str,
    data: st.DataObject,
) -> None:
    folder = tmp_path_factory.mktemp("any")
    labels = [data.draw(st.integers(0, len(classes) - 1)) for _ in ids]
    names = st.sampled_from([*ids])
    groups = data.draw(st.just([]) | st.lists(names, min_size=len(ids), max_size=len(ids)))
    array = np.arange(len(ids) * 2).reshape(-1, 2).astype(dtype)
    write_clip_folder(folder, Clips("all", ids, labels, {"a.b": array}, groups), classes)
    clips, names = read_clip_folder(folder)
    assert (clips.ids, clips.labels, clips.groups, names) == (ids, labels, groups, tuple(classes))
    assert clips.modality("a.b").dtype == np.dtype(dtype)
    assert np.array_equal(clips.modality("a.b"), array)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (("one",), "expected a class for each label up to 1, got 1$"),
        (("one", "one"), "classes.csv: classes must be unique, got twice: one$"),
        (("one", ""), "classes.csv: classes: expected a name for each, 1 of 2 have none: rows 1$"),
        (("one", " one"), "classes.csv: classes must not look alike, got 'one' and ' one'$"),
    ],
)
def test_what_could_not_be_read_again_is_not_written(
    tmp_path: Path, classes: tuple[str, ...], message: str
) -> None:
    clips = Clips("all", ["a", "b"], [0, 1], {"sound": np.zeros((2, 1))})
    with pytest.raises(ValueError, match=rf"^write_clip_folder: {tmp_path}: {message}"):
        write_clip_folder(tmp_path, clips, classes)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_holds_something_is_not_written_to(folder: Path) -> None:
    clips, classes = read_clip_folder(folder)
    for place in (folder, folder / "items.csv"):
        with pytest.raises(
            ValueError, match=f"^write_clip_folder: {place}: expected a new or an empty folder$"
        ):
            write_clip_folder(place, clips, classes)
    assert (folder / "items.csv").read_text() == TABLE


def test_a_folder_half_written_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(*_: object, **__: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("numpy.lib.format.write_array", full_disk)
    with pytest.raises(OSError, match="no space left"):
        write_clip_folder(tmp_path / "mine", made(), CLASSES)
    assert all(path.suffix != ".part" for path in (tmp_path / "mine").iterdir())
    with pytest.raises(ValueError, match=r"expected a folder .*mine with items\.csv, found none$"):
        read_clip_folder(tmp_path / "mine")
