"""Clips into training, validation and test: at random by class, or one group left out at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from kit.checks import check_disjoint
from kit.data.clips import ClipCorpus, Clips


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
    part = np.zeros(len(clips), dtype=int)
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
        part[rows[len(rows) - sum(held) :]] = 1
        part[rows[len(rows) - held[1] :]] = 2
    train, validation, test = _taken(clips, part)
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
    names = np.unique(groups).tolist()
    if len(names) < 2:
        raise ValueError(f"group_folds: expected clips of at least two groups, got {len(names)}")
    if not 0 < validation < 1:
        raise ValueError(f"group_folds: expected validation between 0 and 1, got {validation}")
    labels = np.asarray(clips.labels)
    for fold, group in enumerate(names):
        rng = np.random.default_rng((seed, 11, fold))
        part = np.where(groups == group, 2, 0)
        for label in np.unique(labels):
            rows = rng.permutation(np.flatnonzero((labels == label) & (groups != group)))
            part[rows[: max(1, round(validation * len(rows)))]] = 1
        yield group, ClipCorpus(f"{name}, {group} tested", classes, *_taken(clips, part))


def _taken(clips: Clips, part: NDArray[np.int_]) -> tuple[Clips, Clips, Clips]:
    """Training, validation and test split: the clips whose part is 0, 1, 2."""
    train, validation, test = (np.flatnonzero(part == number) for number in range(3))
    return (
        clips.take(train, name="train"),
        clips.take(validation, name="validation"),
        clips.take(test, name="test"),
    )


def refuse_shared_groups(where: str, corpus: ClipCorpus) -> ClipCorpus:
    """A corpus with splits of its own, if no group that is tested is also learnt from.

    Raises:
        ValueError: groups that are in the test split and in another.

    """
    others = {*corpus.train.groups, *corpus.validation.groups}
    parts = ((corpus.test.name, corpus.test.groups), ("train or validation", others))
    check_disjoint(f"{where}: groups must not be split apart", "groups", parts)
    return corpus
