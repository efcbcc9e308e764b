"""Exercise of AMID's ablation: a learner's own measure of Figure 5."""

from __future__ import annotations

from collections.abc import Callable
from math import nan
from typing import Any

import torch
from torch import Tensor

from kit.lessons.exercises.feedback import case, first_fault


def check_same_class_cosine(answer: Callable[..., object]) -> str:
    """Figure 5: the mean cosine of a teacher's and a student's feature of two clips of one class.

    Args:
        answer: teacher (clips, dim), student (clips, dim), labels (clips,) -> a scalar. The
            features are of any norm; a clip with itself is no pair.

    Returns:
        What to tell the learner.

    >>> check_same_class_cosine(lambda teacher, student, labels: ...)
    'not tried yet'

    """
    right = "right: other clips of the class alone, every pair counted once, norms left out"
    return first_fault(answer, [_one_class(), _norms(), _two_classes()]) or right


def _one_class() -> Any:
    """Two clips of one class: cosines 0.28 of (0, 1) and 0 of (1, 0)."""
    return case(
        0.14,
        "the pairs are teacher 0 with student 1, and teacher 1 with student 0",
        (
            (0.28, "both pairs count: each teacher with each other student"),
            (0.0, "both pairs count: each teacher with each other student"),
            (0.98, "a clip with itself is no pair here; it is what is left out"),
            (0.56, "a clip with itself is no pair"),
            (0.07, "a clip with itself is no pair, and it is not counted as one"),
            (-0.14, "the sign is wrong: features in one direction have a cosine of 1"),
        ),
        teacher=[[1.0, 0.0], [0.0, 1.0]],
        student=[[1.0, 0.0], [0.28, 0.96]],
        labels=_labels(0, 0),
    )


def _norms() -> Any:
    """The same directions, other norms."""
    return case(
        0.14,
        "a cosine does not depend on norms",
        (
            (7.0, "this is the inner product; a cosine does not depend on norms"),
            (0.28, "the teacher's norm is to be divided out, too"),
            (3.5, "the student's norm is to be divided out, too"),
        ),
        teacher=[[2.0, 0.0], [0.0, 3.0]],
        student=[[5.0, 0.0], [7.0, 24.0]],
        labels=_labels(0, 0),
    )


def _two_classes() -> Any:
    """Three clips of class 4, two of class 1, one alone: eight pairs, of three directions."""
    # Class 4: teacher (1,0) each, student cosines 1, 0.6, 0; each is met by two teachers.
    # Class 1: teacher (0,1) each, student cosines 1, 0.8; each is met by one.
    total, pairs = 2 * (1.0 + 0.6 + 0.0) + (1.0 + 0.8), 8
    return case(
        total / pairs,
        "all pairs of all classes count alike: eight here, six of one class and two of the other",
        (
            (
                (2 * 1.6 / 6 + 1.8 / 2) / 2,
                "this is a mean of class means; every pair counts alike",
            ),
            (
                (2 * 1.6 / 6 + 1.8 / 2) / 3,
                "a class with one clip has no pair and is not counted; every pair counts alike",
            ),
            (nan, "a class with one clip has no pair; a mean of none is nan"),
            (total / 6, "the mean is over pairs, and there are eight"),
            (total / 9, "the mean is over pairs, and there are eight"),
            (total / 36, "the mean is over pairs of one class, and there are eight"),
        ),
        teacher=[[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.0]],
        student=[[1.0, 0.0], [0.0, 1.0], [0.6, 0.8], [0.0, 1.0], [0.6, 0.8], [1.0, 0.0]],
        labels=_labels(4, 1, 4, 4, 1, 2),
    )


def _labels(*labels: int) -> Tensor:
    return torch.tensor(labels)
