"""Clips into training, validation and test: at random by class, or one group left out at a time."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from kit.checks import check_whole, first_few
from kit.data.clips import ClipCorpus, Clips

SPLITS = ("train", "validation", "test")


def check_shares(function: str, shares: Sequence[float], seed: int) -> None:
    """Refuse what cannot be the shares of training, validation and test, and a seed that is none.

    >>> check_shares("f", (0.8, 0.1), seed=0)
    Traceback (most recent call last):
    ValueError: f: shares must be three positive numbers that sum to 1, got (0.8, 0.1)
    """
    check_whole(function, at_least=0, seed=seed)
    numbers = isinstance(shares, Sequence) and all(isinstance(one, int | float) for one in shares)
    if not numbers or len(shares) != 3 or not min(shares) > 0 or not abs(sum(shares) - 1) <= 1e-6:
        expected = "shares must be three positive numbers that sum to 1"
        raise ValueError(f"{function}: {expected}, got {shares!r}")


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
    check_shares("stratified_split", shares, seed)
    rng = np.random.default_rng((seed, 10))
    labels = np.asarray(clips.labels)
    splits = np.full(len(clips), "train", object)
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        if len(rows) < 3:
            found = f"{len(rows)} of label {label}"
            raise ValueError(f"stratified_split: expected at least 3 clips of a class, got {found}")
        # At least one each; what is left over by rounding goes to the training split.
        held = [max(1, round(share * len(rows))) for share in shares[1:]]
        while sum(held) > len(rows) - 1:
            held[held.index(max(held))] -= 1
        splits[rows[len(rows) - sum(held) :]] = "validation"
        splits[rows[len(rows) - held[1] :]] = "test"
    return corpus_of_splits(clips, splits, classes, name=name, drawn=True)


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
        ValueError: clips without groups, or of a single one; a share outside 0..1; no seed.

    """
    check_whole("group_folds", at_least=0, seed=seed)
    groups = np.asarray(clips.groups)
    names = np.unique(groups).tolist()
    if len(names) < 2:
        raise ValueError(f"group_folds: expected clips of at least two groups, got {len(names)}")
    if not isinstance(validation, int | float) or not 0 < validation < 1:
        raise ValueError(f"group_folds: expected validation between 0 and 1, got {validation}")
    labels = np.asarray(clips.labels)
    for fold, group in enumerate(names):
        rng = np.random.default_rng((seed, 11, fold))
        splits = np.where(groups == group, "test", "train").astype(object)
        for label in np.unique(labels):
            rows = rng.permutation(np.flatnonzero((labels == label) & (groups != group)))
            splits[rows[: max(1, round(validation * len(rows)))]] = "validation"
        yield group, corpus_of_splits(clips, splits, classes, name=f"{name}, {group} tested")


def corpus_of_splits(
    clips: Clips,
    splits: Sequence[str] | NDArray[np.object_],
    classes: tuple[str, ...],
    *,
    name: str,
    notes: tuple[str, ...] = (),
    drawn: bool = False,
) -> ClipCorpus:
    """The corpus of clips whose splits are known.

    Args:
        clips: all of them.
        splits: the word train, validation or test for each clip.
        classes: the name of each label.
        name: of the corpus.
        notes: what its reader says of it.
        drawn: whether the splits were drawn without regard to groups: those that are in the test
            split and in another are then noted, and not refused.

    Raises:
        ValueError: a split without clips; groups that are in the test split and in another.

    """
    rows = {split: np.flatnonzero(np.asarray(splits) == split) for split in SPLITS}
    if not all(map(len, rows.values())):
        counts = ", ".join(f"{len(found)} of {split}" for split, found in rows.items())
        raise ValueError(f"ClipCorpus {name!r}: expected clips of each split, got {counts}")
    train, validation, test = (clips.take(found, name=split) for split, found in rows.items())
    torn = sorted(set(test.groups) & {*train.groups, *validation.groups})
    many = f"{len(torn)} of {len(set(clips.groups))} groups are in the test split and in another"
    if torn and not drawn:
        raise ValueError(f"ClipCorpus {name!r}: {many}: {first_few(torn)}")
    if torn:
        flatters = "a random split may flatter; group_folds keeps them together"
        notes = (*notes, f"{many}: {flatters}")
    return ClipCorpus(name, classes, train, validation, test, notes)
