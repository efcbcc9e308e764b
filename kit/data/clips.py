"""What a clip is here: one thing seen, heard, told of; a split, a corpus, a batch of clips.

Every source (Sounding actions, Dialogues, a folder of arrays, a Hugging Face dataset) becomes a
`ClipCorpus` of `Clips`; every training step gets a `ClipBatch`. Axes within a clip: video (frames,
height, width, channels), waveform (samples,), log-mel (frames, mels), vector (dim,), sequence
(steps, dim).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import InitVar, dataclass, field, replace
from itertools import chain
from typing import NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kit.checks import check_disjoint, check_lengths, check_name, first_few
from kit.data.ragged import Array, Modality, Ragged, checked_rows, clip_shape, is_ragged, taken
from kit.data.text import check_names, check_several, check_unique_names

Transform = Callable[[Array], Array]
Tensors = dict[str, Tensor]


@dataclass(frozen=True, eq=False)
class Clips:
    """One split: clips in several modalities, each with its class.

    Args:
        name: what the split is called in messages: ``train``, ``validation``, ``test``.
        ids: one unique name per clip.
        labels: the class of each clip, a whole number of at least 0.
        modalities: by name (clips, ...) arrays, `Ragged` where clips differ in length, or whatever
            gives clips by row (`Modality`), which is read through once, a clip at a time.
        groups: what must not be split apart, such as each clip's session; empty if nothing.
        checked: names of modalities whose clips need not be looked at any more.

    Raises:
        ValueError: no clip or no modality, counts that disagree, an id twice, ids or groups that
            are missing or look alike (`kit.data.text.check_names`), a label that is no class, a
            modality whose name cannot be a file's, with other than numbers, with clips of several
            shapes or types, or with numbers that are not finite in float32.

    """

    name: str
    ids: Sequence[str] = field(repr=False)
    labels: Sequence[int] = field(repr=False)
    modalities: Mapping[str, Modality] = field(repr=False)
    groups: Sequence[str] = field(default=(), repr=False)
    checked: InitVar[Collection[str]] = ()

    def __post_init__(self, checked: Collection[str]) -> None:
        where = f"Clips: split {self.name!r}"
        check_several(where, ids=self.ids, labels=self.labels, groups=self.groups)
        count = len(self.ids)
        if not isinstance(self.modalities, Mapping):
            raise ValueError(f"{where}: expected modalities by name, got {self.modalities!r:.80}")
        if count == 0 or not self.modalities:
            found = f"{count} and {len(self.modalities)}"
            raise ValueError(f"{where}: expected at least one clip and one modality, got {found}")
        for what in self.modalities:
            check_name(where, modality=what)
        check_several(where, **{f"clips of {what!r}": m for what, m in self.modalities.items()})
        check_lengths(where, "clip", count, labels=self.labels)
        check_lengths(where, "clip", count, **self.modalities)
        if len(self.groups):
            check_lengths(where, "clip", count, groups=self.groups)
        check_unique_names(where, ids=self.ids)
        check_names(where, groups=self.groups)
        labels = np.asarray(self.labels)
        if labels.ndim != 1 or labels.dtype.kind not in "iu" or labels.min() < 0:
            few = first_few(np.unique(labels.astype(str)).tolist())
            found = f"{labels.dtype} {labels.shape}: {few}"
            raise ValueError(f"{where}: labels must be whole numbers of at least 0, got {found}")
        # Python's own words and numbers, so that they are hashed and saved the same everywhere.
        object.__setattr__(self, "ids", [str(one) for one in self.ids])
        object.__setattr__(self, "labels", labels.tolist())
        object.__setattr__(self, "groups", [str(group) for group in self.groups])
        for what, modality in self.modalities.items():
            if what not in checked:
                _check_clips(f"{where}: modality {what!r}", modality, self.ids)

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: Sequence[int] | NDArray[np.integer], *, name: str | None = None) -> Clips:
        """The clips of these rows, in this order.

        What is on the disk stays there, and so do rows of an array that are one block.

        Raises:
            ValueError: no row, a row twice, or rows that are no whole numbers, such as a mask, or
                that are not in 0..clips-1.

        """
        where = f"Clips: split {self.name!r}"
        numbers = checked_rows(where, rows, len(self))
        if not numbers:
            raise ValueError(f"{where}: expected numbers of rows, 0..{len(self) - 1}, got none")
        return Clips(
            name or self.name,
            [self.ids[row] for row in numbers],
            [self.labels[row] for row in numbers],
            {what: taken(modality, numbers) for what, modality in self.modalities.items()},
            [self.groups[row] for row in numbers] if len(self.groups) else (),
            checked=self.modalities,
        )

    def with_modality(self, name: str, source: str, transform: Transform) -> Clips:
        """The same clips with one more modality, made of another clip by clip, such as log-mel.

        A ragged modality gives a ragged one, except where every clip becomes a vector.

        Raises:
            ValueError: there is a modality of that name, or none to make it of; clips of one size
                that become different.

        """
        if name in self.modalities:
            raise ValueError(f"Clips: split {self.name!r} has a modality {name!r} already")
        given = self.modality(source)
        made = [np.asarray(transform(given[row])) for row in range(len(self))]
        if is_ragged(given) and made[0].ndim >= np.ndim(given[0]):
            modality: Modality = Ragged.of(made)
        else:
            _check_clips(f"Clips: split {self.name!r}: modality {name!r}", made, self.ids)
            modality = np.stack(made)
        more = {**self.modalities, name: modality}
        return replace(self, modalities=more, checked=self.modalities)

    def modality(self, name: str) -> Modality:
        """One modality by its name.

        Raises:
            ValueError: there is none of that name.

        """
        if name not in self.modalities:
            known = ", ".join(self.modalities)
            raise ValueError(f"Clips: split {self.name!r} has no modality {name!r}, only {known}")
        return self.modalities[name]


def _check_clips(where: str, modality: Modality, ids: Sequence[str]) -> None:
    """Refuse what is no number, empty, unlike the first clip, or not finite; name the clips."""
    first, ragged = modality[0], is_ragged(modality)
    kind, shape = getattr(first, "dtype", type(first).__name__), np.shape(first)[ragged:]
    numbers = isinstance(first, np.ndarray | np.generic) and first.dtype.kind in "fiu"
    if not numbers or 0 in shape:
        found = f"{kind} {(len(modality), *shape)}"
        raise ValueError(f"{where}: expected a non-empty array of numbers, got {found}")
    if isinstance(modality, np.ndarray | Ragged) and first.dtype.kind != "f":
        return  # of one shape and type anyway
    other, wrong = [], []
    for row, one in enumerate(ids):
        clip = np.asarray(modality[row])
        if (clip.dtype, clip.shape[ragged:]) != (kind, shape) or clip.size == 0:
            other.append(f"{one} ({clip.dtype} {clip.shape})")
        elif first.dtype.kind == "f" and not _finite(clip):
            wrong.append(one)
    if other:
        like, found = f"{ids[0]!r} {kind} {shape}", first_few(other)
        raise ValueError(f"{where}: expected clips like {like}, got {len(other)} others: {found}")
    if wrong:
        found = f"{len(wrong)} clips hold nan or infinity in float32: {first_few(wrong)}"
        raise ValueError(f"{where}: {found}")


def _finite(clip: Array) -> bool:
    """Whether all numbers are finite in float32, as networks take them."""
    with np.errstate(over="ignore"):
        return bool(np.isfinite(clip.astype(np.float32, copy=False)).all())


@dataclass(frozen=True, eq=False)
class ClipCorpus:
    """Three splits that share no clip, the names of the classes, and what the reader says of them.

    Raises:
        ValueError: a class or a split named twice, a clip that is in two splits, names that look
            alike, modalities that differ between splits in name, shape or type, a label without a
            class, a class that the training split lacks.

    """

    name: str
    classes: tuple[str, ...]
    train: Clips
    validation: Clips
    test: Clips
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        where = f"ClipCorpus {self.name!r}"
        names = [split.name for split in self.splits]
        check_unique_names(where, classes=self.classes, splits=names)
        check_disjoint(where, "clips", [(split.name, split.ids) for split in self.splits])
        check_names(where, ids=chain(*(split.ids for split in self.splits)))
        check_names(where, groups=chain(*(split.groups for split in self.splits)))
        expected = _kinds(self.train)
        for split in self.splits:
            kinds = _kinds(split)
            if kinds != expected:
                raise ValueError(f"{where}: {split.name!r} has {kinds}, 'train' has {expected}")
            unknown = sorted(set(split.labels) - set(range(len(self.classes))))
            if unknown:
                most, found = len(self.classes) - 1, f"{split.name!r}: {first_few(unknown)}"
                raise ValueError(f"{where}: labels must be 0..{most}, got in {found}")
        object.__setattr__(self, "classes", tuple(str(one) for one in self.classes))
        taught = set(self.train.labels)
        lacking = [one for label, one in enumerate(self.classes) if label not in taught]
        if lacking:
            raise ValueError(f"{where}: the training split has no clip of {first_few(lacking)}")

    @property
    def splits(self) -> tuple[Clips, Clips, Clips]:
        """Training, validation and test split."""
        return self.train, self.validation, self.test

    @property
    def counts(self) -> dict[str, int]:
        """Clips of each split."""
        return {split.name: len(split) for split in self.splits}

    def with_modality(self, name: str, source: str, transform: Transform) -> ClipCorpus:
        """The same clips with one more modality, made of another (see `Clips.with_modality`)."""
        train, validation, test = (s.with_modality(name, source, transform) for s in self.splits)
        return replace(self, train=train, validation=validation, test=test)

    def fingerprint(self) -> str:
        """A hash of ids, labels and all numbers: two corpora with the same one train the same."""
        digest = hashlib.sha256(repr(self.classes).encode())
        for split in self.splits:
            digest.update(repr((split.ids, split.labels)).encode())
            for name, modality in sorted(split.modalities.items()):
                ragged = is_ragged(modality)
                kind = (name, ragged, modality[0].dtype.str, clip_shape(modality))
                digest.update(repr(kind).encode())
                for row in range(len(modality)):
                    clip = np.ascontiguousarray(modality[row])
                    if clip.dtype.itemsize > 8:  # a longdouble's bytes hold padding
                        clip = clip.astype(np.float64)
                    digest.update(b"%d " % len(clip) * ragged)
                    digest.update(clip.data)
        return digest.hexdigest()[:32]


def _kinds(split: Clips) -> dict[str, str]:
    """What the clips of each modality look like, in words."""
    return {
        name: f"{'ragged ' * is_ragged(modality)}{modality[0].dtype} {clip_shape(modality)}"
        for name, modality in sorted(split.modalities.items())
    }


class ClipBatch(NamedTuple):
    """What one training step sees.

    Attributes:
        modalities: by name (batch, ...); ragged ones end in zeros.
        lengths: of the ragged ones, (batch,) int64 on the CPU: how many steps are the clip's own.
        labels: (batch,) int64.
        indices: (batch,) int64, the clips' places in the split.
        classmates: (n,) int64 on the CPU: rows whose class another row has too.

    """

    modalities: Tensors
    lengths: Tensors
    labels: Tensor
    indices: Tensor
    classmates: Tensor

    @classmethod
    def of(cls, modalities: Tensors, lengths: Tensors, labels: Tensor, indices: Tensor) -> Self:
        """A batch on the CPU."""
        counts = (labels[:, None] == labels[None, :]).sum(1)
        return cls(modalities, lengths, labels, indices, (counts > 1).nonzero().squeeze(1))

    def to(self, device: torch.device) -> ClipBatch:
        """On a device; what decides shapes stays on the CPU, so that nothing waits for a look."""
        moved = {name: v.to(device, non_blocking=True) for name, v in self.modalities.items()}
        labels = self.labels.to(device, non_blocking=True)
        indices = self.indices.to(device, non_blocking=True)
        return self._replace(modalities=moved, labels=labels, indices=indices)
