"""Classification: top-1, accuracy by class, WA and UA, confusion; and folds by session or speaker.

A sample counts as right only where its class has the largest score alone: if another class has the
same score, it counts as wrong, so that a collapsed model cannot look good.
"""

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kit.arguments import checked
from kit.checks import check_labels, first_few
from kit.metrics import arrays
from kit.metrics.arrays import Floats, Groups, Integers, Labels

# Means of the same probabilities, added in another order, differ by less; float32 logits by more.
TIED = 1e-12


@dataclass(frozen=True, eq=False)
class ClassificationScores:
    """How many samples (rows, or groups of rows) were classified rightly.

    Attributes:
        top1: percent of all samples; "WA" in emotion recognition: classes weigh what they occur.
        unweighted_accuracy: mean of `per_class` over the classes that occur ("UA"), percent.
        per_class: (classes,) percent of each class's samples; nan where a class does not occur.
        confusion: (classes, classes) number of samples by true class (row) and predicted class.

    """

    top1: float
    unweighted_accuracy: float
    per_class: Floats = field(repr=False)
    confusion: Integers = field(repr=False)


@checked
def evaluate_classification(
    logits: Floats | NDArray[np.floating] | Tensor, labels: Labels, *, groups: Groups | None = None
) -> ClassificationScores:
    """Score the arg max of each row, or of each group's mean softmax, in float64.

    Args:
        logits: (rows, classes), numpy or torch, any real dtype, finite.
        labels: (rows,) integers in 0..classes-1.
        groups: (rows,) ids, such as the video that each row is a clip of: softmax is averaged over
            the rows of an id, which then count as one sample.

    Returns:
        The scores; where the true class ties with others, the first of the others is `predicted`.

    Raises:
        ValueError: logits that are not a non-empty finite matrix of real numbers; labels that are
            not one integer in 0..classes-1 per row; groups that are not one id per row, or with
            rows of different labels.

    Class 0 is hit in two of three, class 1's only sample is a tie:

    >>> logits = np.array([[2, 1], [0, 1], [3, 0], [1, 1]])
    >>> scores = evaluate_classification(logits, [0, 0, 0, 1])
    >>> scores.top1, round(scores.unweighted_accuracy, 4)  # 2 of 4; (2/3 + 0) / 2
    (50.0, 33.3333)
    >>> scores.confusion.tolist()
    [[2, 1], [1, 0]]

    """
    name = "evaluate_classification"
    scores = arrays.real_matrix(name, "logits", logits)
    rows, classes = scores.shape
    truth = arrays.integer_labels(name, "labels", labels, rows)
    check_labels(name, torch.from_numpy(truth), rows=rows, classes=classes)
    if groups is not None:
        scores, truth = _mean_softmax(name, scores, truth, groups)
    predicted = _predicted(scores, truth, slack=0.0 if groups is None else TIED)
    confusion = np.zeros((classes, classes), np.int64)
    np.add.at(confusion, (truth, predicted), 1)
    right, occurring = confusion.diagonal(), confusion.sum(axis=1)
    per_class = np.where(occurring > 0, 100 * right / occurring.clip(min=1), np.nan)
    return ClassificationScores(
        top1=float(100 * right.sum() / len(truth)),
        unweighted_accuracy=float(np.nanmean(per_class)),
        per_class=per_class,
        confusion=confusion,
    )


def _mean_softmax(
    name: str, logits: Floats, labels: Integers, groups: Groups
) -> tuple[Floats, Integers]:
    """Mean probabilities (groups, classes) and label (groups,) of each group."""
    array = arrays.ids_of(name, "groups", groups, len(labels))
    _, first, member, sizes = np.unique(
        array, return_index=True, return_inverse=True, return_counts=True
    )
    truth = labels[first]
    mixed = np.unique(array[labels != truth[member]])
    if len(mixed):
        groups_named = first_few([repr(one) for one in mixed.tolist()])
        raise ValueError(f"{name}: a group's rows must have one label, not so in {groups_named}")
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = powers / powers.sum(axis=1, keepdims=True)
    order = np.argsort(member, kind="stable")
    sums = np.add.reduceat(probabilities[order], np.cumsum(sizes) - sizes, axis=0)
    return sums / sizes[:, None], truth


def _predicted(scores: Floats, truth: Integers, slack: float) -> Integers:
    """The arg max of each row, where the true class loses what it wins by no more than `slack`."""
    rows = np.arange(len(truth))
    others = scores.copy()
    others[rows, truth] = -np.inf
    rival = others.argmax(axis=1)
    lost = others[rows, rival] >= scores[rows, truth] - slack
    return np.where(lost, rival, truth).astype(np.int64)
