"""Splits, corpora, and the order in which pairs come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from kit.data.pairs import (
    CaptionedImages,
    Corpus,
    PairLoader,
    TrainingPairs,
    batches_by_length,
)
from kit.data.vocabulary import Vocabulary


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

    def __call__(self, index: int, *, flipped: bool) -> Tensor:
        return torch.tensor([float(index), float(flipped)])


def pairs(captions: Sequence[str], *, seed: int = 0, mirrored: bool = True) -> TrainingPairs:
    data = split(
        image_names=[str(i) for i in range(len(captions))],
        image_labels=range(len(captions)),
        captions=captions,
        caption_images=range(len(captions)),
        mirrored=mirrored,
    )
    return TrainingPairs(data, Numbered(), Vocabulary.of(["word"], min_count=1), seed=seed)


def sentences(count: int) -> list[str]:
    return ["word " * (1 + 7 * index % 13) for index in range(count)]


# ---- splits and corpora


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"image_names": []}, r"CaptionedImages: split 'train': expected at least one image"),
        ({"image_labels": [1]}, r"split 'train': expected one label per image \(3\), got 1"),
        ({"captions": ["x"]}, r"expected one image index per caption \(1\), got 4"),
        ({"image_names": ["a", "b", "a"]}, r"image names must be unique, got twice: a"),
        ({"caption_images": [2, 0, 1, 3]}, r"indices must lie in 0\.\.2, got 3"),
        ({"caption_images": [2, 0, 1, -1]}, r"captions without an image: .* got -1"),
        ({"caption_images": [0, 0, 0, 0]}, r"2 images without captions: b, c"),
    ],
)
def test_a_split_that_cannot_be_is_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        split(**changed)


def test_captions_have_their_images_labels() -> None:
    assert split().caption_labels == [30, 30, 10, 30]
    assert split().captions_of(0) == ["one two", "one two three"]


def three(**changed: Any) -> Corpus:
    others = ([f"{name}{i}" for i in range(3)] for name in ("validation", "test"))
    validation, test = (split(name=names[0][:-1], image_names=names) for names in others)
    return Corpus("mine", split(**changed), validation, test)


def test_an_image_in_two_splits_is_refused() -> None:
    assert three().counts["test"] == {"images": 3, "captions": 4}
    with pytest.raises(
        ValueError, match=r"Corpus 'mine': 1 images are in 'train' and in 'test': t"
    ):
        three(image_names=["a", "b", "test1"])


def test_fingerprint_changes_with_all_that_is_learnt_from() -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"captions": ["one", "one two", "one", "one two four"]},
        {"image_labels": [30, 10, 31]},
        {"image_names": ["a", "b", "d"]},
        {"caption_images": [2, 0, 1, 1]},
    ]
    prints = [three(**changed).fingerprint() for changed in changes]
    assert len(set(prints)) == len(changes)
    assert three().fingerprint() == prints[0]


# ---- samples


def test_labels_are_numbered_in_ascending_order() -> None:
    data = TrainingPairs(split(), Numbered(), Vocabulary.of(["one"], min_count=1), seed=0)
    assert data.classes == 2
    assert [data[0, index][2] for index in range(4)] == [1, 1, 0, 1]
    assert [data[0, index][0][0].item() for index in range(4)] == [2, 0, 1, 0]


def flips(data: TrainingPairs, epoch: int) -> list[float]:
    return [data[epoch, index][0][1].item() for index in range(len(data))]


def test_half_are_mirrored_and_which_depends_on_seed_epoch_and_index() -> None:
    data = pairs(sentences(400))
    torch.manual_seed(1)
    first = flips(data, 0)
    assert 160 < sum(first) < 240
    assert flips(data, 0) == first
    assert flips(data, 1) != first
    assert flips(pairs(sentences(400), seed=1), 0) != first
    assert sum(flips(pairs(sentences(400), mirrored=False), 0)) == 0


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


def test_order_is_a_pure_function_of_seed_and_epoch() -> None:
    def order(seed: int, epoch: int) -> list[list[int]]:
        return batches_by_length([5] * 40, batch_size=8, seed=seed, epoch=epoch)

    assert order(0, 0) == order(0, 0)
    assert len({str(order(seed, epoch)) for seed in (0, 1) for epoch in (0, 1)}) == 4


@pytest.mark.parametrize(
    ("samples", "batch_size", "sizes"),
    [
        (33, 16, [16, 17]),
        (34, 16, [2, 16, 16]),
        (1, 16, [1]),
        (3, 1, [1, 1, 1]),
        (32, 16, [16, 16]),
    ],
)
def test_a_single_sample_left_over_joins_a_batch(
    samples: int, batch_size: int, sizes: list[int]
) -> None:
    loader = PairLoader(pairs(sentences(samples)), batch_size)
    assert sorted(len(batch.indices) for batch in loader.epoch(0)) == sizes
    assert len(loader) == len(sizes)


def test_batch_size_must_be_positive() -> None:
    with pytest.raises(
        ValueError, match=r"batches_by_length: batch_size must be at least 1, got 0"
    ):
        batches_by_length([3, 4], batch_size=0, seed=0, epoch=0)


def equal(one: Any, other: Any) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_batches_are_what_they_say() -> None:
    data = pairs(sentences(40))
    for batch in PairLoader(data, 16).epoch(2):
        assert batch.images.dtype == torch.float32
        assert {batch.tokens.dtype, batch.labels.dtype, batch.lengths.dtype} == {torch.int64}
        for row, index in enumerate(batch.indices.tolist()):
            tokens, length = batch.tokens[row], batch.lengths[row]
            assert tokens[:length].tolist() == data.tokens[index]
            assert not tokens[length:].any()
            assert batch.labels[row] == index
            assert torch.equal(batch.images[row], data[2, index][0])


def test_skipping_leaves_the_first_batches_out() -> None:
    loader = PairLoader(pairs(sentences(90)), 16)
    whole, rest = list(loader.epoch(1)), list(loader.epoch(1, skip=4))
    assert len(rest) == 2
    assert all(equal(a, b) for a, b in zip(rest, whole[4:], strict=True))


def test_workers_change_nothing_and_nothing_is_drawn_from_the_global_generator() -> None:
    data = pairs(sentences(50))
    before = torch.get_rng_state()
    one, two = (list(PairLoader(data, 16, workers=workers).epoch(0)) for workers in (0, 2))
    assert all(equal(a, b) for a, b in zip(one, two, strict=True))
    assert torch.equal(torch.get_rng_state(), before)
