"""Exercise of AMID's lesson on the two adversaries: a learner's own Equation 12."""

from __future__ import annotations

from collections.abc import Callable
from math import log, nan
from typing import Any

import torch

from kit.lessons.exercises.feedback import case, first_fault, gradients, tensor


def check_adversarial_loss(answer: Callable[..., object]) -> str:
    """Equation 12: both discriminators take the student for the teacher, D2 where it is asked.

    Args:
        answer: logits_1 (batch,) of D1 for the student's features, logits_2 (batch,) of D2, labels
            (batch,), weights (2,), d -> a scalar in nats. Which samples have a classmate in the
            batch is for the answer to find out.

    Returns:
        What to tell the learner.

    >>> check_adversarial_loss(lambda logits_1, logits_2, labels, weights, d: ...)
    'not tried yet'

    """
    cases = [case(*to, **inputs) for to, inputs in (_alone(), _pair(), _trio(), _certain())]
    right = "right: the value, also without a classmate and with large logits, and its gradient"
    return first_fault(answer, cases) or _gradient_fault(answer) or right


# What is expected, why, mistakes; and what goes in.
_Given = tuple[tuple[Any, ...], dict[str, Any]]


def _alone() -> _Given:
    """Two classes, so D2's term is absent; D1 gives 1/4 and 1/2."""
    first, other = (log(4) + log(2)) / 2, (log(4 / 3) + log(2)) / 2  # of -ln D and -ln(1 - D)
    mistakes = (
        (nan, "nobody has a classmate here: the second term is absent, and a mean of none is nan"),
        (
            first / 4 + 0.375 * (log(2) + log(8 / 7)),
            "nobody has a classmate here, so D2 is not asked",
        ),
        (-first / 4, "the sign is wrong, this loss is never negative"),
        (first, "D1's term comes with its weight"),
        (0.75 * first, "the two weights are exchanged"),
        (first / 2, "D1's term is a mean over the batch, and this is a sum"),
        (other / 4, "this is low where D1 says student, and the student wants to hear teacher"),
        (-other / 4, "this is the saturating form, and Equation 12 has the other"),
        (-0.375 / 4, "these are probabilities, and their logarithm is asked for"),
    )
    why = "D1 sees all of the batch, and the second term is absent"
    inputs = _inputs([-log(3), 0.0], [0.0, log(7)], [0, 1], [0.25, 0.75], 2.0)
    return (first / 4, why, mistakes), inputs


def _pair() -> _Given:
    """Two of three have a classmate; D1 is undecided, D2 gives 1/4, 1/2 and 7/8; d is not 2."""
    first, asked, alone = log(2), log(4) + log(2), log(8 / 7)
    expected = first / 4 + 0.75 * asked / 5
    mistakes = (
        (first / 4 + 0.75 * (asked + alone) / 5, "D2 is asked only of samples with a classmate"),
        (first / 4 + 0.75 * alone / 5, "these are the samples without a classmate"),
        (first / 4 + 0.75 * asked / 2, "D2's term is divided by d, not by how many it is asked of"),
        (first / 4 + 0.75 * asked / 3, "D2's term is divided by d, not by the batch"),
        (first / 4 + 0.75 * (asked + alone) / 3, "D2 has its own samples and its own divisor"),
        (first / 4 + 0.75 * asked, "D2's term is divided by d"),
        (first / 4 + 0.75 * 2 * asked / 5, "each sample counts once, not once a pair"),
        (0.75 * first + asked / 20, "the two weights are exchanged"),
        (first + asked / 5, "the terms come with their weights"),
        (first / 4, "the second term is missing: two of these samples have a classmate"),
        (first / 4 + 0.75 * log(4) / 5, "of two classmates both count"),
        (first / 4 + 0.75 * log(2) / 5, "of two classmates both count"),
    )
    why = "D2 is asked of those whose class occurs more than once, and its sum divided by d"
    inputs = _inputs([0.0] * 3, [-log(3), 0.0, log(7)], [7, 7, 3], [0.25, 0.75], 5.0)
    return (expected, why, mistakes), inputs


def _trio() -> _Given:
    """A class of three, whose samples have two classmates each, and one of two, in no order."""
    values = [log(4), log(2), log(4), log(8), log(2)]
    expected = 0.5 * log(2) + 0.5 * sum(values) / 8
    counted = "each sample counts once, however many classmates it has"
    logits = [-log(3), 0.0, -log(3), -log(7), 0.0]
    inputs = _inputs([0.0] * 5, logits, [2, 5, 2, 5, 2], [0.5, 0.5], 8.0)
    return (expected, counted), inputs


def _certain() -> _Given:
    """Both recognise the student beyond the range of a probability."""
    why = "a recognised student should pay its logit, whatever its size"
    mistakes = [(nan, "large logits overflow, where the true result is finite")]
    inputs = _inputs([-1e4, -1e4], [-1e4, -1e4], [1, 1], [0.5, 0.5], 2.0)
    return (1e4, why, mistakes), inputs


def _inputs(
    logits_1: list[float], logits_2: list[float], labels: list[int], weights: list[float], d: float
) -> dict[str, Any]:
    return {
        "logits_1": tensor(logits_1).requires_grad_(),
        "logits_2": tensor(logits_2).requires_grad_(),
        "labels": torch.tensor(labels),
        "weights": tensor(weights),
        "d": d,
    }


def _gradient_fault(answer: Callable[..., object]) -> str | None:
    _, inputs = _pair()
    names = ("logits_1", "logits_2")
    reached = gradients(answer, inputs, [inputs[name] for name in names])
    if isinstance(reached, str):
        return reached
    for name, gradient in zip(names, reached, strict=True):
        if gradient is None or not gradient.any():
            return f"the value is right, but no gradient reaches {name}, and the student is to move"
    return None
