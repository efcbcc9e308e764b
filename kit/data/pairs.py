"""What image-caption data is here: a split, a corpus, a batch of pairs, and the order they come in.

Every source (Scenes, Flickr8K, a Hugging Face dataset) becomes a `Corpus` of `CaptionedImages`;
every training step gets a `PairBatch`. The order of samples and every augmentation are a pure
function of (seed, epoch, index), so a loader has no state to save and a killed run resumes exactly.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from kit.checks import some
from kit.data.vocabulary import Vocabulary, pad


@dataclass(frozen=True)
class CaptionedImages:
    """One split: pictures, the sentences said of them, and the instance that each picture shows.

    Args:
        name: what the split is called in messages: ``train``, ``validation``, ``test``.
        image_names: one unique name per image.
        image_labels: instance label per image; equal labels are relevant to each other.
        captions: the sentences, in any order.
        caption_images: for each sentence the index of the image it describes.
        open_image: index -> RGB picture; picklable, so that loader workers can have it.
        mirrored: whether captions stay true of the mirrored picture, so that training may mirror
            it.

    Raises:
        ValueError: an empty split, lengths that disagree, a name twice, an image without captions,
            a caption without an image.

    """

    name: str
    image_names: Sequence[str]
    image_labels: Sequence[int]
    captions: Sequence[str]
    caption_images: Sequence[int]
    open_image: Callable[[int], Image.Image] = field(repr=False)
    mirrored: bool = True

    def __post_init__(self) -> None:
        where = f"CaptionedImages: split {self.name!r}"
        images = len(self.image_names)
        if images == 0:
            raise ValueError(f"{where}: expected at least one image, got none")
        if len(self.image_labels) != images:
            raise ValueError(
                f"{where}: expected one label per image ({images}), got {len(self.image_labels)}"
            )
        if len(self.captions) != len(self.caption_images):
            raise ValueError(
                f"{where}: expected one image index per caption ({len(self.captions)}), "
                f"got {len(self.caption_images)}"
            )
        twice = [name for name, times in Counter(self.image_names).items() if times > 1]
        if twice:
            raise ValueError(f"{where}: image names must be unique, got twice: {some(twice)}")
        described = set(self.caption_images)
        outside = sorted(index for index in described if not 0 <= index < images)
        if outside:
            raise ValueError(
                f"{where}: captions without an image: indices must lie in 0..{images - 1}, "
                f"got {some(outside)}"
            )
        silent = [name for index, name in enumerate(self.image_names) if index not in described]
        if silent:
            raise ValueError(f"{where}: {len(silent)} images without captions: {some(silent)}")

    @property
    def caption_labels(self) -> list[int]:
        """The instance label of each caption: its image's."""
        return [self.image_labels[index] for index in self.caption_images]

    def captions_of(self, image: int) -> list[str]:
        """What is said of one image."""
        said = zip(self.captions, self.caption_images, strict=True)
        return [caption for caption, index in said if index == image]


@dataclass(frozen=True)
class Corpus:
    """Three splits that share no image, and what the reader has to say of them (`notes`).

    Raises:
        ValueError: an image that is in two splits.

    """

    name: str
    train: CaptionedImages
    validation: CaptionedImages
    test: CaptionedImages
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        first, second, third = self.splits
        for a, b in ((first, second), (first, third), (second, third)):
            shared = sorted(set(a.image_names) & set(b.image_names))
            if shared:
                raise ValueError(
                    f"Corpus {self.name!r}: {len(shared)} images are in {a.name!r} and in "
                    f"{b.name!r}: {some(shared)}"
                )

    @property
    def splits(self) -> tuple[CaptionedImages, CaptionedImages, CaptionedImages]:
        """Training, validation and test split."""
        return self.train, self.validation, self.test

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """Images and captions of each split."""
        return {
            split.name: {"images": len(split.image_names), "captions": len(split.captions)}
            for split in self.splits
        }

    def fingerprint(self) -> str:
        """A hash of names, labels and captions: two corpora with the same one train the same."""
        digest = hashlib.sha256()
        for split in self.splits:
            for part in (split.image_names, split.image_labels, split.captions):
                digest.update(repr(list(part)).encode())
            digest.update(repr([int(index) for index in split.caption_images]).encode())
        return digest.hexdigest()


class PairBatch(NamedTuple):
    """A batch of image-caption pairs.

    `images` is (batch, 3, height, width) float32, or (batch, dim) where features are given;
    `tokens` (batch, longest) int64, padded with 0; `lengths` (batch,) int64, on the CPU; `labels`
    (batch,) int64, the instance among the *training* instances; `indices` (batch,) int64, the pair.
    """

    images: Tensor
    tokens: Tensor
    lengths: Tensor
    labels: Tensor
    indices: Tensor

    def to(self, device: torch.device) -> PairBatch:
        """On a device; the lengths stay on the CPU, where packing wants them."""
        images, tokens, labels, indices = (
            part.to(device, non_blocking=True)
            for part in (self.images, self.tokens, self.labels, self.indices)
        )
        return PairBatch(images, tokens, self.lengths, labels, indices)


class Pictures(Protocol):
    """Where a split's images come from: pixels through a transform, or features."""

    def __call__(self, index: int, *, flipped: bool) -> Tensor:
        """Image `index` as the network takes it, mirrored or not."""
        ...


class TrainingPairs(Dataset[Any]):
    """Every caption of a split with its image: one sample per caption, asked for by (epoch, index).

    Which samples are mirrored depends on (seed, epoch, index) alone: half of them, each epoch anew,
    if the split allows it.
    Labels are the split's instance labels, re-mapped to 0..classes-1 in ascending order.
    """

    def __init__(
        self, split: CaptionedImages, pictures: Pictures, vocabulary: Vocabulary, *, seed: int
    ) -> None:
        self.pictures = pictures
        self.seed = seed
        self.mirrored = split.mirrored
        self.caption_images = list(split.caption_images)
        self.tokens = [vocabulary.encode(caption) for caption in split.captions]
        classes = {label: index for index, label in enumerate(sorted(set(split.image_labels)))}
        self.labels = [classes[label] for label in split.caption_labels]
        self.classes = len(classes)

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, list[int], int, int]:
        epoch, index = key
        coin = np.random.default_rng((self.seed, epoch, index)).integers(2)
        flipped = self.mirrored and bool(coin)
        picture = self.pictures(self.caption_images[index], flipped=flipped)
        return picture, self.tokens[index], self.labels[index], index


def collate(samples: Sequence[tuple[Tensor, list[int], int, int]]) -> PairBatch:
    """Stack samples of `TrainingPairs` into a `PairBatch`."""
    pictures, tokens, labels, indices = zip(*samples, strict=True)
    padded, lengths = pad(tokens)
    return PairBatch(
        torch.stack(pictures), padded, lengths, torch.tensor(labels), torch.tensor(indices)
    )


def batches_by_length(
    lengths: Sequence[int], *, batch_size: int, seed: int, epoch: int
) -> list[list[int]]:
    """Random batches of captions of (nearly) one length, in random order: hardly any padding.

    All samples are shuffled, sorted by length (which keeps the shuffled order within a length), cut
    into batches, and the batches are shuffled. Every sample comes once. The last batch may be
    smaller, but a single sample left over joins the batch before it: alone it has no negatives, and
    batch norm no statistics.

    >>> batches_by_length([3, 9, 3, 9], batch_size=2, seed=0, epoch=0)
    [[1, 3], [2, 0]]
    """
    if batch_size < 1:
        raise ValueError(f"batches_by_length: batch_size must be at least 1, got {batch_size}")
    draw = np.random.default_rng((seed, epoch))
    shuffled = draw.permutation(len(lengths))
    order = shuffled[np.argsort(np.asarray(lengths)[shuffled], kind="stable")].tolist()
    starts = _starts(len(order), batch_size)
    batches = [order[at:end] for at, end in pairwise([*starts, len(order)])]
    return [batches[index] for index in draw.permutation(len(batches))]


@dataclass(frozen=True)
class PairLoader:
    """The training batches of each epoch; `loader.epoch(3, skip=7)` leaves the first 7 out."""

    pairs: TrainingPairs
    batch_size: int
    workers: int = 0

    def __len__(self) -> int:
        return len(_starts(len(self.pairs), self.batch_size))

    def epoch(self, epoch: int, *, skip: int = 0) -> Iterator[PairBatch]:
        """The batches of one epoch, without the first `skip`."""
        batches = batches_by_length(
            [len(tokens) for tokens in self.pairs.tokens],
            batch_size=self.batch_size,
            seed=self.pairs.seed,
            epoch=epoch,
        )
        keys = [[(epoch, index) for index in batch] for batch in batches[skip:]]
        # A generator of its own: DataLoader would otherwise draw from the global one, and a
        # resumed run would not drop the same units as one that was never stopped.
        loader: DataLoader[Any] = DataLoader(
            self.pairs,
            batch_sampler=keys,
            collate_fn=collate,
            num_workers=self.workers,
            generator=torch.Generator().manual_seed(epoch),
        )
        return iter(loader)


def _starts(samples: int, batch_size: int) -> range:
    """Where each batch begins."""
    alone = samples > batch_size > 1 and samples % batch_size == 1
    return range(0, samples - alone, batch_size)
