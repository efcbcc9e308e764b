"""The check of a learner's own Equation 12: right answers pass, mistakes are called by name."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from kit.amid.losses import adversarial_loss, has_classmate
from kit.lessons import exercises

Answer = Callable[..., object]
Pick = Callable[[Tensor], Tensor]


def nonsaturating(logits: Tensor) -> Tensor:
    return -F.logsigmoid(logits)


def everyone(labels: Tensor) -> Tensor:
    return torch.ones(len(labels), dtype=torch.bool)


def first_of_class(labels: Tensor) -> Tensor:
    return has_classmate(labels) & torch.tensor(
        [labels.tolist().index(label) == at for at, label in enumerate(labels.tolist())]
    )


def later_of_class(labels: Tensor) -> Tensor:
    return has_classmate(labels) & ~first_of_class(labels)


def classmates(labels: Tensor, *, with_self: bool) -> Tensor:
    counts = (labels[:, None] == labels[None, :]).sum(1)
    return counts * (counts > 1) if with_self else counts - 1


def equation_12(
    logits_1: Tensor,
    logits_2: Tensor,
    labels: Tensor,
    weights: Tensor,
    d: float,
    *,
    term: Callable[[Tensor], Tensor] = nonsaturating,
    who: Pick = has_classmate,
    over: Callable[[Tensor, int, float], Tensor] = lambda terms, samples, d: terms.sum() / d,
    first: Callable[[Tensor], Tensor] = torch.mean,
    order: tuple[int, int] = (0, 1),
    second: bool = True,
) -> Tensor:
    samples = int(who(labels).sum())
    told = over(term(logits_2) * who(labels), samples, d)
    told = torch.zeros_like(told) if samples == 0 else told
    return weights[order[0]] * first(term(logits_1)) + second * weights[order[1]] * told


def by_the_kit(
    logits_1: Tensor, logits_2: Tensor, labels: Tensor, weights: Tensor, d: float
) -> Tensor:
    loss = adversarial_loss(logits_1, weight=weights[0], divisor=len(labels))
    among = adversarial_loss(logits_2[has_classmate(labels)], weight=weights[1], divisor=d)
    assert loss is not None
    return loss if among is None else loss + among


def one_by_one(
    logits_1: Tensor, logits_2: Tensor, labels: Tensor, weights: Tensor, d: float
) -> Tensor:
    """With the printed re-indexing: each is judged by the next of its class."""
    total, count = torch.zeros((), dtype=torch.float64), len(labels)
    for i in range(count):
        total = total + weights[0] / count * F.softplus(-logits_1[i])
        others = [u % count for u in range(i + 1, i + count) if labels[u % count] == labels[i]]
        if others:
            total = total + weights[1] / d * F.softplus(-logits_2[others[0]])
    return total


def empty_mean(
    logits_1: Tensor, logits_2: Tensor, labels: Tensor, weights: Tensor, d: float
) -> Tensor:
    among = nonsaturating(logits_2[has_classmate(labels)]).mean()
    return weights[0] * nonsaturating(logits_1).mean() + weights[1] * among


def naive(logits: Tensor) -> Tensor:
    return -logits.sigmoid().log()


def half_detached(
    logits_1: Tensor, logits_2: Tensor, labels: Tensor, weights: Tensor, d: float
) -> Tensor:
    return equation_12(logits_1, logits_2.detach(), labels, weights, d)


def used_up(
    logits_1: Tensor, logits_2: Tensor, labels: Tensor, weights: Tensor, d: float
) -> Tensor:
    loss = equation_12(logits_1, logits_2, labels, weights, d)
    loss.backward()
    return loss


@pytest.mark.parametrize("answer", [equation_12, by_the_kit, one_by_one])
def test_right_answers_pass(answer: Answer) -> None:
    assert exercises.check_adversarial_loss(answer).startswith("right: ")


@pytest.mark.parametrize(
    ("answer", "phrase"),
    [
        (empty_mean, "a mean of none is nan"),
        (partial(equation_12, who=everyone), "so D2 is not asked"),
        (partial(equation_12, term=F.logsigmoid), "the sign is wrong"),
        (lambda a, b, y, w, d: equation_12(a, b, y, torch.ones(2), d), "comes with its weight"),
        (partial(equation_12, order=(1, 0)), "weights are exchanged"),
        (partial(equation_12, first=torch.sum), "this is a sum"),
        (partial(equation_12, term=F.softplus), "low where D1 says student"),
        (partial(equation_12, term=lambda x: F.logsigmoid(-x)), "saturating"),
        (partial(equation_12, term=lambda x: -x.sigmoid()), "these are probabilities"),
        (partial(equation_12, second=False), "the second term is missing"),
        (partial(equation_12, over=lambda t, w, d: t.sum() / max(w, 1)), "not by how many"),
        (partial(equation_12, over=lambda t, w, d: t.mean()), "not by the batch"),
        (partial(equation_12, over=lambda t, w, d: t.sum()), "divided by d"),
        (partial(equation_12, who=first_of_class), "both count"),
        (partial(equation_12, who=later_of_class), "both count"),
        (partial(equation_12, who=partial(classmates, with_self=False)), "each sample counts once"),
        (partial(equation_12, who=partial(classmates, with_self=True)), "each sample counts once"),
        (partial(equation_12, term=naive), "large logits overflow"),
        (partial(equation_12, term=lambda x: nonsaturating(x.clamp(-50, 50))), "pay its logit"),
        (torch.no_grad()(equation_12), "no gradient reaches logits_1"),
        (half_detached, "no gradient reaches logits_2"),
        (used_up, "its gradient cannot be taken: RuntimeError"),
        (lambda a, b, y, w, d: equation_12(a.abs_(), b, y, w, d), "raised RuntimeError"),
        (lambda a, b, y, w, d: equation_12(a, b, y.zero_(), w, d), "changes labels in place"),
        (lambda a, b, y, w, d: equation_12(a, b, y, w, d)[None], r"shape \(1,\), expected \(\)"),
        (lambda a, b, y, w, d: 0.26, "of type float"),
        (lambda a, b, y, w, d: 1 / 0, "raised ZeroDivisionError"),
        (lambda: 1, "takes 0 positional arguments"),
    ],
)
def test_mistakes_are_named(answer: Answer, phrase: str) -> None:
    said = exercises.check_adversarial_loss(answer)
    assert not said.startswith("right")
    assert re.search(phrase, said), said


@pytest.mark.parametrize("value", [None, ...])
def test_unanswered(value: object) -> None:
    assert exercises.check_adversarial_loss(lambda *inputs: value) == "not tried yet"


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_is_shown(value: float) -> None:
    said = exercises.check_adversarial_loss(lambda *inputs: torch.tensor(value))
    assert f"gives {value}, expected 0.2599" in said


def test_the_notebook_is_left_as_it_was() -> None:
    state = torch.random.get_rng_state()
    exercises.check_adversarial_loss(lambda *inputs: torch.set_grad_enabled(False))
    assert torch.is_grad_enabled()
    assert torch.equal(torch.random.get_rng_state(), state)
    with torch.no_grad():
        assert exercises.check_adversarial_loss(equation_12).startswith("right: ")
