"""Exercise of AMID's lesson on training: a learner's own loss of the warm-up."""

from __future__ import annotations

from collections.abc import Callable
from math import log, nan, sqrt
from typing import Any

import torch

from kit.lessons.exercises.feedback import Case, case, close, first_fault, gradients, tensor

# Of the answers (3/4, 1/4) of the student and (1/2, 1/2) of the teacher; their mean is (5/8, 3/8).
_TO_STUDENT = 0.75 * log(6 / 5) + 0.25 * log(2 / 3)  # divergence of the student from the mean
_TO_TEACHER = 0.5 * log(4 / 5) + 0.5 * log(4 / 3)
_SHANNON = (_TO_STUDENT + _TO_TEACHER) / 2
_CLASSES = log(4 / 3) + log(2)  # both cross-entropies, where the first class is right


def check_warm_up_loss(answer: Callable[..., object]) -> str:
    """Equations 15 and 16: both answers are right, and alike.

    Args:
        answer: student_logits (batch, classes), teacher_logits (batch, classes), labels (batch,) ->
            a scalar in nats.

    Returns:
        What to tell the learner.

    >>> check_warm_up_loss(lambda student_logits, teacher_logits, labels: ...)
    'not tried yet'

    """
    cases = [_undecided(), _equal(), _apart(), _batch(), *_certain()]
    right = "right: both terms, also for certain answers, and what each sends to whom"
    return first_fault(answer, cases) or _gradient_fault(answer) or right


def _undecided() -> Case:
    mistakes = (
        (log(2), "the two cross-entropies are added, and this is one of them, or their mean"),
        (-2 * log(2), "the sign is wrong: this loss is never negative"),
        (2.0, "this is in bits, and nats are asked for"),
    )
    why = "two undecided answers are alike, and each pays ln 2 for the class"
    return _of(2 * log(2), why, mistakes, [[0.0, 0.0]], [[0.0, 0.0]], [0])


def _equal() -> Case:
    alike = [[log(3), 0.0]]
    mistakes = (
        (2 * log(4 / 3), "the label says which class is right, and here it is the second"),
        (-0.5, "these are probabilities, and their logarithm is asked for"),
    )
    why = "equal answers are 0 apart, and each pays for the class that is right"
    return _of(2 * log(4), why, mistakes, alike, alike, [1])


def _apart() -> Case:
    forth = 0.75 * log(3 / 2) + 0.25 * log(1 / 2)  # of the student from the teacher
    back = 0.5 * log(2 / 3) + 0.5 * log(2)
    jeffreys = "this is of Jeffreys' kind, from answer to answer: Equation 16 goes by their mean"
    middle = sqrt(3) / (1 + sqrt(3))  # softmax of the mean logits
    of_logits = (
        0.75 * log(0.75 / middle)
        + 0.25 * log(0.25 / (1 - middle))
        + 0.5 * log(0.5 / middle)
        + 0.5 * log(0.5 / (1 - middle))
    ) / 2
    mistakes = (
        (_CLASSES, "the second term is missing: the answers differ"),
        (_CLASSES + 2 * _SHANNON, "each of the two divergences from the mean counts by one half"),
        (_CLASSES - _SHANNON, "the divergence is subtracted, and is to be small"),
        (_CLASSES + _SHANNON / log(2), "the divergence is in bits, and nats are asked for"),
        (_CLASSES + _SHANNON / 2, "within a sample the classes are summed, and this is their mean"),
        (_CLASSES + _TO_STUDENT, "the teacher's divergence from the mean counts as well"),
        (_CLASSES + _TO_STUDENT / 2, "the teacher's divergence from the mean counts as well"),
        (_CLASSES + _TO_TEACHER, "the student's divergence from the mean counts as well"),
        (_CLASSES + _TO_TEACHER / 2, "the student's divergence from the mean counts as well"),
        (_CLASSES + forth + back, jeffreys),
        (_CLASSES + (forth + back) / 2, jeffreys),
        (_CLASSES + forth, jeffreys),
        (_CLASSES + back, jeffreys),
        (_CLASSES + of_logits, "the mean is one of probabilities, and this is one of logits"),
    )
    why = "each answer's divergence from the mean of the two adds to it"
    return _of(_CLASSES + _SHANNON, why, mistakes, [[log(3), 0.0]], [[0.0, 0.0]], [0])


def _batch() -> Case:
    """A sample with different answers and one without, which is right about the second class."""
    one, other = _CLASSES + _SHANNON, 2 * log(4)
    mistakes = (
        (one + other, "both terms are means over the batch, and this is a sum"),
        ((_CLASSES + other) / 2 + _SHANNON, "the divergence is a mean over the batch too"),
        ((_CLASSES + other) / 2 + _SHANNON / 4, "the divergence is divided by the batch twice"),
    )
    why = "two samples should give the mean of what they give alone"
    ours, theirs = [[log(3), 0.0], [log(3), 0.0]], [[0.0, 0.0], [log(3), 0.0]]
    return _of((one + other) / 2, why, mistakes, ours, theirs, [0, 1])


def _certain() -> tuple[Case, Case]:
    """(1, 0) against (1/2, 1/2), whose mean is (3/4, 1/4); and certain of opposite classes."""
    shannon = (log(4 / 3) + 0.5 * log(2 / 3) + 0.5 * log(2)) / 2
    never = [(nan, "a class that is ruled out should add nothing, and here it breaks the sum")]
    overflow = [(nan, "large logits overflow, where the true result is finite")]
    why = "a certain answer pays nothing for its class, and its divergence stays finite"
    wrong = "a certain mistake should pay its logit, whatever its size"
    return (
        _of(log(2) + shannon, why, never, [[1e4, 0.0]], [[0.0, 0.0]], [0]),
        _of(1e4 + log(2), wrong, overflow, [[1e4, 0.0]], [[0.0, 1e4]], [0]),
    )


def _of(
    expected: float,
    why: str,
    mistakes: Any,
    student_logits: list[list[float]],
    teacher_logits: list[list[float]],
    labels: list[int],
) -> Case:
    return case(
        expected,
        why,
        mistakes,
        student_logits=tensor(student_logits).requires_grad_(),
        teacher_logits=tensor(teacher_logits).requires_grad_(),
        labels=torch.tensor(labels),
    )


def _gradient_fault(answer: Callable[..., object]) -> str | None:
    """Both answers move by both terms; the first logit's gradient is minus the second's."""
    inputs, *_ = _apart()
    models = {"student": 0.75, "teacher": 0.5}
    reached = gradients(answer, inputs, [inputs[f"{name}_logits"] for name in models])
    if isinstance(reached, str):
        return reached
    for (name, p), gradient in zip(models.items(), reached, strict=True):
        if gradient is None or not gradient.any():
            return (
                f"the value is right, but no gradient reaches {name}_logits, and both are to move"
            )
        mean = 0.625
        by_class = p - 1
        by_divergence = 0.5 * p * (1 - p) * (log(p / mean) - log((1 - p) / (1 - mean)))
        if close(gradient[0, 0], tensor(by_class)):
            return (
                f"the value is right, but the divergence sends no gradient to {name}_logits: the "
                "two answers are to come towards each other, and the teacher learns along"
            )
        if not close(gradient[0, 0], tensor(by_class + by_divergence)):
            return (
                f"the value is right, but its gradient at {name}_logits is not: "
                "a part of it is cut off from its inputs"
            )
    return None
