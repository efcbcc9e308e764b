"""What a clip is here: one thing seen, heard, told of; a split, a corpus, a batch of clips.

Every source (Sounding actions, Dialogues, a folder of arrays, a Hugging Face dataset) becomes a
`ClipCorpus` of `Clips`; every training step gets a `ClipBatch`. Axes within a clip: video (frames,
height, width, channels), waveform (samples,), log-mel (frames, mels), vector (dim,), sequence
(steps, dim).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from kit.checks import some

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Ragged:
    """Arrays of different lengths behind one another, such as sentences of different length.

    Args:
        values: (sum of lengths, ...) numbers.
        lengths: (clips,) whole numbers, at least 1 each.

    Raises:
        ValueError: lengths that are no such numbers, or do not sum to the rows of `values`.

    >>> ragged = Ragged.of([np.zeros((2, 3)), np.ones((1, 3))])
    >>> len(ragged), ragged[1]
    (2, array([[1., 1., 1.]]))

    """

    values: Array = field(repr=False)
    lengths: NDArray[np.int64]

    def __post_init__(self) -> None:
        lengths = np.asarray(self.lengths)
        if lengths.ndim != 1 or lengths.dtype.kind not in "iu" or not (lengths > 0).all():
            raise ValueError(
                "Ragged: expected lengths to be (clips,) whole numbers of at least 1, "
                f"got {lengths.dtype} {lengths.shape}: {some(lengths.ravel().tolist())}"
            )
        if self.values.ndim == 0 or lengths.sum() != len(self.values):
            raise ValueError(
                f"Ragged: expected lengths that sum to the rows of values {self.values.shape}, "
                f"got {lengths.sum()}"
            )
        object.__setattr__(self, "lengths", lengths.astype(np.int64))
        object.__setattr__(self, "_starts", np.cumsum(lengths) - lengths)

    @classmethod
    def of(cls, parts: Sequence[Array]) -> Ragged:
        """Put arrays (length, ...) behind one another; they agree in all but the length.

        Raises:
            ValueError: no array, an empty one, shapes that disagree.

        """
        arrays = [np.asarray(part) for part in parts]
        shapes = {array.shape[1:] for array in arrays}
        if not arrays or len(shapes) > 1 or any(array.ndim == 0 for array in arrays):
            raise ValueError(
                "Ragged.of: expected at least one array, all (length, ...) with one shape behind "
                f"the length, got {some([array.shape for array in arrays]) or 'none'}"
            )
        return cls(np.concatenate(arrays), np.array([len(array) for array in arrays]))

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, clip: int) -> Array:
        start = self._starts[clip]
        return self.values[start : start + self.lengths[clip]]

    def take(self, rows: Sequence[int] | NDArray[np.integer]) -> Ragged:
        """The clips of these rows, in this order."""
        parts = [self.values[:0], *(self[row] for row in rows)]
        return Ragged(np.concatenate(parts), self.lengths[list(rows)])

    _starts: NDArray[np.int64] = field(init=False, repr=False)


Modality = Array | Ragged


@dataclass(frozen=True, eq=False)
class Clips:
    """One split: clips in several modalities, each with its class.

    Args:
        name: what the split is called in messages: ``train``, ``validation``, ``test``.
        ids: one unique name per clip.
        labels: the class of each clip, a whole number of at least 0.
        modalities: by name (clips, ...) arrays, or `Ragged` where clips differ in length.
        groups: what must not be split apart, such as each clip's session; empty if nothing.

    Raises:
        ValueError: no clip or no modality, counts that disagree, an id twice, a label that is no
            class, a modality with other than numbers, or with numbers that are not finite.

    """

    name: str
    ids: Sequence[str] = field(repr=False)
    labels: Sequence[int] = field(repr=False)
    modalities: Mapping[str, Modality] = field(repr=False)
    groups: Sequence[str] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        where, count = f"Clips: split {self.name!r}", len(self.ids)
        if count == 0 or not self.modalities:
            raise ValueError(
                f"{where}: expected at least one clip and one modality, "
                f"got {count} and {len(self.modalities)}"
            )
        counted: dict[str, Sized] = {"labels": self.labels, **self.modalities}
        if len(self.groups):
            counted["groups"] = self.groups
        for what, things in counted.items():
            if len(things) != count:
                raise ValueError(
                    f"{where}: expected one of {what} per clip ({count}), got {len(things)}"
                )
        twice = [one for one, times in Counter(self.ids).items() if times > 1]
        if twice:
            raise ValueError(f"{where}: ids must be unique, got twice: {some(twice)}")
        labels = np.asarray(self.labels)
        if labels.ndim != 1 or labels.dtype.kind not in "iu" or labels.min() < 0:
            raise ValueError(
                f"{where}: labels must be whole numbers of at least 0, got {labels.dtype} "
                f"{labels.shape}: {some(np.unique(labels.astype(str)).tolist())}"
            )
        # Python's own words and numbers, so that they are hashed and saved the same everywhere.
        object.__setattr__(self, "ids", [str(one) for one in self.ids])
        object.__setattr__(self, "labels", labels.tolist())
        object.__setattr__(self, "groups", [str(group) for group in self.groups])
        for what, modality in self.modalities.items():
            _check_numbers(f"{where}: modality {what!r}", modality, self.ids)

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: Sequence[int] | NDArray[np.integer], *, name: str | None = None) -> Clips:
        """The clips of these rows, in this order.

        Of a modality of one size, rows that are one block are not copied: what is mapped from a
        file stays on the disk.

        Raises:
            ValueError: no row, a row twice, or rows that are no whole numbers, such as a mask.

        """
        chosen = np.asarray(rows)
        if chosen.size and chosen.dtype.kind not in "iu":
            raise ValueError(
                f"Clips: split {self.name!r}: expected the numbers of rows, got {chosen.dtype}"
            )
        numbers = chosen.astype(np.int64).tolist()
        return Clips(
            name or self.name,
            [self.ids[row] for row in numbers],
            [self.labels[row] for row in numbers],
            {what: _taken(modality, numbers) for what, modality in self.modalities.items()},
            [self.groups[row] for row in numbers] if len(self.groups) else (),
        )

    def derived(self, name: str, source: str, transform: Callable[[Array], Array]) -> Clips:
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
        pooled = made[0].ndim < np.ndim(given[0])
        if isinstance(given, Ragged) and not pooled:
            return replace(self, modalities={**self.modalities, name: Ragged.of(made)})
        other = [self.ids[row] for row, one in enumerate(made) if one.shape != made[0].shape]
        if other:
            raise ValueError(
                f"Clips: split {self.name!r}: expected that {name!r} has one shape, as of "
                f"{self.ids[0]!r} {made[0].shape}, got others of {len(other)} clips: {some(other)}"
            )
        modality = np.stack(made)
        return replace(self, modalities={**self.modalities, name: modality})

    def modality(self, name: str) -> Modality:
        """One modality by its name.

        Raises:
            ValueError: there is none of that name.

        """
        if name not in self.modalities:
            raise ValueError(
                f"Clips: split {self.name!r} has no modality {name!r}, "
                f"only {', '.join(self.modalities)}"
            )
        return self.modalities[name]


def clip_shape(modality: Modality) -> tuple[int, ...]:
    """The shape of one clip; of a ragged modality without its length."""
    return clip_values(modality).shape[1:]


def clip_values(modality: Modality) -> Array:
    """All numbers of a modality; of a ragged one, clip behind clip."""
    return modality.values if isinstance(modality, Ragged) else modality


def _taken(modality: Modality, rows: list[int]) -> Modality:
    """These rows of a modality: of one size a view where they are one block, else a copy."""
    if isinstance(modality, Ragged):
        return modality.take(rows)
    start, stop = (max(rows[0], 0), rows[0] + len(rows)) if rows else (0, 0)
    return modality[start:stop] if rows == list(range(start, stop)) else modality[rows]


def _check_numbers(where: str, modality: Modality, ids: Sequence[str]) -> None:
    """Refuse what is no number, empty, or not finite; name the clips."""
    values = clip_values(modality)
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "fiu" or 0 in values.shape:
        raise ValueError(
            f"{where}: expected a non-empty array of numbers, "
            f"got {getattr(values, 'dtype', type(values).__name__)} {np.shape(values)}"
        )
    if values.dtype.kind == "f":
        wrong = [one for row, one in enumerate(ids) if not np.isfinite(modality[row]).all()]
        if wrong:
            raise ValueError(f"{where}: {len(wrong)} clips hold nan or infinity: {some(wrong)}")


@dataclass(frozen=True, eq=False)
class ClipCorpus:
    """Three splits that share no clip, the names of the classes, and what the reader says of them.

    Raises:
        ValueError: a class or a split named twice, a clip that is in two splits, modalities that
            differ between splits in name, shape or type, a label without a class, a class that the
            training split lacks.

    """

    name: str
    classes: tuple[str, ...]
    train: Clips
    validation: Clips
    test: Clips
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        where, (first, second, third) = f"ClipCorpus {self.name!r}", self.splits
        for what, names in (("classes", self.classes), ("splits", [s.name for s in self.splits])):
            twice = [one for one, times in Counter(names).items() if times > 1]
            if twice:
                raise ValueError(f"{where}: {what} must differ, got twice: {some(twice)}")
        for a, b in ((first, second), (first, third), (second, third)):
            shared = sorted(set(a.ids) & set(b.ids))
            if shared:
                raise ValueError(
                    f"{where}: {len(shared)} clips are in {a.name!r} and in {b.name!r}: "
                    f"{some(shared)}"
                )
        for split in self.splits:
            kinds, expected = _kinds(split), _kinds(self.train)
            if kinds != expected:
                raise ValueError(
                    f"{where}: modalities of {split.name!r} are {kinds}, of 'train' {expected}"
                )
            unknown = sorted({label for label in split.labels if label >= len(self.classes)})
            if unknown:
                raise ValueError(
                    f"{where}: split {split.name!r} has labels without a class: {some(unknown)}; "
                    f"there are {len(self.classes)} classes"
                )
        object.__setattr__(self, "classes", tuple(str(one) for one in self.classes))
        lacking = [
            one for label, one in enumerate(self.classes) if label not in set(self.train.labels)
        ]
        if lacking:
            raise ValueError(f"{where}: the training split has no clip of {some(lacking)}")

    @property
    def splits(self) -> tuple[Clips, Clips, Clips]:
        """Training, validation and test split."""
        return self.train, self.validation, self.test

    @property
    def counts(self) -> dict[str, int]:
        """Clips of each split."""
        return {split.name: len(split) for split in self.splits}

    def derived(self, name: str, source: str, transform: Callable[[Array], Array]) -> ClipCorpus:
        """The same clips with one more modality, made of another (see `Clips.derived`)."""
        train, validation, test = (split.derived(name, source, transform) for split in self.splits)
        return replace(self, train=train, validation=validation, test=test)

    def fingerprint(self) -> str:
        """A hash of ids, labels and all numbers: two corpora with the same one train the same."""
        digest = hashlib.sha256(repr(self.classes).encode())
        for split in self.splits:
            digest.update(repr((split.ids, split.labels)).encode())
            for name, modality in sorted(split.modalities.items()):
                if isinstance(modality, Ragged):
                    arrays: tuple[Array, ...] = (modality.values, modality.lengths)
                else:
                    arrays = (modality,)
                for array in arrays:
                    digest.update(repr((name, array.dtype.str, array.shape)).encode())
                    digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()[:32]


def refuse_shared_groups(where: str, corpus: ClipCorpus) -> ClipCorpus:
    """A corpus with splits of its own, if no group that is tested is also learnt from.

    Raises:
        ValueError: groups that are in the test split and in another.

    """
    others = {*corpus.train.groups, *corpus.validation.groups}
    shared = sorted(set(corpus.test.groups) & others)
    if shared:
        raise ValueError(
            f"{where}: groups must not be split apart, but {len(shared)} of the test split are in "
            f"another too: {some(shared)}"
        )
    return corpus


def _kinds(split: Clips) -> dict[str, str]:
    """What the clips of each modality look like, in words."""
    return {
        name: f"{'ragged ' if isinstance(modality, Ragged) else ''}{clip_values(modality).dtype} "
        f"{clip_shape(modality)}"
        for name, modality in sorted(split.modalities.items())
    }


def stratified_split(
    clips: Clips,
    classes: tuple[str, ...],
    *,
    name: str,
    shares: tuple[float, float, float] = (0.6, 0.2, 0.2),
    seed: int,
) -> ClipCorpus:
    """Split clips at random into training, validation and test, each class in these shares.

    Args:
        clips: all of them; groups are not kept together, and `ClipCorpus.notes` says so.
        classes: the name of each label.
        name: of the corpus.
        shares: of training, validation and test; they sum to 1.
        seed: at least 0; another seed, another split.

    Raises:
        ValueError: shares that are not three positive numbers with sum 1, a class with fewer than
            three clips.

    """
    if len(shares) != 3 or not min(shares) > 0 or not abs(sum(shares) - 1) <= 1e-9:
        raise ValueError(
            f"stratified_split: expected three positive shares that sum to 1, got {shares}"
        )
    rng = np.random.default_rng((seed, 10))
    labels = np.asarray(clips.labels)
    parts: list[list[int]] = [[], [], []]
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        if len(rows) < 3:
            raise ValueError(
                "stratified_split: expected at least three clips of a class, "
                f"got {len(rows)} of label {label}"
            )
        # At least one each; what is left over by rounding goes to the training split.
        held = [max(1, round(share * len(rows))) for share in shares[1:]]
        while sum(held) > len(rows) - 1:
            held[held.index(max(held))] -= 1
        cuts = (len(rows) - sum(held), len(rows) - held[1])
        for part, chosen in zip(parts, np.split(rows, cuts), strict=True):
            part += chosen.tolist()
    names = ("train", "validation", "test")
    train, validation, test = (
        clips.take(sorted(part), name=named) for named, part in zip(names, parts, strict=True)
    )
    torn = set(test.groups) & {*train.groups, *validation.groups}
    notes = (
        f"{len(torn)} of {len(set(clips.groups))} groups are in the test split and in another: a "
        "random split may flatter; group_folds keeps them together",
    )
    return ClipCorpus(name, classes, train, validation, test, notes if torn else ())


def group_folds(
    clips: Clips, classes: tuple[str, ...], *, name: str, validation: float = 0.1, seed: int = 0
) -> Iterator[tuple[str, ClipCorpus]]:
    """Leave one group out: each group is the test split once, all others are for training.

    Args:
        clips: with groups, such as sessions.
        classes: the name of each label.
        name: of the corpora.
        validation: share, above 0 and below 1, of each class of the other groups' clips that
            chooses epochs in place of the test group.
        seed: of what is drawn for validation.

    Yields:
        The group that is tested, and the corpus of that fold; groups in ascending order.

    Raises:
        ValueError: clips without groups, or of a single one; a share outside 0..1.

    """
    groups = np.asarray(clips.groups)
    if len(np.unique(groups)) < 2:
        raise ValueError(
            f"group_folds: expected clips of at least two groups, got {len(np.unique(groups))}"
        )
    if not 0 < validation < 1:
        raise ValueError(f"group_folds: expected validation between 0 and 1, got {validation}")
    labels = np.asarray(clips.labels)
    for fold, group in enumerate(np.unique(groups).tolist()):
        rng = np.random.default_rng((seed, 11, fold))
        chosen = np.zeros(len(clips), dtype=bool)
        for label in np.unique(labels):
            rows = rng.permutation(np.flatnonzero((labels == label) & (groups != group)))
            chosen[rows[: max(1, round(validation * len(rows)))]] = True
        tested = groups == group
        yield (
            group,
            ClipCorpus(
                f"{name}, {group} tested",
                classes,
                clips.take(np.flatnonzero(~tested & ~chosen), name="train"),
                clips.take(np.flatnonzero(chosen), name="validation"),
                clips.take(np.flatnonzero(tested), name="test"),
            ),
        )


class ClipBatch(NamedTuple):
    """What one training step sees.

    Attributes:
        modalities: by name (batch, ...); ragged ones end in zeros.
        lengths: of the ragged ones, (batch,) int64: how many steps are the clip's own.
        labels: (batch,) int64.
        indices: (batch,) int64, the clips' places in the split.

    """

    modalities: dict[str, Tensor]
    lengths: dict[str, Tensor]
    labels: Tensor
    indices: Tensor
