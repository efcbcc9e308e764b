"""Clips, ragged ones too; corpora and their fingerprints; splits by class and by group."""

from __future__ import annotations

import pickle
import tracemalloc
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.data.clip_batches import stack_clips
from kit.data.clips import ClipBatch, ClipCorpus, Clips
from kit.data.ragged import Ragged, Taken, clip_shape, is_ragged, mean_and_deviation
from kit.data.splits import group_folds, stratified_split

CLASSES = ("bounce", "spin")
SOUND = np.arange(12, dtype=np.float32).reshape(4, 3)
TEXT = Ragged(np.arange(14, dtype=np.float32).reshape(7, 2), np.array([2, 1, 3, 1]))


def clips(**changed: Any) -> Clips:
    good: dict[str, Any] = {
        "name": "train",
        "ids": ["a", "b", "c", "d"],
        "labels": [0, 1, 1, 0],
        "modalities": {"sound": SOUND, "text": TEXT},
        "groups": ["x", "x", "y", "y"],
    }
    return Clips(**good | changed)


def corpus(**changed: Any) -> ClipCorpus:
    good: dict[str, Any] = {
        "name": "toy",
        "classes": CLASSES,
        "train": clips(),
        "validation": clips(name="validation", ids=["e", "f", "g", "h"]),
        "test": clips(name="test", ids=["i", "j", "k", "l"]),
    }
    return ClipCorpus(**good | changed)


def labelled(labels: Sequence[int], groups: Sequence[str] = ()) -> Clips:
    """Clips whose only number is their row."""
    rows = np.arange(len(labels), dtype=np.float32)[:, None]
    return Clips(
        "all", [f"clip {row}" for row in range(len(labels))], labels, {"row": rows}, groups
    )


def rows(split: Clips) -> list[int]:
    """Where the clips of a split stood in `labelled`; everything of a clip came along."""
    found = [int(one.removeprefix("clip ")) for one in split.ids]
    assert np.array_equal(split.modality("row")[:, 0], found)
    return found


# ---- ragged arrays


def test_ragged_by_hand() -> None:
    ragged = Ragged.of([[[1, 2]], [[3, 4], [5, 6], [7, 8]]])
    assert ragged.values.tolist() == [[1, 2], [3, 4], [5, 6], [7, 8]]
    assert ragged.lengths.tolist() == [1, 3]
    assert Ragged(ragged.values, np.array([1, 3], dtype=np.uint8)).lengths.dtype == np.int64
    assert len(ragged) == 2
    assert ragged[0].tolist() == [[1, 2]]
    assert ragged[1].tolist() == ragged[-1].tolist() == [[3, 4], [5, 6], [7, 8]]
    assert [part.shape for part in ragged] == [(1, 2), (3, 2)]
    with pytest.raises(IndexError):
        ragged[2]


def test_ragged_numbers_without_further_axes() -> None:
    assert [part.tolist() for part in Ragged.of([[1.0, 2.0], [3.0]])] == [[1.0, 2.0], [3.0]]


def test_ragged_take_by_hand() -> None:
    taken = TEXT.take([2, 0, 2])
    assert taken.lengths.tolist() == [3, 2, 3]
    assert taken.values[:, 0].tolist() == [6, 8, 10, 0, 2, 6, 8, 10]
    assert len(TEXT.take([])) == 0


@given(
    lengths=st.lists(st.integers(1, 4), min_size=1, max_size=6),
    width=st.integers(1, 3),
    data=st.data(),
)
@settings(deadline=None, max_examples=50)
def test_ragged_gives_back_what_it_was_made_of(
    lengths: list[int], width: int, data: st.DataObject
) -> None:
    parts = [np.random.default_rng(length).random((length, width)) for length in lengths]
    ragged = Ragged.of(parts)
    chosen = data.draw(st.lists(st.integers(0, len(lengths) - 1), max_size=8))
    assert all(np.array_equal(one, part) for one, part in zip(ragged, parts, strict=True))
    taken = ragged.take(chosen)
    assert len(taken) == len(chosen)
    assert all(np.array_equal(taken[i], parts[row]) for i, row in enumerate(chosen))


@pytest.mark.parametrize(
    ("values", "lengths", "message"),
    [
        (
            (3, 2),
            [3.0],
            r"^Ragged: lengths must be \(clips,\) whole numbers from 1, got float64 \(1,\): 3.0$",
        ),
        ((3, 2), [[3]], r"got int64 \(1, 1\): 3$"),
        ((3, 2), [3, 0], r"got int64 \(2,\): 3, 0$"),
        ((3, 2), [4, -1], r"got int64 \(2,\): 4, -1$"),
        (
            (3, 2),
            [1, 1],
            r"^Ragged: lengths must sum to rows of \(3, 2\), got 2$",
        ),
        ((3, 2), [2, 2], r"rows of \(3, 2\), got 4$"),
        ((), [1], r"sum to rows of \(\), got 1"),
        ((3, 2), [2**62, 2**62, 2**62, 2**62, 3], r"rows of \(3, 2\), got 18446744073709551619$"),
        ((3, 2), np.array([2**64 - 1, 4], np.uint64), r"got 18446744073709551619$"),
    ],
)
def test_lengths_that_do_not_fit_are_refused(
    values: tuple[int, ...], lengths: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Ragged(np.zeros(values), np.array(lengths))


@pytest.mark.parametrize("values", [None, [1, 2], 3.0, "ab"])
def test_values_that_are_no_array_are_refused(values: Any) -> None:
    with pytest.raises(ValueError, match=r"^Ragged: values must be an array, got "):
        Ragged(values, np.array([1, 1]))


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.uint64, ">i4"])
def test_lengths_may_be_of_any_type(kind: Any) -> None:
    ragged = Ragged(np.arange(200), np.full(2, 100, kind))
    assert ragged[1].tolist() == list(range(100, 200))
    assert ragged.padded(np.array([1, 0]))[0][0, 0] == 100


@pytest.mark.parametrize(
    ("rows", "got"),
    [([-1], "-1"), ([0, 4], "4"), ([True, False], "True, False"), ([0.0], "0.0"), ("ab", "ab")],
)
def test_rows_that_are_none_are_not_taken(rows: Any, got: str) -> None:
    with pytest.raises(ValueError, match=rf"^Ragged.take: expected .* 0\.\.3, got {got}$"):
        TEXT.take(rows)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (
            [],
            r"^Ragged.of: expected arrays \(length, \*shape\), one shape, got none$",
        ),
        ([np.zeros((2, 3)), np.zeros((2, 4))], r"one shape, got \(3,\), \(4,\)$"),
        ([np.zeros((2, 3)), np.zeros(2)], r"got \(\), \(3,\)$"),
        ([np.float64(1.0)], r"got \(\)$"),
        ([np.zeros((2, 3)), np.zeros((0, 3))], r"from 1, got int64 \(2,\): 2, 0$"),
    ],
)
def test_parts_that_do_not_fit_are_refused(parts: list[Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Ragged.of(parts)


# ---- a split


def test_labels_ids_and_groups_may_be_arrays() -> None:
    words = np.array(list("abcd"))
    split = clips(labels=np.array([0, 1, 1, 0], dtype=np.uint8), ids=words, groups=words)
    assert (split.labels, split.ids, split.groups) == ([0, 1, 1, 0], list("abcd"), list("abcd"))
    assert (type(split.labels[0]), type(split.ids[0]), type(split.groups[0])) == (int, str, str)
    assert type(corpus(classes=tuple(np.array(CLASSES))).classes[0]) is str
    assert len(split) == 4


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"ids": [], "labels": []},
            r"^Clips: split 'train': expected at least one clip and one modality, got 0 and 2$",
        ),
        ({"modalities": {}}, r"expected at least one clip and one modality, got 4 and 0$"),
        (
            {"labels": [0, 1]},
            r"^Clips: split 'train': expected one of labels per clip \(4\), got 2$",
        ),
        ({"groups": ["x"]}, r"expected one of groups per clip \(4\), got 1$"),
        ({"modalities": {"sound": SOUND[:3]}}, r"expected one of sound per clip \(4\), got 3$"),
        ({"modalities": {"text": TEXT.take([0])}}, r"expected one of text per clip \(4\), got 1$"),
        ({"ids": ["a", "b", "b", "a"]}, r"ids must be unique, got twice: a, b$"),
        (
            {"labels": [0, -1, 1, 1]},
            r"labels must be whole numbers of at least 0, got int64 \(4,\): -1, 0, 1$",
        ),
        ({"ids": None}, r"^Clips: split 'train': expected several ids in a list, got None$"),
        ({"labels": 3}, r"expected several labels in a list, got 3$"),
        ({"groups": np.float64(2)}, r"expected several groups in a list, got np.float64"),
        ({"modalities": None}, r"^Clips: split 'train': expected modalities by name, got None$"),
        ({"modalities": [SOUND]}, r"expected modalities by name, got \[array"),
        (
            {"modalities": {"sound": None}},
            r"expected several clips of 'sound' in a list, got None$",
        ),
        ({"ids": "abcd"}, r"expected several ids in a list, got one text: 'abcd'$"),
        ({"groups": "xxyy"}, r"expected several groups in a list, got one text: 'xxyy'$"),
        ({"labels": "0110"}, r"expected several labels in a list, got one text: '0110'$"),
        ({"ids": [1, "1", 2, 3]}, r"ids must not look alike, got 1 and '1'$"),
        ({"ids": ["a", "a ", "b", "c"]}, r"ids must not look alike, got 'a' and 'a '$"),
        (
            {"ids": ["a", None, "b", "c"]},
            r"ids: expected a name for each, 1 of 4 have none: rows 1",
        ),
        ({"groups": [None, "x", "y", "y"]}, r"groups: expected .*, 1 of 4 have none: rows 0$"),
        ({"groups": np.array([1, np.nan, 1, np.nan])}, r"2 of 4 have none: rows 1, 3$"),
        (
            {"groups": ["x", "x\u200b", "y", "y"]},
            r"groups must not look alike, got 'x' and 'x.u200b",
        ),
        ({"labels": [0.0, 1.0, 1.0, 0.5]}, r"at least 0, got float64 \(4,\): 0.0, 0.5, 1.0$"),
        ({"labels": ["bounce", "spin", "spin", "spin"]}, r"got <U6 \(4,\): bounce, spin$"),
        ({"labels": [True, False, True, True]}, r"got bool \(4,\): False, True$"),
        ({"labels": [0, 1, None, 1]}, r"got object \(4,\): 0, 1, None$"),
        ({"labels": [[0], [1], [1], [0]]}, r"got int64 \(4, 1\): 0, 1$"),
    ],
)
def test_clips_that_do_not_belong_together_are_refused(
    changed: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        clips(**changed)


@pytest.mark.parametrize(
    ("modality", "got"),
    [
        (np.array(list("abcd")), r"<U1 \(4,\)"),
        (np.zeros((4, 2), dtype=bool), r"bool \(4, 2\)"),
        (np.zeros((4, 2), dtype=complex), r"complex128 \(4, 2\)"),
        (np.zeros((4, 0)), r"float64 \(4, 0\)"),
        (Ragged(np.zeros((4, 0)), np.ones(4, dtype=int)), r"float64 \(4, 0\)"),
        ([[1], [2], [3], [4]], r"list \(4, 1\)"),
    ],
)
def test_a_modality_of_other_than_numbers_is_named(modality: Any, got: str) -> None:
    with pytest.raises(
        ValueError,
        match=rf"^Clips: split 'train': modality 'odd': expected a non-empty array of .* {got}$",
    ):
        clips(modalities={"sound": SOUND, "odd": modality})


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_clips_with_numbers_that_are_not_finite_are_named(wrong: float) -> None:
    fixed, values = SOUND.copy(), TEXT.values.copy()
    fixed[[1, 3], 0] = wrong
    values[3, 1] = wrong  # in the third clip, whose rows are 3, 4, 5
    with pytest.raises(
        ValueError, match=r"modality 'sound': 2 clips hold nan or infinity in float32: b, d$"
    ):
        clips(modalities={"text": TEXT, "sound": fixed})
    with pytest.raises(
        ValueError, match=r"modality 'text': 1 clips hold nan or infinity in float32: c$"
    ):
        clips(modalities={"text": Ragged(values, TEXT.lengths), "sound": SOUND})


@pytest.mark.parametrize("kind", ["<f8", ">f8", "g"])
def test_numbers_beyond_float32_are_named(kind: str) -> None:
    sound = SOUND.astype(kind)
    sound[2] = 1e39
    with pytest.raises(ValueError, match=r"'sound': 1 clips hold nan or infinity in float32: c$"):
        clips(modalities={"sound": sound})


@pytest.mark.parametrize("kind", ["<f4", ">f4", "<f8", ">f8", "g", ">i2", "<u4", ">f2"])
def test_numbers_of_any_real_type_give_the_same_batches(kind: str) -> None:
    numbers = np.arange(24, dtype=np.float32).reshape(4, 2, 3)
    ragged = np.arange(14, dtype=np.float32).reshape(7, 2)
    batches, prints = [], set()
    for dtype in ("<f4", kind):
        text = Ragged(ragged.astype(dtype), TEXT.lengths)
        split = clips(modalities={"video": numbers.astype(dtype), "text": text})
        batches.append(stack_clips(split, ["video", "text"], [0, 2]).modalities)
        prints |= {corpus_of(split).fingerprint() for _ in range(2)}
        mean, deviation = mean_and_deviation(split.modality("video"))
        assert mean.tolist() == [10.5, 11.5, 12.5]
        assert np.allclose(deviation, np.std(numbers, axis=(0, 1)))
    for name, values in batches[0].items():
        assert values.dtype == batches[1][name].dtype == torch.float32
        assert torch.equal(values, batches[1][name])
    assert len(prints) == (1 if kind == "<f4" else 2)


def corpus_of(split: Clips) -> ClipCorpus:
    train, validation = split.take([0, 1]), split.take([2], name="validation")
    return ClipCorpus("toy", CLASSES, train, validation, split.take([3], name="test"))


def test_modalities_by_name() -> None:
    assert clips().modality("sound") is SOUND
    with pytest.raises(
        ValueError, match=r"^Clips: split 'train' has no modality 'video', only sound, text$"
    ):
        clips().modality("video")


def test_the_shape_of_a_clip_is_without_its_length_if_ragged() -> None:
    assert clip_shape(np.zeros((4, 8, 32, 32, 3))) == (8, 32, 32, 3)
    assert clip_shape(TEXT) == (2,)
    assert clip_shape(np.zeros(4)) == ()


def test_take_by_hand() -> None:
    taken = clips().take(np.array([3, 1]), name="some")
    assert taken.name == "some"
    assert (taken.ids, taken.labels, taken.groups) == (["d", "b"], [0, 1], ["y", "x"])
    assert taken.modality("sound").tolist() == [[9, 10, 11], [3, 4, 5]]
    text = taken.modality("text")
    assert isinstance(text, Ragged)
    assert [part.tolist() for part in text] == [[[12, 13]], [[4, 5]]]
    assert clips().take([0]).name == "train"
    assert clips(groups=()).take([0]).groups == []


@pytest.mark.parametrize("chosen", [[1, 2], [3], [2, 1], [0, 1, 3], [0, 1, 2, 3]])
def test_take_of_blocks_and_of_other_rows(chosen: list[int]) -> None:
    taken = clips().take(chosen)
    assert np.array_equal(taken.modality("sound"), SOUND[chosen])
    assert taken.ids == [list("abcd")[row] for row in chosen]


def test_a_block_of_rows_is_not_copied() -> None:
    assert np.shares_memory(clips().take(range(1, 4)).modality("sound"), SOUND)
    assert not np.shares_memory(clips().take([1, 3]).modality("sound"), SOUND)


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (
            [],
            r"^Clips: split 'train': expected numbers of rows, 0..3, got none$",
        ),
        ([3, 4, -1], r"expected numbers of rows, 0..3, got 4, -1$"),
        ([0, 0], r"ids must be unique, got twice: a$"),
        (
            [False, True, True, False],
            r"split 'train': expected numbers of rows, .* got False, True, True, False$",
        ),
        ([1.0], r"expected numbers of rows, .* got 1.0$"),
    ],
)
def test_rows_that_cannot_be_taken(chosen: list[Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        clips().take(chosen)


def test_clips_travel_to_workers() -> None:
    there = pickle.loads(pickle.dumps(clips()))
    assert there.ids == ["a", "b", "c", "d"]
    assert there.modality("text")[2].tolist() == TEXT[2].tolist()


def test_a_modality_made_of_another() -> None:
    more = clips().with_modality("mean", "sound", lambda sound: sound.mean(keepdims=True))
    assert list(more.modalities) == ["sound", "text", "mean"]
    assert more.modality("mean").tolist() == [[1], [4], [7], [10]]
    assert list(clips().modalities) == ["sound", "text"]
    assert (more.ids, more.labels, more.groups) == (clips().ids, clips().labels, clips().groups)
    double = more.with_modality("double", "text", lambda text: 2 * text).modality("double")
    assert isinstance(double, Ragged)
    assert double[3].tolist() == [[24, 26]]


def test_a_modality_is_not_made_twice_nor_of_nothing() -> None:
    with pytest.raises(ValueError, match=r"^Clips: split 'train' has a modality 'text' already$"):
        clips().with_modality("text", "sound", np.sqrt)
    with pytest.raises(
        ValueError, match=r"^Clips: split 'train' has no modality 'video', only sou"
    ):
        clips().with_modality("log_mel", "video", np.sqrt)


def test_pooled_sequences_are_vectors_and_one_shape_is_asked_of_one_size() -> None:
    split = clips()
    pooled = split.with_modality("pooled", "text", lambda text: text.max(0)).modality("pooled")
    assert isinstance(pooled, np.ndarray)
    assert pooled.tolist() == [text.max(0).tolist() for text in split.modality("text")]
    sizes = iter(range(1, len(split) + 1))
    with pytest.raises(
        ValueError,
        match=r"modality 'cut': expected clips like 'a' float64 \(1,\), got 3 others: b",
    ):
        split.with_modality("cut", "sound", lambda _: np.zeros(next(sizes)))


# ---- modalities that are asked for

CLIP = 10_000  # bytes of a clip of `Lazy`


class Lazy:
    """Clips that are made when they are asked for; each asking is noted."""

    def __init__(self, count: int = 200, *, ragged: bool = False, odd: object = None) -> None:
        self.count, self.ragged, self.odd = count, ragged, odd
        self.asked: list[int] = []

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, row: int) -> Any:
        self.asked.append(row)
        if row == 7 and self.odd is not None:
            return self.odd
        steps = 2 + row % 3 if self.ragged else 4
        return np.full((steps, CLIP // 16), row, dtype=np.float32)


def lazy_clips(modality: Any, name: str = "train") -> Clips:
    count = len(modality)
    ids = [f"{name} {row}" for row in range(count)]
    return Clips(name, ids, [row % 2 for row in range(count)], {"lazy": modality})


def in_memory(lazy: Any) -> Any:
    parts = [lazy[row] for row in range(len(lazy))]
    return Ragged.of(parts) if lazy.ragged else np.stack(parts)


@pytest.mark.parametrize("ragged", [False, True])
def test_a_lazy_modality_is_read_once_and_stays_lazy(ragged: bool) -> None:
    lazy = Lazy(9, ragged=ragged)
    split = lazy_clips(lazy)
    assert sorted(set(lazy.asked)) == [*range(9)]
    assert len(lazy.asked) == 10  # the first clip says what the others must be like
    lazy.asked.clear()
    taken = split.take([8, 2, 5]).take([2, 0])
    assert lazy.asked == []
    modality = taken.modality("lazy")
    assert (len(modality), is_ragged(modality)) == (2, ragged)
    assert [int(modality[row][0, 0]) for row in (0, 1)] == [5, 8]
    assert lazy.asked == [5, 8]
    assert clip_shape(modality) == ((625,) if ragged else (4, 625))


@pytest.mark.parametrize("ragged", [False, True])
def test_a_lazy_modality_says_and_hashes_as_one_in_memory(ragged: bool) -> None:
    def corpus_of(modality: Any) -> ClipCorpus:
        whole = lazy_clips(modality)
        parts = [whole.take(rows, name=str(rows)) for rows in ([0, 1, 2], [3, 5], [8, 4])]
        return ClipCorpus("lazy", CLASSES, *parts)

    lazy = Lazy(9, ragged=ragged)
    there, here = corpus_of(lazy), corpus_of(in_memory(lazy))
    assert there.fingerprint() == here.fingerprint()
    for name, transform in (("double", lambda x: 2 * x), ("pooled", lambda x: x.max(0))):
        a, b = (one.with_modality(name, "lazy", transform) for one in (there, here))
        assert a.fingerprint() == b.fingerprint() != here.fingerprint()


def test_checks_hashes_and_what_is_derived_hold_few_clips_at_a_time() -> None:
    tracemalloc.start()
    try:
        split = lazy_clips(Lazy())
        parts = (split.take(range(100), name="a"), split.take([100, 102], name="b"))
        ClipCorpus("lazy", CLASSES, *parts, split.take([199, 150], name="c")).fingerprint()
        split.with_modality("pooled", "lazy", lambda clip: clip.mean(keepdims=True))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20 * CLIP  # of 200


@pytest.mark.parametrize(
    ("odd", "ragged", "message"),
    [
        (
            np.full((4, 625), np.nan, np.float32),
            False,
            r"1 clips hold nan or infinity in float32: train 7$",
        ),
        (
            np.zeros((4, 625)),
            False,
            r"float32 \(4, 625\), got 1 others: train 7 \(float64 \(4, 625\)\)$",
        ),
        (np.zeros((5, 625), np.float32), False, r"expected clips like 'train 0' float32"),
        (np.zeros((5, 624), np.float32), True, r"got 1 others: train 7 \(float32 \(5, 624\)\)$"),
        (np.zeros((0, 625), np.float32), True, r"got 1 others: train 7 \(float32 \(0, 625\)\)$"),
        ("a word", False, r"got 1 others: train 7 \(<U6 \(\)\)$"),
    ],
)
def test_clips_of_a_lazy_modality_that_do_not_fit_are_named(
    odd: Any, ragged: bool, message: str
) -> None:
    with pytest.raises(ValueError, match=rf"^Clips: split 'train': modality 'lazy': .*{message}"):
        lazy_clips(Lazy(9, ragged=ragged, odd=odd))


def test_rows_of_what_is_on_the_disk_are_not_copied(tmp_path: Path) -> None:
    np.save(tmp_path / "sound.npy", SOUND)
    mapped = np.load(tmp_path / "sound.npy", mmap_mode="r")
    split = clips(modalities={"sound": mapped, "text": Ragged(mapped, np.array([1, 1, 1, 1]))})
    taken = split.take([3, 1])
    for name in ("sound", "text"):
        modality = taken.modality(name)
        assert isinstance(modality, Taken)
        assert np.shares_memory(modality[0], mapped)
        assert modality[1].ravel().tolist() == [3, 4, 5]
    assert isinstance(split.take([1, 2]).modality("sound"), np.memmap)
    assert isinstance(clips().take([3, 1]).modality("sound"), np.ndarray)


@pytest.mark.parametrize("name", ["/x/y", "..", ".a", "", "a\\b"])
def test_a_modality_whose_name_cannot_be_a_files_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"^Clips: split 'train': modality .* file's? name"):
        clips(modalities={name: SOUND})


# ---- a corpus


def test_a_corpus_counts_its_splits() -> None:
    assert corpus().counts == {"train": 4, "validation": 4, "test": 4}
    assert [split.name for split in corpus().splits] == ["train", "validation", "test"]
    assert "SOUND" not in repr(corpus())
    assert "array" not in repr(corpus())


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"test": clips(name="test", ids=["d", "x", "a", "z"])},
            r"^ClipCorpus 'toy': 2 clips are in 'train' and in 'test': a, d$",
        ),
        (
            {"test": clips(name="test", ids=["h", "x", "y", "z"])},
            r"1 clips are in 'validation' and in 'test': h$",
        ),
        (
            {"test": clips(name="test", ids=list("ijkl"), modalities={"sound": SOUND})},
            r"'test' has \{'sound': 'float32 \(3,\)'\}, 'train' has "
            r"\{'sound': 'float32 \(3,\)', 'text': 'ragged float32 \(2,\)'\}$",
        ),
        (
            {
                "validation": clips(
                    name="validation", ids=list("efgh"), modalities={"sound": SOUND, "text": SOUND}
                )
            },
            r"'validation' has \{.*'text': 'float32 \(3,\)'\}, 'train' has \{.*'ragged float32",
        ),
        (
            {
                "test": clips(
                    name="test",
                    ids=list("ijkl"),
                    modalities={"sound": SOUND.astype(np.uint8), "text": TEXT},
                )
            },
            r"'test' has \{'sound': 'uint8 \(3,\)', .* 'train' has \{'sound': 'float32 \(3,\)'",
        ),
        (
            {"test": clips(name="test", ids=list("ijkl"), labels=[0, 3, 2, 3])},
            r"labels must be 0..1, got in 'test': 2, 3$",
        ),
        (
            {"classes": ("bounce", "spin", "fade", "pour")},
            r"the training split has no clip of fade, pour$",
        ),
        (
            {"classes": ("spin", "spin")},
            r"^ClipCorpus 'toy': classes must be unique, got twice: spin$",
        ),
        ({"classes": ("spin", "spin ")}, r"classes must not look alike, got 'spin' and 'spin '$"),
        ({"classes": ("spin", None)}, r"classes: expected a name for each, 1 of 2 have none: ro"),
        ({"classes": "ab"}, r"expected several classes in a list, got one text: 'ab'$"),
        (
            {"test": clips(name="test", ids=["a ", "i", "j", "k"])},
            r"^ClipCorpus 'toy': ids must not look alike, got 'a' and 'a '$",
        ),
        (
            {"test": clips(name="test", ids=list("ijkl"), groups=["x", "x", "x", " y"])},
            r"^ClipCorpus 'toy': groups must not look alike, got 'y' and ' y'$",
        ),
        (
            {"test": clips(name="train", ids=list("ijkl"))},
            r"^ClipCorpus 'toy': splits must be unique, got twice: train$",
        ),
    ],
)
def test_corpora_that_do_not_fit_together_are_refused(
    changed: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        corpus(**changed)


def test_validation_and_test_need_not_have_every_class() -> None:
    assert (
        corpus(test=clips(name="test", ids=list("ijkl"), labels=[1, 1, 1, 1])).counts["test"] == 4
    )


def test_equal_corpora_have_one_fingerprint() -> None:
    first = corpus().fingerprint()
    assert len(first) == 32
    assert corpus().fingerprint() == first
    # What does not decide what is learnt: names, notes, groups, the order of the modalities, how
    # ids and classes are kept.
    assert corpus(name="other", notes=("a note",)).fingerprint() == first
    assert corpus(train=clips(groups=())).fingerprint() == first
    assert corpus(train=clips(modalities={"text": TEXT, "sound": SOUND})).fingerprint() == first
    columns = np.asfortranarray(SOUND)
    assert corpus(train=clips(modalities={"sound": columns, "text": TEXT})).fingerprint() == first
    assert corpus(train=clips(ids=np.array(list("abcd")))).fingerprint() == first
    assert corpus(classes=tuple(np.array(CLASSES))).fingerprint() == first


def test_arrays_on_a_disk_have_the_fingerprint_of_those_in_memory(tmp_path: Path) -> None:
    np.save(tmp_path / "sound.npy", SOUND)
    mapped = np.load(tmp_path / "sound.npy", mmap_mode="r")
    again = corpus(train=clips(modalities={"sound": mapped, "text": TEXT}))
    assert again.fingerprint() == corpus().fingerprint()


def test_the_fingerprint_changes_with_all_that_decides_a_training() -> None:
    louder, said = SOUND.copy(), TEXT.values.copy()
    louder[2, 1] += 1
    said[6, 1] += 1
    other_cut = Ragged(TEXT.values, np.array([1, 2, 3, 1]))
    turned = np.asfortranarray(SOUND.T.reshape(4, 3))
    first, second, third = corpus().splits
    changed = [
        corpus(),
        corpus(classes=("spin", "bounce")),
        corpus(train=clips(labels=[0, 1, 1, 1])),
        corpus(train=clips(ids=["b", "a", "c", "d"])),
        corpus(train=clips(modalities={"sound": louder, "text": TEXT})),
        corpus(train=clips(modalities={"sound": turned, "text": TEXT})),
        corpus(train=clips(modalities={"sound": SOUND, "text": Ragged(said, TEXT.lengths)})),
        corpus(train=clips(modalities={"sound": SOUND, "text": other_cut})),
        corpus(train=clips().take([1, 0, 2, 3])),
        corpus(train=replace(third, name="train"), test=replace(first, name="test")),
        corpus(validation=replace(third, name="validation"), test=replace(second, name="test")),
        corpus(test=third.take([0, 1, 2])),
        corpus(test=replace(third, labels=[0, 0, 1, 0])),
        *(
            ClipCorpus("toy", CLASSES, *(replace(s, modalities=m) for s in corpus().splits))
            for m in (
                {"sound": SOUND},
                {"noise": SOUND, "text": TEXT},
                {"sound": SOUND.astype(np.float64), "text": TEXT},
                {"sound": SOUND.view(np.int32), "text": TEXT},  # the same bytes
                {"sound": SOUND.reshape(4, 3, 1), "text": TEXT},
                {"sound": SOUND, "text": SOUND},
            )
        ),
    ]
    prints = [one.fingerprint() for one in changed]
    assert len(set(prints)) == len(prints)


# ---- splits by class


@given(
    sizes=st.lists(st.integers(3, 40), min_size=1, max_size=4),
    shares=st.sampled_from([(0.6, 0.2, 0.2), (0.8, 0.1, 0.1), (0.2, 0.4, 0.4), (0.1, 0.1, 0.8)]),
    seed=st.integers(0, 5),
)
@settings(deadline=None, max_examples=60)
def test_a_stratified_split_is_disjoint_complete_and_keeps_the_shares(
    sizes: list[int], shares: tuple[float, float, float], seed: int
) -> None:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    labels = np.random.default_rng(seed).permutation(labels)
    classes = tuple(f"class {label}" for label in range(len(sizes)))
    split = stratified_split(labelled(labels), classes, name="toy", shares=shares, seed=seed)
    parts = [rows(part) for part in split.splits]
    assert sorted(row for part in parts for row in part) == list(range(len(labels)))
    assert all(part == sorted(part) for part in parts)
    for part, share in zip(split.splits, shares, strict=True):
        assert part.labels == [labels[row] for row in rows(part)]
        counts = Counter(part.labels)
        for label, size in enumerate(sizes):
            assert counts[label] >= 1
            if size >= 10:  # both held-out parts are rounded, training has the rest
                assert abs(counts[label] - share * size) <= 1


def test_a_stratified_split_by_hand() -> None:
    """Ten clips of class 0: 6, 2, 2; five of class 1: 3, 1, 1; three of class 2: 1, 1, 1."""
    labels = [0] * 10 + [1] * 5 + [2] * 3
    split = stratified_split(labelled(labels), ("a", "b", "c"), name="toy", seed=0)
    assert split.name == "toy"
    assert [Counter(part.labels) for part in split.splits] == [
        {0: 6, 1: 3, 2: 1},
        {0: 2, 1: 1, 2: 1},
        {0: 2, 1: 1, 2: 1},
    ]


def test_a_split_that_tears_groups_apart_says_so() -> None:
    groups = [f"s{row % 2}" for row in range(12)]
    (note,) = stratified_split(labelled([0, 1] * 6, groups), ("a", "b"), name="toy", seed=0).notes
    assert note.startswith("2 of 2 groups are in the test split and in another: a random split may")
    alone = [f"s{row}" for row in range(12)]
    assert stratified_split(labelled([0, 1] * 6, alone), ("a", "b"), name="toy", seed=0).notes == ()


def test_large_shares_leave_a_clip_for_training() -> None:
    shares = (0.02, 0.49, 0.49)
    split = stratified_split(labelled([0] * 3), ("a",), name="toy", shares=shares, seed=0)
    assert list(split.counts.values()) == [1, 1, 1]
    split = stratified_split(labelled([0] * 4), ("a",), name="toy", shares=shares, seed=0)
    assert list(split.counts.values()) == [1, 1, 2]


def test_a_stratified_split_is_a_function_of_its_seed() -> None:
    labels = [0, 1] * 30
    first, again, other = (
        stratified_split(labelled(labels), CLASSES, name="toy", seed=seed) for seed in (1, 1, 2)
    )
    assert first.fingerprint() == again.fingerprint() != other.fingerprint()
    assert set(first.test.ids) != set(other.test.ids)
    state = np.random.get_state()[1].tolist()
    stratified_split(labelled(labels), CLASSES, name="toy", seed=0)
    assert np.random.get_state()[1].tolist() == state


def test_over_seeds_every_clip_is_tested_equally_often() -> None:
    """100 splits test 20 clips of 100 each: 20 times on average, deviation 4."""
    tested: Counter[int] = Counter()
    for seed in range(100):
        split = stratified_split(labelled([0] * 100), ("a",), name="toy", seed=seed)
        tested.update(rows(split.test))
    assert len(tested) == 100
    assert max(tested.values()) < 36


@pytest.mark.parametrize(
    "shares",
    [
        (0.5, 0.5),
        (0.6, 0.2, 0.1),
        (0.8, 0.2, 0.0),
        (1.2, -0.1, -0.1),
        (0.6, float("nan"), 0.2),
        (),
        None,
        ("a", 1, 1),
    ],
)
def test_impossible_shares_are_refused(shares: tuple[float, ...]) -> None:
    with pytest.raises(
        ValueError,
        match=r"^stratified_split: shares must be three positive numbers that sum to 1, got ",
    ):
        stratified_split(labelled([0] * 5), ("a",), name="toy", shares=shares, seed=0)


@pytest.mark.parametrize("seed", [-1, 1.5, "0", None])
def test_what_is_no_seed_is_refused(seed: Any) -> None:
    message = "seed must be a whole number of at least 0"
    with pytest.raises(ValueError, match=f"^stratified_split: {message}"):
        stratified_split(labelled([0] * 9), ("one",), name="toy", seed=seed)
    grouped = labelled([0] * 9, ["x", "y", "z"] * 3)
    with pytest.raises(ValueError, match=f"^group_folds: {message}"):
        next(group_folds(grouped, ("one",), name="toy", seed=seed))


def test_a_class_of_two_clips_cannot_be_split() -> None:
    with pytest.raises(
        ValueError,
        match=r"^stratified_split: expected at least 3 clips of a class, got 2 of label 1$",
    ):
        stratified_split(labelled([0, 1, 0, 1, 0]), CLASSES, name="toy", seed=0)


def test_a_label_without_a_class_cannot_be_split() -> None:
    with pytest.raises(
        ValueError, match=r"^ClipCorpus 'toy': labels must be 0..1, got in 'train': 2$"
    ):
        stratified_split(labelled([0, 1, 2] * 3), CLASSES, name="toy", seed=0)


# ---- splits by group

SESSIONS = [f"session {row % 5}" for row in range(100)]
EMOTIONS = [row // 5 % 2 for row in range(100)]  # ten of each class in each session


def folds(**changed: Any) -> list[tuple[str, ClipCorpus]]:
    arguments: dict[str, Any] = {"name": "toy"} | changed
    return list(group_folds(labelled(EMOTIONS, SESSIONS), CLASSES, **arguments))


def test_each_group_is_tested_once_and_never_leaks() -> None:
    found = folds()
    assert [group for group, _ in found] == [f"session {number}" for number in range(5)]
    for group, fold in found:
        assert fold.name == f"toy, {group} tested"
        assert set(fold.test.groups) == {group}
        assert group not in {*fold.train.groups, *fold.validation.groups}
        parts = [rows(part) for part in fold.splits]
        assert sorted(row for part in parts for row in part) == list(range(100))
        assert rows(fold.test) == [row for row in range(100) if SESSIONS[row] == group]
    tested = [row for _, fold in found for row in rows(fold.test)]
    assert sorted(tested) == list(range(100))


@pytest.mark.parametrize(("validation", "expected"), [(0.1, 4), (0.25, 10), (0.001, 1)])
def test_validation_has_a_share_of_each_class_of_the_other_groups(
    validation: float, expected: int
) -> None:
    """40 clips of each class are in the other groups."""
    for _, fold in folds(validation=validation):
        assert Counter(fold.validation.labels) == {0: expected, 1: expected}
        assert Counter(fold.train.labels) == {0: 40 - expected, 1: 40 - expected}


def test_folds_are_a_function_of_their_seed() -> None:
    first, again, other = (
        [fold.fingerprint() for _, fold in folds(seed=seed)] for seed in (0, 0, 1)
    )
    assert first == again
    assert not set(first) & set(other)


def test_each_fold_draws_on_its_own() -> None:
    """Told by the places of what is drawn among all that could be."""
    places = set()
    for group, fold in folds():
        others = [row for row in range(100) if SESSIONS[row] != group]
        places.add(tuple(others.index(row) for row in rows(fold.validation)))
    assert len(places) == 5


def test_one_group_less_does_not_change_what_the_folds_before_it_test() -> None:
    kept = [row for row in range(100) if SESSIONS[row] != "session 4"]
    fewer = list(group_folds(labelled(EMOTIONS, SESSIONS).take(kept), CLASSES, name="toy"))
    for (group, fold), (other_group, other) in zip(folds()[:4], fewer, strict=True):
        assert group == other_group
        assert fold.test.ids == other.test.ids


@pytest.mark.parametrize("groups", [(), ["x"] * 6])
def test_folds_need_two_groups(groups: Sequence[str]) -> None:
    with pytest.raises(
        ValueError,
        match=rf"^group_folds: expected clips of at least two groups, got {len(set(groups))}$",
    ):
        next(group_folds(labelled([0, 1] * 3, groups), CLASSES, name="toy"))


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, float("nan")])
def test_validation_is_a_share(share: float) -> None:
    with pytest.raises(
        ValueError, match=r"^group_folds: expected validation between 0 and 1, got "
    ):
        folds(validation=share)


def test_a_class_that_only_one_group_has_cannot_be_tested_there() -> None:
    groups = ["x"] * 4 + ["y"] * 4
    with pytest.raises(
        ValueError, match=r"'toy, y tested': the training split has no clip of spin"
    ):
        list(group_folds(labelled([0, 0, 0, 0, 0, 0, 1, 1], groups), CLASSES, name="toy"))


# ---- a batch


def test_a_batch_names_its_parts_and_knows_who_has_a_classmate() -> None:
    labels, indices = torch.tensor([0, 1, 0]), torch.tensor([5, 9, 2])
    batch = ClipBatch.of({"sound": torch.zeros(3, 3)}, {"sound": labels}, labels, indices)
    assert batch._fields == ("modalities", "lengths", "labels", "indices", "classmates")
    assert batch.modalities["sound"].shape == (3, 3)
    assert batch.classmates.tolist() == [0, 2]


def test_a_batch_moves_but_for_what_decides_shapes() -> None:
    labels = torch.tensor([0, 1, 0])
    batch = ClipBatch.of({"sound": torch.zeros(3, 3)}, {"sound": labels}, labels, labels)
    moved = batch.to(torch.device("meta"))
    parts = (moved.modalities["sound"], moved.labels, moved.indices)
    assert {part.device.type for part in parts} == {"meta"}
    assert {moved.lengths["sound"].device.type, moved.classmates.device.type} == {"cpu"}
