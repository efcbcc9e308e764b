"""What image-caption data is here: splits and corpora, words as numbers, pairs in batches.

Every source (Scenes, Flickr8K, a Hugging Face dataset) becomes a `Corpus` of `CaptionedImages`;
every training step gets a `PairBatch`. The order of samples and every augmentation are a pure
function of (seed, epoch, index), so a loader has no state to save and a killed run resumes exactly.
"""

import hashlib
import json
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import chain
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from kit.checks import check_disjoint, check_lengths, check_unique, check_whole, first_few
from kit.data.epochs import spare_cores
from kit.data.ragged import Ragged, checked_rows
from kit.data.text import (
    check_names,
    check_several,
    check_unique_names,
    checked_sentences,
    words,
)

UNKNOWN, START = 1, 2
MAX_TOKENS = 100

# The stream of chance that mirrors features; the other ones have the epoch in its place.
_MIRROR = 2**31


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
        ValueError: an empty split, lengths that disagree, a name twice or two that look alike, an
            image without captions, a caption without an image, one that cannot be cut into words
            (`kit.data.text.why_no_sentence`).

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
        numbers = {"image_labels": self.image_labels, "caption_images": self.caption_images}
        check_several(where, image_names=self.image_names, captions=self.captions, **numbers)
        images = len(self.image_names)
        if images == 0:
            raise ValueError(f"{where}: expected at least one image, got none")
        check_lengths(where, "image", images, image_labels=self.image_labels)
        check_lengths(where, "caption", len(self.captions), caption_images=self.caption_images)
        check_unique_names(where, image_names=self.image_names)
        checked_sentences(where, self.captions)
        for what, given in numbers.items():
            kind = np.asarray(given).dtype
            if len(given) and kind.kind not in "iu":
                raise ValueError(f"{where}: {what} must be whole numbers, got {kind}")
        described = self.image_of_caption
        outside = described[(described < 0) | (described >= images)]
        if len(outside):
            found = first_few(np.unique(outside).tolist())
            raise ValueError(f"{where}: caption_images must lie in 0..{images - 1}, got {found}")
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

    def captions_of(self, image: int) -> list[str]:
        """What is said of one image.

        Raises:
            ValueError: a number that is no image's.

        """
        checked_rows(f"CaptionedImages: split {self.name!r}", [image], len(self.image_names))
        rows = np.flatnonzero(self.image_of_caption == image).tolist()
        return [self.captions[row] for row in rows]

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
        ValueError: an image that is in two splits, or two whose names look alike.

    """

    name: str
    train: CaptionedImages
    validation: CaptionedImages
    test: CaptionedImages
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        named = [(split.name, split.image_names) for split in self.splits]
        check_disjoint(f"Corpus {self.name!r}", "images", named)
        check_names(f"Corpus {self.name!r}", image_names=chain(*(names for _, names in named)))

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
            for texts in (split.image_names, split.captions):
                digest.update(f"{len(texts)}:".encode())
                for at in range(0, len(texts), 4096):
                    digest.update(json.dumps(list(texts[at : at + 4096])).encode())
            digest.update(np.asarray(split.image_labels, "<i8").tobytes())
            digest.update(split.image_of_caption.astype("<i8", copy=False).tobytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class Vocabulary:
    """The known words in the order of their ids from 3 on; 0 pads, 1 is unknown, 2 starts.

    Raises:
        ValueError: one text in place of several words, or a word twice.

    >>> vocabulary = Vocabulary.of(["a red ball", "a red cube", "a dog"], min_count=2)
    >>> vocabulary.words, vocabulary.encode("A red fox.")
    (('a', 'red'), [2, 3, 4, 1])
    """

    words: tuple[str, ...]

    def __post_init__(self) -> None:
        check_several("Vocabulary", words=self.words)
        check_unique("Vocabulary", words=self.words)

    @classmethod
    def of(cls, captions: Iterable[str], *, min_count: int = 3) -> "Vocabulary":
        """The words that occur at least `min_count` times, by falling count, then by alphabet.

        Give it *training* captions only: a word seen in a test caption alone must stay unknown.

        Raises:
            ValueError: no word that occurs so often; a `min_count` below 1; one text in place of
                several, captions that cannot be cut into words.

        """
        check_whole("Vocabulary.of", at_least=1, min_count=min_count)
        captions = checked_sentences("Vocabulary.of", captions)
        counts = Counter(word for caption in captions for word in words(caption))
        known = [(-count, word) for word, count in counts.items() if count >= min_count]
        if not known:
            raise ValueError(
                f"Vocabulary.of: expected words that occur {min_count=} times, "
                f"got {len(counts)} rarer ones; "
                "a small corpus needs a lower min_count (a configuration's min_word_count)"
            )
        return cls(tuple(word for _, word in sorted(known)))

    def __len__(self) -> int:
        return len(self.words) + START + 1

    @cached_property
    def ids(self) -> dict[str, int]:
        """The id of each known word."""
        return {word: index for index, word in enumerate(self.words, start=START + 1)}

    def encode(self, caption: str) -> list[int]:
        """``<start>`` and the ids of the words, `MAX_TOKENS` at most; no word at all is UNKNOWN.

        >>> Vocabulary(("dog",)).encode("...")
        [2, 1]
        """
        ids = [self.ids.get(word, UNKNOWN) for word in words(caption)] or [UNKNOWN]
        return [START, *ids][:MAX_TOKENS]

    def tokens(self, captions: Iterable[str]) -> Ragged:
        """The ids of many captions as one flat array, in two bytes an id where all ids fit.

        >>> Vocabulary(("dog",)).tokens(["a dog", "dog"]).padded(np.array([1, 0]))
        (tensor([[2, 3, 0],
                [2, 1, 3]]), tensor([2, 3]))

        Raises:
            ValueError: one text in place of several, captions that cannot be cut into words.

        """
        captions = checked_sentences("Vocabulary.tokens", captions)
        ids, lengths = array("H" if len(self) <= 2**16 else "I"), array("q")
        for caption in captions:
            encoded = self.encode(caption)
            ids.extend(encoded)
            lengths.append(len(encoded))
        return Ragged(np.array(ids), np.array(lengths))


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

    def to(self, device: torch.device) -> "PairBatch":
        """On a device; the lengths stay on the CPU, where packing wants them."""
        moved = (one if one is self.lengths else one.to(device, non_blocking=True) for one in self)
        return PairBatch(*moved)


# Where a split's images come from, pixels or features: rows, and which of them are mirrored, to
# (rows, ...) float32. If nothing has to be opened, it has an attribute `in_memory` that is true.
Pictures = Callable[[NDArray[np.int64], NDArray[np.bool_] | None], Tensor]


class TrainingPairs:
    """Every caption of a split with its image, a batch for each key (epoch, rows).

    Which samples are mirrored depends on (seed, epoch, index) alone: half of them, each epoch anew,
    if the split allows it.
    Labels are the split's instance labels, re-mapped to 0..classes-1 in ascending order.
    """

    def __init__(
        self, split: CaptionedImages, pictures: Pictures, vocabulary: Vocabulary, *, seed: int
    ) -> None:
        self.pictures, self.seed, self.mirrored = pictures, seed, split.mirrored
        self.in_memory = getattr(pictures, "in_memory", False)
        self.caption_images = split.image_of_caption
        self.tokens = vocabulary.tokens(split.captions)
        classes, numbered = np.unique(np.asarray(split.image_labels), return_inverse=True)
        self.labels = numbered[self.caption_images]
        self.classes = len(classes)

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, key: tuple[int, NDArray[np.int64]]) -> PairBatch:
        epoch, rows = key
        images = self.pictures(self.caption_images[rows], self._flipped(epoch, rows))
        labels, indices = torch.from_numpy(self.labels[rows]), torch.from_numpy(rows)
        return PairBatch(images, *self.tokens.padded(rows), labels, indices)

    def order(self, batch_size: int, epoch: int) -> list[NDArray[np.int64]]:
        """The rows of each batch of an epoch (see `batches_by_length`)."""
        lengths, seed = self.tokens.lengths, self.seed
        return batches_by_length(lengths, batch_size=batch_size, seed=seed, epoch=epoch)

    def _flipped(self, epoch: int, rows: NDArray[np.int64]) -> NDArray[np.bool_] | None:
        if not self.mirrored:
            return None
        if self.in_memory:  # a generator for each sample would cost more than its features
            return _coins(self.seed, epoch, len(self))[rows]
        keys = [(self.seed, epoch, row) for row in rows.tolist()]
        return np.array([np.random.default_rng(key).integers(2) for key in keys], bool)


@lru_cache(maxsize=1)
def _coins(seed: int, epoch: int, count: int) -> NDArray[np.bool_]:
    """Whether each sample is mirrored in an epoch, drawn at once."""
    return np.random.default_rng((seed, _MIRROR, epoch)).integers(2, size=count, dtype=bool)


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
    check_whole("batches_by_length", at_least=0, seed=seed, epoch=epoch)
    draw = np.random.default_rng((seed, epoch))
    shuffled = draw.permutation(len(lengths))
    order = shuffled[np.argsort(np.asarray(lengths)[shuffled], kind="stable")]
    alone = len(order) > batch_size > 1 and len(order) % batch_size == 1
    batches = np.split(order, range(batch_size, len(order) - alone, batch_size))
    return [batches[index] for index in draw.permutation(len(batches))]


def default_workers(split: CaptionedImages) -> int:
    """Loader processes for a split: none where its pictures are in memory."""
    return spare_cores() if getattr(split.open_image, "from_disk", False) else 0
