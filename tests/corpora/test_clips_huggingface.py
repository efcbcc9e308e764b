"""Datasets whose columns hold arrays, made on the spot; nothing here needs a network."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from datasets import Array2D, Array4D, ClassLabel, Features, List, Value

from kit.corpora import clips_huggingface as clip_dataset
from kit.corpora.clips_huggingface import clip_corpus_from_dataset, clips_from_dataset
from kit.data.clip_batches import evaluation_batches
from kit.data.clips import Clips
from kit.data.ragged import Ragged
from kit.data.splits import stratified_split

LIPS = np.arange(6 * 2 * 4 * 3 * 1, dtype=np.uint8).reshape(6, 2, 4, 3, 1)
WORDS = [np.full((1 + row % 3, 2), row, dtype=np.float32) for row in range(6)]
FEATURES = Features(
    {
        "said": ClassLabel(names=["two", "one"]),
        "lips": Array4D((2, 4, 3, 1), "uint8"),
        "words": Array2D((None, 2), "float32"),
        "vector": List(Value("float32")),
        "name": Value("string"),
        "session": Value("int64"),
        "part": Value("string"),
    }
)


@pytest.fixture(autouse=True)
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()


def table(features: dict[str, Any] | None = None, **changed: Any) -> datasets.Dataset:
    columns = {
        "said": [0, 1, 0, 1, 1, 0],
        "lips": list(LIPS),
        "words": [part.tolist() for part in WORDS],
        "vector": [[float(row), -float(row)] for row in range(6)],
        "name": list("abcdef"),
        "session": [1, 3, 2, 2, 3, 3],
        "part": ["train", "test", "dev", "train", "test", "restval"],
    }
    kinds = Features({**FEATURES, **(features or {})})
    return datasets.Dataset.from_dict({**columns, **changed}, features=kinds)


def clips(source: Any = None, **asked: Any) -> tuple[Clips, tuple[str, ...]]:
    columns = {"label": "said", "modalities": ["lips", "words"]} | asked
    return clips_from_dataset(table() if source is None else source, **columns)


def corpus(source: Any = None, **asked: Any) -> Any:
    columns = {"label": "said", "modalities": ["lips", "words"], "split_column": "part"} | asked
    return clip_corpus_from_dataset(table() if source is None else source, **columns)


def column(values: list[Any], kind: Any = None) -> datasets.Dataset:
    """A table with one more column x."""
    with_it = {"x": values}
    return table({"x": kind}, **with_it) if kind else table().add_column("x", values)


# ---- columns


def test_all_rows_as_clips() -> None:
    found, classes = clips(id_column="name", group_column="session")
    assert classes == ("two", "one")
    assert found.name == "all"
    assert found.ids == list("abcdef")
    assert found.labels == [0, 1, 0, 1, 1, 0]
    assert found.groups == ["1", "3", "2", "2", "3", "3"]
    lips, words = found.modality("lips"), found.modality("words")
    assert lips.dtype == np.uint8
    assert np.array_equal(lips, LIPS)
    assert isinstance(words, Ragged)
    assert words.values.dtype == np.float32
    assert words.lengths.tolist() == [1, 2, 3, 1, 2, 3]
    assert all(np.array_equal(words[row], WORDS[row]) for row in range(6))


def test_without_columns_for_them_rows_are_numbered_and_have_no_group() -> None:
    found, _ = clips()
    assert found.ids == [f"row {row}" for row in range(6)]
    assert len(found.groups) == 0


def test_modalities_by_name_and_one_alone() -> None:
    found, _ = clips(modalities={"seen": "lips", "mouth": "lips", "text": "words"})
    assert list(found.modalities) == ["seen", "mouth", "text"]
    assert np.array_equal(found.modality("mouth"), LIPS)
    assert list(clips(modalities="vector")[0].modalities) == ["vector"]


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        (List(Value("uint8")), np.uint8),
        (List(Value("int16")), np.int16),
        (List(Value("float16")), np.float16),
        (List(Value("float64")), np.float64),
        (List(Value("float32"), length=3), np.float32),
        (datasets.LargeList(Value("float32")), np.float32),
    ],
)
def test_numbers_keep_their_type(kind: Any, dtype: Any) -> None:
    found, _ = clips(column([[1, 2, row] for row in range(6)], kind), modalities="x")
    x = found.modality("x")
    assert x.dtype == dtype
    assert x.tolist() == [[1, 2, row] for row in range(6)]


def test_nested_lists_of_one_size_and_of_several() -> None:
    fixed = [[[row, 1, 2], [3, 4, 5]] for row in range(6)]
    kind = List(List(Value("int32"), length=3))
    assert clips(column(fixed, kind), modalities="x")[0].modality("x").tolist() == fixed
    ragged = [[[[row]] * 2] * (1 + row % 2) for row in range(6)]
    x = clips(column(ragged), modalities="x")[0].modality("x")
    assert isinstance(x, Ragged)
    assert [part.tolist() for part in x] == ragged


def test_rows_chosen_of_a_dataset_in_another_order_and_format() -> None:
    chosen = table().select([4, 0, 2]).with_format("torch")
    found, _ = clips(chosen, id_column="name", modalities=["lips", "words", "vector"])
    assert found.ids == ["e", "a", "c"]
    assert found.labels == [1, 0, 0]
    assert np.array_equal(found.modality("lips"), LIPS[[4, 0, 2]])
    assert found.modality("vector").tolist() == [[4, -4], [0, 0], [2, -2]]
    assert found.modality("words").lengths.tolist() == [2, 1, 3]


def test_batches_come_without_a_warning() -> None:
    """Arrow's memory cannot be written; torch would complain of it."""
    (batch,) = evaluation_batches(clips()[0], ["lips", "words"])
    assert torch.equal(batch.modalities["lips"], torch.from_numpy(LIPS).float())
    assert batch.modalities["words"][:, 2, 0].tolist() == [0, 0, 2, 0, 0, 5]
    assert batch.lengths["words"].tolist() == [1, 2, 3, 1, 2, 3]


@pytest.mark.parametrize(
    ("values", "kind", "labels", "classes"),
    [
        (["no", "yes", "no", "no", "a", "a"], None, [1, 2, 1, 1, 0, 0], ("a", "no", "yes")),
        ([10, 9, 10, 10, -1, 9], None, [2, 1, 2, 2, 0, 1], ("-1", "9", "10")),
        ([0, 0, 0, 1, 1, 0], ClassLabel(names=["b", "a", "never"]), None, ("b", "a", "never")),
    ],
)
def test_labels_are_words_numbers_or_class_labels(
    values: list[Any], kind: Any, labels: list[int] | None, classes: tuple[str, ...]
) -> None:
    found, names = clips(column(values, kind), label="x")
    assert found.labels == (labels or values)
    assert names == classes


# ---- sources and splits


def test_named_splits() -> None:
    parts = datasets.DatasetDict(
        test=table().select([5, 4]), train=table().select(range(3)), val=table().select([3])
    )
    found = corpus(parts, split_column=None, id_column="name")
    assert found.name == "dataset"
    assert found.classes == ("two", "one")
    assert [split.name for split in found.splits] == ["train", "validation", "test"]
    assert [list(split.ids) for split in found.splits] == [["a", "b", "c"], ["d"], ["f", "e"]]
    assert np.array_equal(found.test.modality("lips"), LIPS[[5, 4]])
    assert found.notes == ()
    numbered = corpus(parts, split_column=None)
    assert [list(split.ids) for split in numbered.splits] == [
        ["row 2", "row 3", "row 4"],
        ["row 5"],
        ["row 0", "row 1"],
    ]
    together, _ = clips(parts, id_column="name")
    assert together.ids == ["f", "e", "a", "b", "c", "d"]


def test_a_split_column_and_words_that_name_no_split() -> None:
    found = corpus(group_column="session")
    assert [list(split.ids) for split in found.splits] == [
        ["row 0", "row 3"],
        ["row 2"],
        ["row 1", "row 4"],
    ]
    assert found.test.groups == ["3", "3"]
    assert np.array_equal(found.test.modality("lips"), LIPS[[1, 4]])
    assert found.train.modality("words")[1].tolist() == WORDS[3].tolist()
    assert found.notes == ("1 rows of the split 'restval' are not used",)


def test_a_group_that_is_tested_is_nowhere_else() -> None:
    with pytest.raises(
        ValueError,
        match=r"^clip_corpus_from_dataset: ClipCorpus 'dataset': 1 of 3 groups are in the test "
        r"split and in another: 1$",
    ):
        corpus(table(session=[1, 1, 2, 2, 3, 3]), group_column="session")


def test_rows_that_are_not_used_may_be_anything() -> None:
    source = table(said=[0, 1, 0, 1, 1, None], lips=[*LIPS[:5], None])
    assert corpus(source).counts == {"train": 2, "validation": 1, "test": 2}


def test_saved_folders_and_parquet_files(tmp_path: Path) -> None:
    expected = corpus().fingerprint()
    table().save_to_disk(str(tmp_path / "saved"))
    assert corpus(tmp_path / "saved").fingerprint() == expected
    table().select(range(2)).to_parquet(str(tmp_path / "a.parquet"))
    table().select(range(2, 6)).to_parquet(str(tmp_path / "b.parquet"))
    files = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    assert corpus(files).fingerprint() == expected


def test_what_is_read_can_be_split() -> None:
    source = datasets.Dataset.from_dict({"x": [[row, 0.5] for row in range(10)], "y": [0, 1] * 5})
    found, classes = clips_from_dataset(source, label="y", modalities=["x"])
    split = stratified_split(found, classes, name="mine", seed=0)
    assert split.counts == {"train": 6, "validation": 2, "test": 2}


def test_datasets_is_imported_only_where_a_dataset_is_read() -> None:
    """Who has no datasets library can still import the rooms that know of this one."""
    tree = ast.parse(Path(clip_dataset.__file__).read_text(encoding="utf-8"))
    first = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert not {"datasets", "pyarrow"} & {
        word for node in first for word in ast.unparse(node).split()
    }


# ---- what is wrong


@pytest.mark.parametrize("read", [clips, corpus])
def test_missing_columns_are_named_with_those_that_exist(read: Any) -> None:
    with pytest.raises(
        ValueError,
        match=r"_from_dataset: all: expected the columns class, speaker, .*sound.*, missing class, "
        r"speaker, sound; there are said, lips, words, vector, name, session, part$",
    ):
        read(label="class", group_column="speaker", modalities={"audio": "sound"})


@pytest.mark.parametrize(
    ("values", "kind", "told"),
    [
        (
            [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
            None,
            r"6 rows are none: row 0 \(double\), row 1 \(double\)",
        ),
        (list("abcdef"), None, r"row 0 \(string\)"),
        ([[1.0]] * 4 + [None, [1.0]], None, r"1 rows are none: row 4 \(nothing there\)"),
        ([[1.0]] * 4 + [[], [1.0]], None, r"1 rows are none: row 4 \(an empty list\)"),
        ([[1.0, 2.0]] * 5 + [[None, 1.0]], None, r"none: row 5 \(1 numbers are missing\)"),
        (
            [[[1.0], [2.0]]] * 5 + [[[1.0], [1.0, 2.0]]],
            None,
            r"1 rows are none: row 5 \(inner lists of lengths 1, 2\)",
        ),
        (
            [[[1.0], [2.0]]] * 5 + [[[1.0], None]],
            None,
            r"1 rows are none: row 5 \(inner lists of lengths 1, None\)",
        ),
        (
            [[[1.0]]] * 5 + [None],
            Array2D((1, 1), "float32"),
            r"1 rows are none: row 5 \(nothing there\)",
        ),
    ],
)
def test_columns_of_other_than_lists_of_numbers_are_named(
    values: list[Any], kind: Any, told: str
) -> None:
    with pytest.raises(
        ValueError,
        match=rf"^clips_from_dataset: column 'x': expected lists of numbers, .*{told}",
    ):
        clips(column(values, kind), modalities={"sound": "x"})


def test_inner_shapes_that_differ_between_rows_are_named() -> None:
    with pytest.raises(
        ValueError,
        match=r"column 'x': Ragged.of: expected arrays \(length, \*shape\), one shape, "
        r"got \(1,\), \(2,\)$",
    ):
        clips(column([[[1.0]]] * 5 + [[[1.0, 2.0]]]), modalities="x")


@pytest.mark.parametrize(
    ("values", "got"), [([["a"]] * 6, r"object \(6, 1\)"), ([[True]] * 6, r"bool \(6, 1\)")]
)
def test_lists_of_other_than_numbers_are_named(values: list[Any], got: str) -> None:
    with pytest.raises(
        ValueError, match=rf"modality 'x': expected a non-empty array of numbers, got {got}$"
    ):
        clips(column(values), modalities="x")


def test_clips_with_nan_are_named_with_their_column() -> None:
    values = [[1.0, 2.0]] * 3 + [[1.0, float("nan")], [1.0, 1.0], [float("inf"), 1.0]]
    with pytest.raises(
        ValueError,
        match=r"^clip_corpus_from_dataset: Clips: split 'all': modality 'sound': 1 clips hold nan "
        r"or infinity in float32: d$",
    ):
        corpus(column(values), modalities={"sound": "x"}, id_column="name")


@pytest.mark.parametrize(
    ("values", "kind", "message"),
    [
        (
            [0.5] * 6,
            None,
            r"expected class labels, words or whole numbers, got Value\('float64'\)$",
        ),
        ([True] * 6, None, r"expected class labels, words or whole numbers, got Value\('bool'\)$"),
        ([[1]] * 6, None, r"expected class labels, words or whole numbers, got List"),
        (
            ["a", None, "", "a", "b", "b"],
            None,
            r"expected a word or number in every row, 2 have none: row 1, row 2$",
        ),
        (
            [0, 1, -1, 0, 1, -1],
            ClassLabel(names=["a", "b"]),
            r"expected labels of 2 classes, got 2 others: row 2 \(-1\), row 5 \(-1\)$",
        ),
    ],
)
def test_labels_that_are_no_class_are_named(values: list[Any], kind: Any, message: str) -> None:
    with pytest.raises(ValueError, match=rf"^clips_from_dataset: column 'x': {message}"):
        clips(column(values, kind), label="x")


def test_ids_twice_and_groups_without_a_word_are_named() -> None:
    with pytest.raises(ValueError, match=r"ids must be unique, got twice: a$"):
        clips(table(name=list("abacde")), id_column="name")
    with pytest.raises(
        ValueError, match=r"column 'session': expected a word or number in every row, 1 .*: row 5$"
    ):
        clips(table(session=[1, 1, 2, 2, 3, None]), group_column="session")


def test_rows_are_named_by_their_place_in_the_dataset() -> None:
    """Not by their place among the rows that are used."""
    source = table(said=[0, 1, 0, 1, None, 0])
    with pytest.raises(ValueError, match=r"column 'said': .*, 1 have none: row 4$"):
        corpus(source)


def test_splits_that_are_not_there_are_named() -> None:
    with pytest.raises(
        ValueError,
        match=r"^clip_corpus_from_dataset: split 'train': expected rows called train, got all "
        r"\(6 rows\);",
    ):
        corpus(split_column=None)
    with pytest.raises(
        ValueError,
        match=r"^clip_corpus_from_dataset: split 'validation': expected rows called v.*, got train",
    ):
        corpus(table(part=["train", "test"] * 3))


def test_a_class_that_is_not_trained_is_named() -> None:
    with pytest.raises(
        ValueError, match=r"ClipCorpus 'dataset': the training split has no clip of one$"
    ):
        corpus(table(said=[0, 1, 0, 0, 1, 0]))


def test_parts_that_do_not_fit_together_are_named() -> None:
    parts = datasets.DatasetDict(
        train=table(), other=table({"said": Value("string")}, said=["x"] * 6)
    )
    with pytest.raises(
        ValueError,
        match=r"^clips_from_dataset: expected train, other to have columns of the same t",
    ):
        clips(parts)


def test_sources_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    for source in (tmp_path / "gone.parquet", "nobody/nothing"):
        with pytest.raises(
            ValueError, match=f"^clips_from_dataset: {source}: no dataset that can be"
        ):
            clips(source)
        with pytest.raises(
            ValueError, match=f"^clip_corpus_from_dataset: {source}: no dataset that"
        ):
            corpus(source)


def test_no_modality_is_refused() -> None:
    with pytest.raises(ValueError, match=r"at least one clip and one modality, got 6 and 0"):
        clips(modalities=[])


@pytest.mark.parametrize("group", [[1.0, float("nan"), 2.0, 2.0, 1.0, 1.0], ["a", None, *"abba"]])
def test_rows_without_a_group_are_named(group: list[Any]) -> None:
    with pytest.raises(
        ValueError,
        match=r"^clips_from_dataset: column 'x': expected a word or number in every row, 1 have "
        r"none: row 1$",
    ):
        clips(column(group), group_column="x")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"label": "x"}, "column 'x': classes must not look alike, got 'a' and 'a '$"),
        (
            {"group_column": "x"},
            "Clips: split 'all': groups must not look alike, got 'a' and 'a '$",
        ),
    ],
)
def test_names_that_look_alike_are_refused(asked: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=f"^clips_from_dataset: {message}"):
        clips(column(["a", "b", "a ", "b", "a", "b"]), **asked)


def test_the_names_of_a_class_label_are_split_words() -> None:
    kind = ClassLabel(names=["test", "val", "train"])
    expected, named = corpus(), table({"part": kind}, part=[2, 0, 1, 2, 0, -1])
    assert corpus(named).counts == expected.counts


def test_split_words_that_are_not_understood_are_listed() -> None:
    with pytest.raises(
        ValueError, match=r"got Train \(3 rows\), Test \(3 rows\); known are train, validation, val"
    ):
        corpus(table(part=["Train", "Test"] * 3))
