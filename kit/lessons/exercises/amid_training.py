"""Exercises of AMID's lessons on training: the loss of the warm-up, and of the two adversaries."""

from __future__ import annotations

from collections.abc import Callable
from math import log, nan, sqrt
from typing import Any

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
    cases = [*_first(), _apart(), _batch(), *_certain()]
    right = "right: both terms, also for certain answers, and what each sends to whom"
    return first_fault(answer, cases) or _warm_up_gradient(answer) or right


def _first() -> list[Case]:
    """Undecided answers, equal ones."""
    one = (
        (log(2), "the two cross-entropies are added, and this is one of them, or their mean"),
        (-2 * log(2), "the sign is wrong: this loss is never negative"),
        (2.0, "this is in bits, and nats are asked for"),
    )
    other = (
        (2 * log(4 / 3), "the label says which class is right, and here it is the second"),
        (-0.5, "these are probabilities, and their logarithm is asked for"),
    )
    undecided = "two undecided answers are alike, and each pays ln 2 for the class"
    equal = "equal answers are 0 apart, and each pays for the class that is right"
    alike = [[log(3), 0.0]]
    return [
        case(2 * log(2), undecided, one, **_answers([[0.0, 0.0]], [[0.0, 0.0]], [0])),
        case(2 * log(4), equal, other, **_answers(alike, alike, [1])),
    ]


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
    return case(_CLASSES + _SHANNON, why, mistakes, **_answers([[log(3), 0.0]], [[0.0, 0.0]], [0]))


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
    return case((one + other) / 2, why, mistakes, **_answers(ours, theirs, [0, 1]))


def _certain() -> tuple[Case, Case]:
    """(1, 0) against (1/2, 1/2), whose mean is (3/4, 1/4); and certain of opposite classes."""
    shannon = (log(4 / 3) + 0.5 * log(2 / 3) + 0.5 * log(2)) / 2
    never = [(nan, "a class that is ruled out should add nothing, and here it breaks the sum")]
    overflow = [(nan, "large logits overflow, where the true result is finite")]
    why = "a certain answer pays nothing for its class, and its divergence stays finite"
    wrong = "a certain mistake should pay its logit, whatever its size"
    return (
        case(log(2) + shannon, why, never, **_answers([[1e4, 0.0]], [[0.0, 0.0]], [0])),
        case(1e4 + log(2), wrong, overflow, **_answers([[1e4, 0.0]], [[0.0, 1e4]], [0])),
    )


def _answers(
    student: list[list[float]], teacher: list[list[float]], labels: list[int]
) -> dict[str, Any]:
    logits = {"student_logits": student, "teacher_logits": teacher}
    moved = {name: tensor(value).requires_grad_() for name, value in logits.items()}
    return {**moved, "labels": labels}


def _warm_up_gradient(answer: Callable[..., object]) -> str | None:
    """Both answers move by both terms; the first logit's gradient is minus the second's."""
    inputs, *_ = _apart()
    moved = {name: inputs[name] for name in ("student_logits", "teacher_logits")}
    reached = gradients(answer, inputs, moved, "and both are to move")
    if isinstance(reached, str):
        return reached
    for name, p, gradient in zip(moved, (0.75, 0.5), reached, strict=True):
        mean, by_class = 0.625, p - 1
        by_divergence = 0.5 * p * (1 - p) * (log(p / mean) - log((1 - p) / (1 - mean)))
        if close(gradient[0, 0], tensor(by_class)):
            return (
                f"the value is right, but the divergence sends no gradient to {name}: the two "
                "answers are to come towards each other, and the teacher learns along"
            )
        if not close(gradient[0, 0], tensor(by_class + by_divergence)):
            return (
                f"the value is right, but its gradient at {name} is not: "
                "a part of it is cut off from its inputs"
            )
    return None


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
    cases = [_alone(), _pair(), _trio(), _certainly()]
    right = "right: the value, also without a classmate and with large logits, and its gradient"
    return first_fault(answer, cases) or _adversarial_gradient(answer) or right


def _alone() -> Case:
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
    return case(first / 4, why, mistakes, **inputs)


def _pair() -> Case:
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
    return case(expected, why, mistakes, **inputs)


def _trio() -> Case:
    """A class of three, whose samples have two classmates each, and one of two, in no order."""
    values = [log(4), log(2), log(4), log(8), log(2)]
    expected = 0.5 * log(2) + 0.5 * sum(values) / 8
    counted = "each sample counts once, however many classmates it has"
    logits = [-log(3), 0.0, -log(3), -log(7), 0.0]
    inputs = _inputs([0.0] * 5, logits, [2, 5, 2, 5, 2], [0.5, 0.5], 8.0)
    return case(expected, counted, **inputs)


def _certainly() -> Case:
    """Both recognise the student beyond the range of a probability."""
    why = "a recognised student should pay its logit, whatever its size"
    mistakes = [(nan, "large logits overflow, where the true result is finite")]
    inputs = _inputs([-1e4, -1e4], [-1e4, -1e4], [1, 1], [0.5, 0.5], 2.0)
    return case(1e4, why, mistakes, **inputs)


def _inputs(
    logits_1: list[float], logits_2: list[float], labels: list[int], weights: list[float], d: float
) -> dict[str, Any]:
    logits = {"logits_1": logits_1, "logits_2": logits_2}
    moved = {name: tensor(value).requires_grad_() for name, value in logits.items()}
    return {**moved, "labels": labels, "weights": weights, "d": d}


def _adversarial_gradient(answer: Callable[..., object]) -> str | None:
    inputs, *_ = _pair()
    moved = {name: inputs[name] for name in ("logits_1", "logits_2")}
    reached = gradients(answer, inputs, moved, "and the student is to move")
    return reached if isinstance(reached, str) else None
