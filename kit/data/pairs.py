"""What image-caption data is here: a split, a corpus, a batch of pairs, and the order they come in.

Every source (Scenes, Flickr8K, a Hugging Face dataset) becomes a `Corpus` of `CaptionedImages`;
every training step gets a `PairBatch`. The order of samples and every augmentation are a pure
function of (seed, epoch, index), so a loader has no state to save and a killed run resumes exactly.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from kit.checks import check_disjoint, check_lengths, check_unique, check_whole, first_few
from kit.data.epochs import EpochLoader, spare_cores
from kit.data.vocabulary import Tokens, Vocabulary


@dataclass(frozen=True, eq=False)
class CaptionedImages:
    """One split: pictures, the sentences said of them, and the instance that each picture shows.

    Args:
        name: what the split is called in messages: ``train``, ``validation``, ``test``.
        image_names: one unique name per image.
        image_labels: instance label per image; equal labels are relevant to each other.
        captions: the sentences, in any order.
        caption_images: for each sentence the index of the image it describes.
        open_image: index -> RGB picture; picklable, so that loader workers can have it. It may have
            a method ``content_hash() -> str`` (see `content_hash`), and ``from_disk = True`` where
            loader processes are worth their start.
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
        check_lengths(where, "image", images, image_labels=self.image_labels)
        check_lengths(where, "caption", len(self.captions), caption_images=self.caption_images)
        check_unique(where, image_names=self.image_names)
        described = self.image_of_caption
        outside = described[(described < 0) | (described >= images)]
        if len(outside):
            raise ValueError(
                f"{where}: captions without an image: indices must lie in 0..{images - 1}, "
                f"got {first_few(np.unique(outside).tolist())}"
            )
        silent = (np.bincount(described, minlength=images) == 0).nonzero()[0]
        if len(silent):
            names = first_few([self.image_names[index] for index in silent])
            raise ValueError(f"{where}: {len(silent)} images without captions: {names}")

    @cached_property
    def image_of_caption(self) -> NDArray[np.int64]:
        """`caption_images` as one array."""
        return np.asarray(self.caption_images, np.int64)

    @property
    def caption_labels(self) -> list[int]:
        """The instance label of each caption: its image's."""
        return [self.image_labels[index] for index in self.caption_images]

    @cached_property
    def _by_image(self) -> list[NDArray[np.int64]]:
        """Where the captions of each image are."""
        ends = np.cumsum(np.bincount(self.image_of_caption, minlength=len(self.image_names)))
        return np.split(np.argsort(self.image_of_caption, kind="stable"), ends[:-1])

    def captions_of(self, image: int) -> list[str]:
        """What is said of one image."""
        return [self.captions[index] for index in self._by_image[image]]

    def content_hash(self) -> str:
        """What tells the pictures from others, all of them.

        An `open_image` that has a method `content_hash` says it itself: pictures in files are read
        once and then only asked for their dates. Of any other, every picture is opened, once.
        """
        own = getattr(self.open_image, "content_hash", None)
        return self._hash_of_pixels if own is None else str(own())

    @cached_property
    def _hash_of_pixels(self) -> str:
        digest = hashlib.sha256()
        for index in range(len(self.image_names)):
            picture = self.open_image(index)
            digest.update(repr((picture.mode, picture.size)).encode())
            digest.update(picture.tobytes())
        return digest.hexdigest()


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
        named = [(split.name, split.image_names) for split in self.splits]
        check_disjoint(f"Corpus {self.name!r}", "images", named)

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
            for words in (split.image_names, split.captions):
                digest.update(f"{len(words)}:".encode())
                for at in range(0, len(words), 4096):
                    digest.update(json.dumps(list(words[at : at + 4096])).encode())
            digest.update(np.asarray(split.image_labels, "<i8").tobytes())
            digest.update(split.image_of_caption.astype("<i8", copy=False).tobytes())
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

    @property
    def mirrors(self) -> bool:
        """Whether the mirrored view of an image is another one."""

    @property
    def in_memory(self) -> bool:
        """Whether nothing has to be opened, so that no loader process is worth its start."""

    def __call__(self, rows: NDArray[np.int64], flipped: NDArray[np.bool_] | None = None) -> Tensor:
        """Images as the network takes them, (rows, ...) float32, mirrored where `flipped`."""


class TrainingPairs:
    """Every caption of a split with its image, a batch for each key (epoch, rows).

    Which samples are mirrored depends on (seed, epoch, index) alone: half of them, each epoch anew,
    if the split allows it.
    Labels are the split's instance labels, re-mapped to 0..classes-1 in ascending order.
    """

    def __init__(
        self, split: CaptionedImages, pictures: Pictures, vocabulary: Vocabulary, *, seed: int
    ) -> None:
        self.pictures = pictures
        self.seed = seed
        self.mirrored = split.mirrored and pictures.mirrors
        self.caption_images = split.image_of_caption
        self.tokens = Tokens.of(map(vocabulary.encode, split.captions))
        classes, numbered = np.unique(np.asarray(split.image_labels), return_inverse=True)
        self.labels = numbered[self.caption_images]
        self.classes = len(classes)

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, key: tuple[int, NDArray[np.int64]]) -> PairBatch:
        epoch, rows = key
        images = self.pictures(self.caption_images[rows], self._flipped(epoch, rows))
        return PairBatch(
            images,
            *self.tokens.padded(rows),
            torch.from_numpy(self.labels[rows]),
            torch.from_numpy(rows),
        )

    def _flipped(self, epoch: int, rows: NDArray[np.int64]) -> NDArray[np.bool_] | None:
        if not self.mirrored:
            return None
        keys = [(self.seed, epoch, row) for row in rows.tolist()]
        return np.array([np.random.default_rng(key).integers(2) for key in keys], bool)


def batches_by_length(
    lengths: Sequence[int] | NDArray[np.int64], *, batch_size: int, seed: int, epoch: int
) -> list[NDArray[np.int64]]:
    """Random batches of captions of (nearly) one length, in random order: hardly any padding.

    All samples are shuffled, sorted by length (which keeps the shuffled order within a length), cut
    into batches, and the batches are shuffled. Every sample comes once. The last batch may be
    smaller, but a single sample left over joins the batch before it: alone it has no negatives, and
    batch norm no statistics.

    >>> batches_by_length([3, 9, 3, 9], batch_size=2, seed=0, epoch=0)
    [array([1, 3]), array([2, 0])]
    """
    check_whole("batches_by_length", at_least=1, batch_size=batch_size)
    draw = np.random.default_rng((seed, epoch))
    shuffled = draw.permutation(len(lengths))
    order = shuffled[np.argsort(np.asarray(lengths)[shuffled], kind="stable")]
    batches = np.split(order, _starts(len(order), batch_size)[1:])
    return [batches[index] for index in draw.permutation(len(batches))]


class PairLoader:
    """The training batches of each epoch; `loader.epoch(3, skip=7)` leaves the first 7 out.

    Args:
        pairs: what is asked for.
        batch_size: pairs in a batch.
        workers: loader processes, which live as long as the loader; none are started where all is
            in memory.
        pin: whether batches come in pinned memory, for a GPU.

    """

    def __init__(
        self, pairs: TrainingPairs, batch_size: int, *, workers: int = 0, pin: bool = False
    ) -> None:
        self.pairs, self.batch_size = pairs, batch_size
        workers = 0 if pairs.pictures.in_memory else workers
        self._epochs = EpochLoader(pairs, workers=workers, pin=pin)

    def __len__(self) -> int:
        return len(_starts(len(self.pairs), self.batch_size))

    def epoch(self, epoch: int, *, skip: int = 0) -> Iterator[PairBatch]:
        """The batches of one epoch, without the first `skip`."""
        lengths, seed = self.pairs.tokens.lengths, self.pairs.seed
        batches = batches_by_length(lengths, batch_size=self.batch_size, seed=seed, epoch=epoch)
        return self._epochs.epoch([(epoch, rows) for rows in batches[skip:]])


def default_workers(split: CaptionedImages) -> int:
    """Loader processes for a split: none where its pictures are in memory."""
    return spare_cores() if getattr(split.open_image, "from_disk", False) else 0


def _starts(samples: int, batch_size: int) -> range:
    """Where each batch begins."""
    alone = samples > batch_size > 1 and samples % batch_size == 1
    return range(0, samples - alone, batch_size)
