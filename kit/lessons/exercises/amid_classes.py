"""Exercise of AMID's lesson on classes: a learner's own class-wise accuracy."""

from __future__ import annotations

from collections.abc import Callable
from math import nan
from typing import Any

from kit.lessons.exercises.feedback import case, first_fault


def check_accuracy_by_class(answer: Callable[..., object]) -> str:
    """Figure 3: what share of each class's clips is recognised.

    Args:
        answer: confusion (classes, classes), counts by true class (row) and predicted class
            (column) -> (classes,) percent, nan for a class of which there is no clip.

    Returns:
        What to tell the learner.

    >>> check_accuracy_by_class(lambda confusion: ...)
    'not tried yet'

    """
    right = "right: each class by its own number of clips, in percent, nan where there is none"
    return first_fault(answer, [_two(), _absent()]) or right


def _two() -> Any:
    """Class 0: 3 of 4; class 1: 5 of 10. Columns sum to 8 and 6, all clips to 14."""
    return case(
        [75.0, 50.0],
        "3 of 4 clips of class 0 are right, and 5 of 10 of class 1",
        (
            ([0.75, 0.5], "percent is asked for"),
            ([100 * 3 / 8, 100 * 5 / 6], "rows are the true classes; these are shares of columns"),
            ([3 / 8, 5 / 6], "rows are the true classes, and percent is asked for"),
            ([100 * 3 / 14, 100 * 5 / 14], "each class by its own number of clips, not by all"),
            ([3.0, 5.0], "these are counts; their share of the class's clips is asked for"),
            ([25.0, 50.0], "these are the shares that are wrong"),
        ),
        confusion=[[3.0, 1.0], [5.0, 5.0]],
    )


def _absent() -> Any:
    """There is no clip of class 1, and one of class 2 is taken for it."""
    return case(
        [100.0, nan, 50.0],
        "class 1 has no clip, so it has no accuracy: nan",
        (([100.0, 0.0, 50.0], "of a class without a clip nothing is known; 0 would be a verdict"),),
        confusion=[[2.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 1.0, 1.0]],
    )
