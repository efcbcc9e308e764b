"""Exercises of AMID's lessons on information, on classes and of the ablation."""

from __future__ import annotations

from collections.abc import Callable
from math import exp, log, nan

from kit.lessons.exercises.feedback import Case, case, first_fault


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
        answer: other (batch, dim), teacher (batch, dim), temperature -> (batch, batch)
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
            other=[[3.0, 0.0], [3.0, 4.0]],
            teacher=[[1.0, 0.0], [0.0, 2.0]],
            temperature=0.5,
        ),
        case(
            _rows(*cosines),
            "every sample of the batch stands in the denominator, the anchor's own included",
            other=three,
            teacher=three,
            temperature=1.0,
        ),
        case(
            [[1.0, 0.0], [0.0, 1.0]],
            sharp,
            overflow,
            other=[[1.0, 1.0], [0.0, 1.0]],
            teacher=[[1.0, 0.0], [0.0, 1.0]],
            temperature=1e-4,
        ),
    ]
    right = "right: cosines, along each anchor's row, also at a small temperature"
    return first_fault(answer, cases) or right


def _rows(*logits: list[float], down: bool = False) -> list[list[float]]:
    """The softmax of each row; `down`: of rows that stand as columns in what comes back."""
    shares = [[exp(value) / sum(map(exp, row)) for value in row] for row in logits]
    return [list(column) for column in zip(*shares, strict=True)] if down else shares


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
    # Class 0: 3 of 4; class 1: 5 of 10. Columns sum to 8 and 6, all clips to 14.
    slips = (
        ([0.75, 0.5], "percent is asked for"),
        ([100 * 3 / 8, 100 * 5 / 6], "rows are the true classes; these are shares of columns"),
        ([3 / 8, 5 / 6], "rows are the true classes, and percent is asked for"),
        ([100 * 3 / 14, 100 * 5 / 14], "each class by its own number of clips, not by all"),
        ([3.0, 5.0], "these are counts; their share of the class's clips is asked for"),
        ([25.0, 50.0], "these are the shares that are wrong"),
    )
    # There is no clip of class 1, and one of class 2 is taken for it.
    verdict = "of a class without a clip nothing is known; 0 would be a verdict"
    absent, zero = [[2.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 1.0, 1.0]], [100.0, 0.0, 50.0]
    counted = "3 of 4 clips of class 0 are right, and 5 of 10 of class 1"
    unknown = "class 1 has no clip, so it has no accuracy: nan"
    cases = [
        case([75.0, 50.0], counted, slips, confusion=[[3.0, 1.0], [5.0, 5.0]]),
        case([100.0, nan, 50.0], unknown, [(zero, verdict)], confusion=absent),
    ]
    right = "right: each class by its own number of clips, in percent, nan where there is none"
    return first_fault(answer, cases) or right


def check_same_class_cosine(answer: Callable[..., object]) -> str:
    """Figure 5: the mean cosine of a student's and a teacher's feature of two clips of one class.

    Args:
        answer: student (clips, dim), teacher (clips, dim), labels (clips,) -> a scalar. The
            features are of any norm; a clip with itself is no pair.

    Returns:
        What to tell the learner.

    >>> check_same_class_cosine(lambda student, teacher, labels: ...)
    'not tried yet'

    """
    right = "right: other clips of the class alone, every pair counted once, norms left out"
    return first_fault(answer, [_one_class(), _norms(), _two_classes()]) or right


def _one_class() -> Case:
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
        student=[[1.0, 0.0], [0.28, 0.96]],
        teacher=[[1.0, 0.0], [0.0, 1.0]],
        labels=[0, 0],
    )


def _norms() -> Case:
    """The same directions, other norms."""
    return case(
        0.14,
        "a cosine does not depend on norms",
        (
            (7.0, "this is the inner product; a cosine does not depend on norms"),
            (0.28, "the teacher's norm is to be divided out, too"),
            (3.5, "the student's norm is to be divided out, too"),
        ),
        student=[[5.0, 0.0], [7.0, 24.0]],
        teacher=[[2.0, 0.0], [0.0, 3.0]],
        labels=[0, 0],
    )


def _two_classes() -> Case:
    """Three clips of class 4, two of class 1, one alone: eight pairs, of three directions."""
    # Class 4: teacher (1,0) each, student cosines 1, 0.6, 0; each is met by two teachers.
    # Class 1: teacher (0,1) each, student cosines 1, 0.8; each is met by one.
    total, pairs = 2 * (1.0 + 0.6 + 0.0) + (1.0 + 0.8), 8
    return case(
        total / pairs,
        "all pairs of all classes count alike: eight here, six of one class and two of the other",
        (
            ((2 * 1.6 / 6 + 1.8 / 2) / 2, "this is a mean of class means; every pair counts alike"),
            (
                (2 * 1.6 / 6 + 1.8 / 2) / 3,
                "a class with one clip has no pair and is not counted; every pair counts alike",
            ),
            (nan, "a class with one clip has no pair; a mean of none is nan"),
            (total / 6, "the mean is over pairs, and there are eight"),
            (total / 9, "the mean is over pairs, and there are eight"),
            (total / 36, "the mean is over pairs of one class, and there are eight"),
        ),
        student=[[1.0, 0.0], [0.0, 1.0], [0.6, 0.8], [0.0, 1.0], [0.6, 0.8], [1.0, 0.0]],
        teacher=[[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.0]],
        labels=[4, 1, 4, 4, 1, 2],
    )
