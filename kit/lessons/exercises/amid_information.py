"""Exercises of AMID's lessons on information: a table's mutual information, Equation 7's h."""

from __future__ import annotations

from collections.abc import Callable
from math import exp, log, nan

from kit.lessons.exercises.feedback import case, first_fault


def check_mutual_information(answer: Callable[..., object]) -> str:
    """Equation 4's first line: what two discrete variables tell of each other, in nats.

    Args:
        answer: joint (values of M, values of S), probabilities that sum to 1 -> a scalar in nats.

    Returns:
        What to tell the learner.

    >>> check_mutual_information(lambda joint: None)
    'not tried yet'

    """
    bit = log(2)
    copied = (
        (1.0, "this is in bits, and nats are asked for"),
        (-bit, "the sign is wrong, mutual information is never negative"),
        (nan, "a pair that never comes should add nothing, and here it breaks the sum"),
        (0.0, "this is what the one does not tell of the other"),
        (2 * bit, "this is the sum of both entropies, and what is common counts once"),
        (bit / 4, "this is a mean over the cells, where each counts with its probability"),
    )
    apart = (
        (2 * bit, "this is the entropy of the pair, and the two know nothing of each other"),
        (bit, "this is the entropy of one of the two, and the other tells nothing of it"),
    )
    more = [(2 * bit, "this is all that M knows, and S tells only a part of it")]
    flipped = bit + 0.9 * log(0.9) + 0.1 * log(0.1)  # a bit that arrives wrong one time in ten
    uneven = 0.5 * log(4 / 3) + 0.25 * log(2 / 3) + 0.25 * log(2)  # cell by cell, from row sums
    exchanged = [(0.5 * log(4 / 3) + 0.5 * log(2), "the sums of rows and columns are exchanged")]
    cases = [
        case(bit, "each tells the other's bit", copied, joint=[[0.5, 0.0], [0.0, 0.5]]),
        case(0.0, "independent variables tell nothing", apart, joint=[[0.25, 0.25]] * 2),
        case(
            bit,
            "of what M knows only what S tells as well is common",
            more,
            joint=[[0.25, 0.0], [0.25, 0.0], [0.0, 0.25], [0.0, 0.25]],
        ),
        case(
            flipped,
            "a reading that is sometimes wrong tells a part of the bit",
            joint=[[0.45, 0.05], [0.05, 0.45]],
        ),
        case(
            uneven,
            "rows and columns each have sums of their own",
            exchanged,
            joint=[[0.5, 0.25], [0.0, 0.25]],
        ),
    ]
    right = "right: also with pairs that never come, and with tables that are not square"
    return first_fault(answer, cases) or right


def check_pair_probabilities(answer: Callable[..., object]) -> str:
    """Equation 7: h(M_i, S_u), how an anchor shares one out among all samples of the batch.

    Args:
        answer: teacher (batch, dim), other (batch, dim), temperature -> (batch, batch)
            probabilities.

    Returns:
        What to tell the learner.

    """
    # Cosines (1, 0.6) and (0, 0.8); lengths 1 and 2 of the teacher, 3 and 5 of the others.
    upper, lower = 1 / (1 + exp(-0.8)), 1 / (1 + exp(1.6))
    expected = [[upper, 1 - upper], [lower, 1 - lower]]
    alone = "h is a softmax of cosines divided by the temperature, along each anchor's row"
    mistakes = (
        ([[log(upper), log(1 - upper)], [log(lower), log(1 - lower)]], "these are logarithms"),
        (_rows([2.0, 0.0], [1.2, 1.6], down=True), "each anchor has a row that sums to 1"),
        (_rows([2.0, 0.0], [1.2, 1.6]), "rows and columns are exchanged: M is the anchor"),
        (_rows([6.0, 6.0], [0.0, 16.0]), "these are inner products, and a cosine has no lengths"),
        (_rows([6.0, 6.0], [0.0, 8.0]), "the other features keep their lengths"),
        (_rows([2.0, 1.2], [0.0, 3.2]), "the teacher's features keep their lengths"),
        (_rows([1.0, 0.6], [0.0, 0.8]), "the temperature is ignored"),
        (_rows([0.5, 0.3], [0.0, 0.4]), "the cosines are multiplied by the temperature"),
        ([[1.0, 0.6], [0.0, 0.8]], "these are the cosines"),
        ([[0.0, 1.0], [1.0, 0.0]], "the anchor's own sample stands in the denominator as well"),
    )
    three = [[1.0, 0.0], [1.0, 1.0], [-1.0, 0.0]]
    cosines = [[1.0, 0.5**0.5, -1.0], [0.5**0.5, 1.0, -(0.5**0.5)], [-1.0, -(0.5**0.5), 1.0]]
    sharp = "a small temperature should make h certain, and neither overflow nor be uncertain"
    burst = [[nan, 0.0], [nan, nan]]
    overflow = [(burst, "the exponentials overflow, where the true result is finite")]
    cases = [
        case(
            expected,
            alone,
            mistakes,
            teacher=[[1.0, 0.0], [0.0, 2.0]],
            other=[[3.0, 0.0], [3.0, 4.0]],
            temperature=0.5,
        ),
        case(
            _rows(*cosines),
            "every sample of the batch stands in the denominator, the anchor's own included",
            teacher=three,
            other=three,
            temperature=1.0,
        ),
        case(
            [[1.0, 0.0], [0.0, 1.0]],
            sharp,
            overflow,
            teacher=[[1.0, 0.0], [0.0, 1.0]],
            other=[[1.0, 1.0], [0.0, 1.0]],
            temperature=1e-4,
        ),
    ]
    right = "right: cosines, along each anchor's row, also at a small temperature"
    return first_fault(answer, cases) or right


def _rows(*logits: list[float], down: bool = False) -> list[list[float]]:
    """The softmax of each row; `down`: of rows that stand as columns in what comes back."""
    shares = [[exp(value) / sum(map(exp, row)) for value in row] for row in logits]
    return [list(column) for column in zip(*shares, strict=True)] if down else shares
