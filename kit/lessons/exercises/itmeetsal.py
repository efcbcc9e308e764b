"""Exercises of the ITMeetsAL lessons: a learner's own entropy, projection, divergence, losses."""

from __future__ import annotations

from collections.abc import Callable
from math import e, log, nan
from typing import Any

import torch
from torch import nn

from kit.lessons.exercises.feedback import Case, case, close, first_fault, gradients, tensor
from kit.metrics import interval_over_seeds


def check_two_class_entropy(answer: Callable[..., object]) -> str:
    """Equation 4 (Section 3.2.1): how uncertain each two-class answer (p, 1 - p) is, in nats.

    Args:
        answer: p, (n,) in [0, 1] -> (n,) entropies.

    Returns:
        What to tell the learner.

    >>> check_two_class_entropy(lambda p: None)
    'not tried yet'

    """
    even, uneven = log(2), 0.25 * log(4) + 0.75 * log(4 / 3)
    at_even = (
        ([1.0], "this is in bits, and nats are asked for"),
        ([even / 2], "only one of the two classes is counted"),
        ([-even], "the sign is wrong, an uncertainty is never negative"),
    )
    certain = "a certain answer leaves no uncertainty"
    never = [([nan], "a class that never comes should add nothing, and here it breaks the sum")]
    alone = "each answer stands for itself, and both of its classes count"
    cases = [
        case([even], "two equal classes should be the most uncertain", at_even, p=[0.5]),
        case([0.0], certain, never, p=[0.0]),
        case([0.0], certain, never, p=[1.0]),
        case([uneven, even], alone, p=[0.25, 0.5]),
    ]
    return first_fault(answer, cases) or "right: in nats, at even, uneven and certain answers"


def check_projection_lengths(answer: Callable[..., object]) -> str:
    """Equations 2 and 3: how long each feature is along the direction of each row of `onto`.

    Args:
        answer: features (b, d), onto (c, d) -> (b, c) signed lengths.

    Returns:
        What to tell the learner.

    """
    root = 5**0.5  # the length of (2, 1); that of (3, 4) is 5
    whose = "only the direction of a row of onto should matter, not its length"
    away = "a feature that points away has a negative length"
    axis = "normalised along the wrong axis: each row of onto has a length of its own"
    single = (
        ([[10.0]], f"not normalised: {whose}"),
        ([[10 / root]], "the wrong factor is normalised: a feature keeps its length here"),
        ([[2 / root]], "both factors are normalised, and the feature's length is lost"),
        ([[3.0]], axis),
        ([[0.4]], f"normalised twice: {whose}"),
    )
    square = (
        ([[0.6, 1.6], [0.0, 2.0]], "rows and columns are exchanged"),
        ([[0.6, 0.0], [4.0, 2.0]], axis),
    )
    alone = "each row of onto is a direction by itself, whatever the other rows are"
    wide = "there should be one row a feature and one column a row of onto"
    one, two = [3.0, 4.0], [0.0, 2.0]
    lost = [([[2.0]], f"the sign is lost: {away}")]
    pair, lengths = [[1.0, 0.0], [0.0, 2.0]], [[0.6, 0.0], [1.6, 2.0]]
    cases = [
        case([[2.0]], whose, single, features=[[2.0, 1.0]], onto=[one]),
        case([[-2.0]], away, lost, features=[[-2.0, -1.0]], onto=[one]),
        case(lengths, alone, square, features=pair, onto=[one, two]),
        case([[0.6, 0.0, -1.0]], wide, features=[[1.0, 0.0]], onto=[one, two, [-1.0, 0.0]]),
    ]
    return first_fault(answer, cases) or "right: signed lengths, along directions of any length"


def check_softened_divergence(answer: Callable[..., object]) -> str:
    """Equation 11: how far two softened answers are apart, in both directions.

    Args:
        answer: logits_p (n, c), logits_q (n, c), temperature -> a scalar in nats.

    Returns:
        What to tell the learner.

    """
    # (1/2, 1/4, 1/4) against three equal classes; sharp: the former with logits four times as far.
    there, both, sharp = log(1.5) / 2 + log(0.75) / 2, log(2) / 6, (16 / 18 - 1 / 3) * log(16)
    one_way = "only one direction counts: exchanging the two answers should change nothing"
    at_one = (
        (there, one_way),
        (both - there, one_way),
        (both / 2, "the directions are averaged, and their sum is asked for"),
        (both / 3, "this is a mean over the classes, where each row needs their sum"),
        (-both, "the sign is wrong, a divergence is never negative"),
        (0.0, "different answers look equal, as if each class were softened by itself"),
    )
    size = "the result should hardly shrink as the temperature grows, and here it does"
    ignored = "the temperature is ignored: it should soften both answers"
    at_four = ((both, size), (4 * both, size), (sharp, ignored), (16 * sharp, ignored))
    mean = "two rows should give the mean of what they give alone"
    summed = [(both, "this is the sum over the rows, not their mean")]
    capped = "answers that are certain should neither overflow nor meet a ceiling"
    overflow = [(nan, "large logits overflow, where the true result is finite")]
    given: tuple[Any, ...] = (  # expected, why, mistakes; then what goes in
        (0.0, "equal answers are 0 apart", (), [[1.0, 0.0]], [[1.0, 0.0]], 1.0),
        (both, "each direction adds to it", at_one, [[log(2), 0.0, 0.0]], [[0.0] * 3], 1.0),
        (16 * both, "its size is off", at_four, [[log(16), 0.0, 0.0]], [[0.0] * 3], 4.0),
        (both / 2, mean, summed, [[log(2), 0.0, 0.0], [0.0] * 3], [[0.0] * 3] * 2, 1.0),
        (2e4, capped, overflow, [[1e4, 0.0]], [[0.0, 1e4]], 1.0),
    )
    cases = [case(*to, logits_p=p, logits_q=q, temperature=tau) for *to, p, q, tau in given]
    return first_fault(answer, cases) or "right: both directions, soft or sharp, and large logits"


def check_hardest_negative(answer: Callable[..., object]) -> str:
    """Equations 12 and 13: for each anchor, its most similar candidate of another label.

    Args:
        answer: similarity (n, n) with an anchor a row, labels (n,) -> (n,) similarities.

    Returns:
        What to tell the learner.

    """
    other = "the candidates are those of another label"
    basic = (
        ([0.9, 0.8], "the positives are among the candidates"),
        ([0.4, 0.2], "columns are searched, and the anchors are the rows"),
        ([1.0, 0.0], "these are positions, and the similarities there are asked for"),
    )
    below = "negative similarities are as good as others"
    zeros = [([0.0, 0.0], "0 is not among the similarities: what is masked out still competes")]
    hard = "the hardest negative is the one most easily taken for a positive"
    easy = [([0.2, 0.1, 0.3], "this is the easiest negative, and the hardest is asked for")]
    diagonal = "only the diagonal is left out, and a label can come more than once"
    third = [[0.9, 0.2, 0.5], [0.4, 0.8, 0.1], [0.3, 0.6, 0.7]]
    fourth = [[0.9, 0.8, 0.5], [0.7, 0.9, 0.1], [0.3, 0.6, 0.8]]
    given: tuple[Any, ...] = (
        ([0.2, 0.4], other, basic, [[0.9, 0.2], [0.4, 0.8]], [0, 1]),
        ([-0.6, -0.4], below, zeros, [[-0.1, -0.6], [-0.4, -0.2]], [0, 1]),
        ([0.5, 0.4, 0.6], hard, easy, third, [0, 1, 2]),
        ([0.5, 0.1, 0.6], other, [([0.8, 0.7, 0.6], diagonal)], fourth, [0, 0, 1]),
    )
    cases = [case(*to, similarity=s, labels=labels) for *to, s, labels in given]
    return first_fault(answer, cases) or "right: also with repeated labels or negative numbers"


def check_discriminator_loss(answer: Callable[..., object]) -> str:
    """Equation 5: the discriminator learns to tell images from texts, and only it moves.

    Args:
        answer: discriminator (n, d) -> (n, 2), image_features, text_features -> a scalar in nats.

    Returns:
        What to tell the learner.

    """
    image, text = log(4 / 3), log(8 / 7)  # it gives the image 3/4, and the text 7/8
    same, one = "both modalities are held for the same class", "only one modality counts"
    first = (
        (log(4) + log(8), "the classes are exchanged: images are class 0, texts class 1"),
        ((image + text) / 2, "the modalities are averaged, and their sum is asked for"),
        (log((1 + e**-0.5) * (1 + e**-0.75)), "the logits become probabilities twice"),
        (image, one),
        (text, one),
        (image + log(8), same),
        (log(4) + text, same),
    )
    full = "images are class 0 and texts class 1, and both count in full"
    mean = "two rows should give the mean of what they give alone"
    summed = [(image + text + log(4), "this is a sum over the rows, and their mean is asked for")]
    cases = [
        case(image + text, full, first, **_discrimination(rows=1)),
        case((image + text) / 2 + log(2), mean, summed, **_discrimination(rows=2)),
    ]
    right = "right: the value, and a gradient that moves the discriminator but not the features"
    return first_fault(answer, cases) or _gradient_fault(answer) or right


def check_verdict(answer: Callable[..., object]) -> str:
    """The statistics of the ablation: does "ours is higher" hold, by a paired 95 % t-interval?

    Args:
        answer: differences over seeds, a list of floats -> "held", "not held" or "undecided".

    Returns:
        What to tell the learner.

    """
    around = "an interval around 0 decides nothing"
    beyond = "an interval that leaves out 0 decides"
    table = [
        ([0.9, 1.0, 1.1], beyond, beyond),
        ([-1.0, 0.5, 2.0], around, "the sign of the mean alone decides, and that differs by luck"),
        ([1.0, 2.0, 5.0], around, "too narrow for so few seeds: 1.96 is for many"),
        ([2.0, 3.0, 6.0], around, "one-sided: 5 % are left out on both sides together"),
        ([3.0, 4.0, 7.0], around, "the spread is too small: the seeds' own mean uses up one"),
        ([2.0, 3.0, 3.0, 4.0, 6.0], beyond, "a mean of seeds is surer than a single seed"),
        ([4.0, 5.0, 8.0], beyond, "the interval is too wide: it is to hold 95 %"),
    ]
    words = {"higher": "held", "lower": "not held", "undecided": "undecided"}
    cases: list[Case] = []
    for differences, why, mistake in table:
        for side in (1.0, -1.0):
            values = [side * value for value in differences]
            expected = words[interval_over_seeds(values, [0.0] * len(values)).verdict]
            decided = "held" if side > 0 else "not held"
            slip = decided if expected == "undecided" else "undecided"
            cases.append(({"differences": values}, expected, why, [(slip, mistake)]))
    return first_fault(answer, cases) or (
        "right: the three verdicts, on either side of 0 and close to where they change"
    )


def _gradient_fault(answer: Callable[..., object]) -> str | None:
    inputs = _discrimination(rows=1)
    discriminator, *features = inputs.values()
    still = dict(zip(("image_features", "text_features"), features, strict=True))
    moved = {"the discriminator": discriminator.bias}
    reached = gradients(answer, inputs, moved, "which is to learn", still)
    if isinstance(reached, str):
        return reached
    if not close(reached[0], tensor([-0.125, 0.125])):  # (-1/4, 1/4) of the image, and the text's
        return "the value is right, but a part of it gives the discriminator no gradient"
    return None


def _discrimination(rows: int) -> dict[str, Any]:
    # Without init: a check must not use up the notebook's random numbers.
    discriminator = nn.utils.skip_init(nn.Linear, 2, 2, dtype=torch.float64)
    discriminator.load_state_dict({"weight": torch.eye(2), "bias": torch.zeros(2)})
    image, text = ([[log(3), 0.0], [0.0, 0.0]], [[0.0, log(7)], [0.0, 0.0]])
    return {
        "discriminator": discriminator,
        "image_features": tensor(image[:rows]).requires_grad_(),
        "text_features": tensor(text[:rows]).requires_grad_(),
    }
