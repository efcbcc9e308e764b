"""Splits, corpora, and the order in which pairs come."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from kit.data.epochs import TrainingLoader
from kit.data.images import FolderImages, TransformedImages
from kit.data.pairs import (
    CaptionedImages,
    Corpus,
    TrainingPairs,
    Vocabulary,
    batches_by_length,
    default_workers,
)
from kit.encoders.image import ImageTransform
from kit.retrieval.images import ImageFeatures
from kit.worlds.scenes import scenes


def blank(index: int) -> Image.Image:
    return Image.new("RGB", (2, 2))


GOOD: dict[str, Any] = {
    "name": "train",
    "image_names": ["a", "b", "c"],
    "image_labels": [30, 10, 30],
    "captions": ["one", "one two", "one", "one two three"],
    "caption_images": [2, 0, 1, 0],
    "open_image": blank,
}


def split(**changed: Any) -> CaptionedImages:
    return CaptionedImages(**GOOD | changed)


class Numbered:
    """Pictures that say which one they are and whether they are mirrored."""

    def __init__(self, *, in_memory: bool = False) -> None:
        self.in_memory = in_memory

    def __call__(self, rows: NDArray[np.int64], flipped: NDArray[np.bool_] | None = None) -> Tensor:
        mirrored = np.zeros(len(rows)) if flipped is None else flipped
        return torch.from_numpy(np.stack([rows, mirrored], axis=1).astype(np.float32))


def pairs(
    captions: Sequence[str], *, seed: int = 0, mirrored: bool = True, in_memory: bool = False
) -> TrainingPairs:
    data = split(
        image_names=[str(i) for i in range(len(captions))],
        image_labels=range(len(captions)),
        captions=captions,
        caption_images=range(len(captions)),
        mirrored=mirrored,
    )
    pictures = Numbered(in_memory=in_memory)
    return TrainingPairs(data, pictures, Vocabulary.of(["word"], min_count=1), seed=seed)


def sentences(count: int) -> list[str]:
    return ["word " * (1 + 7 * index % 13) for index in range(count)]


# ---- splits and corpora


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"image_names": []},
            r"^CaptionedImages: split 'train': expected at least one image, got none$",
        ),
        (
            {"image_labels": [1]},
            r"split 'train': expected one of image_labels per image \(3\), got 1",
        ),
        ({"captions": ["x"]}, r"expected one of caption_images per caption \(1\), got 4"),
        ({"image_names": ["a", "b", "a"]}, r"image_names must be unique, got twice: a"),
        ({"image_names": ["a", "b", "a "]}, r"image_names must not look alike, got 'a' and 'a '$"),
        (
            {"image_names": ["a", None, "b"]},
            r"image_names: expected a name for each, 1 of 3 have no",
        ),
        ({"image_names": "abc"}, r"expected several image_names in a list, got one text: 'abc'$"),
        ({"image_names": None}, r"expected several image_names in a list, got None$"),
        ({"image_labels": 3}, r"expected several image_labels in a list, got 3$"),
        ({"image_labels": [0, None, 1]}, r"image_labels must be whole numbers, got object$"),
        (
            {"image_labels": [0, float("nan"), 1]},
            r"image_labels must be whole numbers, got float64$",
        ),
        ({"captions": "abcd"}, r"expected several captions in a list, got one text: 'abcd'$"),
        (
            {"captions": ["one", "两个孩子在海边。", "a", "b"]},
            r"1 others: .* without blanks between",
        ),
        (
            {"captions": ["one", "['a dog']", None, "b"]},
            r"2 others: .* is a list kept as text, None",
        ),
        ({"captions": [], "caption_images": []}, r"3 images without captions: a, b, c$"),
        ({"caption_images": [2, 0, 1, 0.5]}, r"caption_images must be whole numbers, got float64$"),
        ({"caption_images": ["2", "0", "1", "0"]}, r"must be whole numbers, got <U1$"),
        ({"caption_images": [2, 0, 1, 3]}, r"caption_images must lie in 0\.\.2, got 3"),
        ({"caption_images": [2, 0, 1, -1]}, r"caption_images must lie in 0\.\.2, got -1"),
        ({"caption_images": [0, 0, 0, 0]}, r"split 'train': 2 images without captions: b, c$"),
    ],
)
def test_a_split_that_cannot_be_is_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        split(**changed)


@pytest.mark.parametrize("image", [-1, 3, 1.0, None, True])
def test_what_is_no_image_has_no_captions(image: Any) -> None:
    message = r"^CaptionedImages: split 'train': expected numbers of rows, 0\.\.2, got "
    with pytest.raises(ValueError, match=message):
        split().captions_of(image)


def test_captions_have_their_images_labels() -> None:
    assert split().caption_labels == [30, 30, 10, 30]
    said = [split().captions_of(image) for image in range(3)]
    assert said == [["one two", "one two three"], ["one"], ["one"]]


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 4), max_size=20))
def test_captions_are_found_by_their_image(images: list[int]) -> None:
    images = [*images, *range(5)]
    said = [f"caption {row}" for row in range(len(images))]
    data = split(
        image_names=list("abcde"), image_labels=range(5), captions=said, caption_images=images
    )
    for image in range(5):
        expected = [one for one, index in zip(said, images, strict=True) if index == image]
        assert data.captions_of(image) == expected


def test_every_pixel_of_every_picture_is_in_the_content_hash_and_each_is_opened_once() -> None:
    opened: list[int] = []

    def pictures(changed: int | None = None) -> Any:
        def open_image(index: int) -> Image.Image:
            opened.append(index)
            image = Image.new("RGB", (40, 30), (index, 0, 0))
            if index == changed:
                image.putpixel((39, 29), (index, 0, 1))
            return image

        return open_image

    first = split(open_image=pictures())
    hashes = {split(open_image=pictures(changed)).content_hash() for changed in range(3)}
    assert len(hashes | {first.content_hash()}) == 4
    opened.clear()
    assert split(open_image=pictures()).content_hash() == first.content_hash()
    assert first.content_hash() == first.content_hash()
    assert opened == [0, 1, 2]


def test_an_opener_that_knows_its_content_is_asked_and_not_opened() -> None:
    class Known:
        def __call__(self, index: int) -> Image.Image:
            raise AssertionError("opened")

        def content_hash(self) -> str:
            return "abc"

    assert split(open_image=Known()).content_hash() == "abc"


SPLITS = ("train", "validation", "test")


def three(**changed: dict[str, Any]) -> Corpus:
    """A corpus; `test={"captions": ...}` changes a split."""
    parts = {
        name: split(
            **{"name": name, "image_names": [f"{name}{i}" for i in range(3)]}
            | changed.get(name, {})
        )
        for name in SPLITS
    }
    return Corpus("mine", **parts)


def test_a_corpus_counts_its_splits() -> None:
    assert three().counts == {name: {"images": 3, "captions": 4} for name in SPLITS}
    assert [part.name for part in three().splits] == list(SPLITS)


@pytest.mark.parametrize(("one", "other"), [SPLITS[:2], SPLITS[::2], SPLITS[1:]])
def test_an_image_in_two_splits_is_refused(one: str, other: str) -> None:
    names = [f"{other}0", "mine", f"{other}2"]
    message = f"^Corpus 'mine': 2 images are in '{one}' and in '{other}': {other}0, {other}2$"
    with pytest.raises(ValueError, match=message):
        three(**{one: {"image_names": names}})


def test_fingerprint_changes_with_all_that_is_learnt_from() -> None:
    changes: list[dict[str, Any]] = [
        {"captions": ["one", "one two", "one", "one two four"]},
        {"image_labels": [30, 10, 31]},
        {"image_names": ["a", "b", "d"]},
        {"caption_images": [2, 0, 1, 1]},
        {"captions": ["one", "one two", 'one", "one two three'], "caption_images": [2, 0, 1]},
    ]
    prints = {three(**{name: change}).fingerprint() for name in SPLITS for change in changes}
    assert len(prints | {three().fingerprint()}) == len(SPLITS) * len(changes) + 1


def test_fingerprint_forgets_how_a_reader_holds_its_data() -> None:
    held = {"captions": tuple(GOOD["captions"]), "caption_images": np.array([2, 0, 1, 0])}
    assert three(train=held).fingerprint() == three().fingerprint()


# ---- samples


def test_labels_are_numbered_in_ascending_order() -> None:
    data = TrainingPairs(split(), Numbered(), Vocabulary.of(["one"], min_count=1), seed=0)
    assert data.classes == 2
    batch = data[0, np.arange(4)]
    assert batch.labels.tolist() == [1, 1, 0, 1]
    assert batch.images[:, 0].tolist() == [2, 0, 1, 0]


def flips(data: TrainingPairs, epoch: int) -> list[float]:
    flipped: list[float] = data[epoch, np.arange(len(data))].images[:, 1].tolist()
    return flipped


@pytest.mark.parametrize("in_memory", [False, True])
def test_half_are_mirrored_and_which_depends_on_seed_epoch_and_index(in_memory: bool) -> None:
    data = pairs(sentences(400), in_memory=in_memory)
    first = flips(data, 0)
    assert 160 < sum(first) < 240
    torch.manual_seed(1)
    for index in (399, 0, 7):  # in any order, whatever was drawn before
        assert data[0, np.array([index])].images[0, 1] == first[index]
    coins = [np.random.default_rng((0, 0, index)).integers(2) for index in range(400)]
    # Of pictures as it has always been: a run of before can be trained again.
    assert (first == coins) != in_memory
    for other in (flips(data, 1), flips(pairs(sentences(400), seed=1, in_memory=in_memory), 0)):
        assert 140 < sum(a != b for a, b in zip(first, other, strict=True)) < 260
    assert flips(pairs(sentences(400), in_memory=in_memory), 0) == first == flips(data, 0)


def test_pictures_whose_captions_say_left_and_right_are_never_mirrored() -> None:
    data = pairs(sentences(400), mirrored=False)
    assert sum(flips(data, 0) + flips(data, 1)) == 0


# ---- order


def test_every_sample_comes_once_in_batches_of_nearly_one_length() -> None:
    lengths = [3 + 11 * index % 17 for index in range(230)]
    batches = batches_by_length(lengths, batch_size=16, seed=0, epoch=0)
    assert sorted(index for batch in batches for index in batch) == list(range(230))
    assert sorted(map(len, batches)) == [6] + [16] * 14
    spreads = [max(lengths[i] for i in b) - min(lengths[i] for i in b) for b in batches]
    assert max(spreads) <= 2
    means = [sum(lengths[i] for i in batch) / len(batch) for batch in batches]
    assert means != sorted(means)  # short and long batches come mixed


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(2, 100), min_size=1, max_size=60), st.integers(1, 9))
def test_batches_follow_each_other_in_length_and_leave_nobody_alone(
    lengths: list[int], batch_size: int
) -> None:
    batches = batches_by_length(lengths, batch_size=batch_size, seed=3, epoch=1)
    by_length = sorted(sorted(lengths[index] for index in batch) for batch in batches)
    assert [length for batch in by_length for length in batch] == sorted(lengths)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    sizes = sorted(map(len, batches))
    assert sizes[-1] <= batch_size + 1
    assert sizes[0] > 1 or batch_size == 1 or len(lengths) == 1
    assert len(batches) - len(lengths) // batch_size in (0, 1)


def test_the_longest_caption_left_over_joins_the_next_longest() -> None:
    lengths = list(range(10, 19))
    batches = batches_by_length(lengths, batch_size=4, seed=0, epoch=0)
    assert sorted(map(sorted, batches)) == [[0, 1, 2, 3], [4, 5, 6, 7, 8]]


def test_order_is_a_pure_function_of_seed_and_epoch() -> None:
    def order(seed: int, epoch: int) -> list[list[int]]:
        batches = batches_by_length([5] * 40, batch_size=8, seed=seed, epoch=epoch)
        return [batch.tolist() for batch in batches]

    assert order(0, 0) == order(0, 0)
    assert len({str(order(seed, epoch)) for seed in (0, 1) for epoch in (0, 1)}) == 4
    members = {str(sorted(map(sorted, order(0, epoch)))) for epoch in range(4)}
    assert len(members) == 4  # not the same batches in another order


@pytest.mark.parametrize(
    ("samples", "batch_size", "sizes"),
    [
        (33, 16, [16, 17]),
        (34, 16, [2, 16, 16]),
        (1, 16, [1]),
        (3, 1, [1, 1, 1]),
        (3, 2, [3]),
        (32, 16, [16, 16]),
    ],
)
def test_a_single_sample_left_over_joins_a_batch(
    samples: int, batch_size: int, sizes: list[int]
) -> None:
    loader = TrainingLoader(pairs(sentences(samples)), batch_size)
    assert sorted(len(batch.indices) for batch in loader.epoch(0)) == sizes
    assert len(loader) == len(sizes)


@pytest.mark.parametrize("wrong", [-1, 1.5, None, "0"])
def test_what_is_no_seed_or_epoch_is_refused(wrong: Any) -> None:
    for what in ("seed", "epoch"):
        message = f"^batches_by_length: {what} must be a whole number of at least 0, got "
        with pytest.raises(ValueError, match=message):
            batches_by_length([3, 4], batch_size=1, **{"seed": 0, "epoch": 0, what: wrong})


def test_batch_size_must_be_positive() -> None:
    with pytest.raises(
        ValueError,
        match=r"^batches_by_length: batch_size must be a whole number of at least 1, got 0$",
    ):
        batches_by_length([3, 4], batch_size=0, seed=0, epoch=0)


def test_an_epoch_that_is_left_and_gone_on_with_is_the_same_epoch() -> None:
    whole = list(TrainingLoader(pairs(sentences(81)), 16).epoch(1))
    loader = TrainingLoader(pairs(sentences(81)), 16, workers=2)
    left = loader.epoch(1)
    first = [next(left), next(left)]
    left.close()  # type: ignore[attr-defined]
    for epoch in (0, 1):  # another one before it, by the same processes
        rest = list(loader.epoch(epoch, skip=2))
    assert all(equal(a, b) for a, b in zip([*first, *rest], whole, strict=True))


def test_no_process_is_started_for_what_is_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("torch.utils.data.dataloader._MultiProcessingDataLoaderIter")
    features = ImageFeatures(torch.rand(2, 40, 3))
    data = pairs(sentences(40), in_memory=True)
    data.pictures = features
    for batch in TrainingLoader(data, 16, workers=2).epoch(0):
        flipped = (
            np.array(flips(pairs(sentences(40), in_memory=True), 0))[batch.indices.numpy()] > 0
        )
        expected = torch.where(
            torch.from_numpy(flipped)[:, None],
            features.views[1][batch.indices],
            features.views[0][batch.indices],
        )
        assert torch.equal(batch.images, expected)


def test_workers_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = split(open_image=FolderImages(Path("."), ("a", "b", "c")))
    for cores, expected in ((1, 0), (2, 1), (6, 5), (64, 8)):
        monkeypatch.setattr("os.sched_getaffinity", lambda _, n=cores: set(range(n)), raising=False)
        assert default_workers(folder) == expected
        assert default_workers(split()) == 0


def equal(one: Any, other: Any) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_batches_are_what_they_say() -> None:
    data = pairs(sentences(40))
    for batch in TrainingLoader(data, 16).epoch(2):
        assert (batch.images.shape, batch.images.dtype) == ((len(batch.indices), 2), torch.float32)
        assert {whole.dtype for whole in batch[1:]} == {torch.int64}
        assert batch.tokens.shape == (len(batch.indices), int(batch.lengths.max()))
        assert batch.lengths.shape == batch.labels.shape == batch.indices.shape
        for row, index in enumerate(batch.indices.tolist()):
            tokens, length = batch.tokens[row], batch.lengths[row]
            assert tokens[:length].tolist() == data.tokens[index].tolist()
            assert not tokens[length:].any()
            assert batch.labels[row] == index
            assert torch.equal(batch.images[row], data[2, np.array([index])].images[0])


def test_pictures_enter_a_batch_as_they_are() -> None:
    corpus = scenes(images=12, size=32)
    transform = ImageTransform(size=16, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    pictures = TransformedImages(corpus.train.open_image, transform)
    vocabulary = Vocabulary.of(corpus.train.captions)
    data = TrainingPairs(corpus.train, pictures, vocabulary, seed=0)
    batch = next(TrainingLoader(data, 8).epoch(0))
    assert (batch.images.shape, batch.images.dtype) == ((8, 3, 16, 16), torch.float32)
    described = [corpus.train.caption_images[index] for index in batch.indices.tolist()]
    assert torch.equal(batch.images, pictures(described))


@pytest.mark.parametrize("skip", [0, 1, 4, 5, 6])
def test_skipping_leaves_the_first_batches_out(skip: int) -> None:
    loader = TrainingLoader(pairs(sentences(81)), 16)  # 16 + 16 + 16 + 16 + 17
    whole, rest = list(loader.epoch(1)), list(loader.epoch(1, skip=skip))
    assert len(whole) == len(loader) == 5
    assert all(equal(a, b) for a, b in zip(rest, whole[skip:], strict=True))


@pytest.mark.parametrize("epoch", [0, 1])
def test_workers_change_nothing_and_nothing_is_drawn_from_the_global_generator(epoch: int) -> None:
    data = pairs(sentences(50))
    before = torch.get_rng_state()
    one, two = (list(TrainingLoader(data, 16, workers=workers).epoch(epoch)) for workers in (0, 2))
    assert all(equal(a, b) for a, b in zip(one, two, strict=True))
    assert torch.equal(torch.get_rng_state(), before)
