"""The checks of the lessons on information: right answers pass, mistakes are called by name."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import partial

import pytest
import torch
from sklearn.metrics import mutual_info_score
from torch import Tensor
from torch.nn import functional as F

from kit.amid.losses import pair_log_probabilities
from kit.lessons import exercises

Answer = Callable[..., object]

CHECKS: dict[str, Callable[[Answer], str]] = {
    "information": exercises.check_mutual_information,
    "pairs": exercises.check_pair_probabilities,
}
every_check = pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)


def entropy(p: Tensor) -> Tensor:
    return -torch.xlogy(p, p).sum()


def information(joint: Tensor) -> Tensor:
    return entropy(joint.sum(0)) + entropy(joint.sum(1)) - entropy(joint)


def cell_by_cell(joint: Tensor) -> Tensor:
    total = torch.zeros((), dtype=joint.dtype)
    for row, of_row in zip(joint, joint.sum(1), strict=True):
        for p, of_column in zip(row, joint.sum(0), strict=True):
            if p > 0:
                total = total + p * (p / (of_row * of_column)).log()
    return total


def by_sklearn(joint: Tensor) -> Tensor:
    counts = (20 * joint).round().long().numpy()  # all probabilities of the check are twentieths
    value = mutual_info_score(None, None, contingency=counts)
    return torch.tensor(value, dtype=torch.float64)


def without_zeros(joint: Tensor, *, swapped: bool = False) -> Tensor:
    product = joint.sum(1, keepdim=True) * joint.sum(0, keepdim=True)
    return (joint * (joint / (product.T if swapped else product)).log()).sum()


def swapped_sums(joint: Tensor) -> Tensor:
    if joint.shape[0] != joint.shape[1]:
        return information(joint)
    there = joint > 0
    product = (joint.sum(1, keepdim=True) * joint.sum(0, keepdim=True)).T
    return (joint[there] * (joint[there] / product[there]).log()).sum()


def h(
    other: Tensor,
    teacher: Tensor,
    temperature: float,
    *,
    left: bool = True,
    right: bool = True,
    by: Callable[[float], float] = lambda tau: tau,
    dim: int = 1,
) -> Tensor:
    teacher = F.normalize(teacher) if left else teacher
    other = F.normalize(other) if right else other
    return (teacher @ other.T / by(temperature)).softmax(dim)


def from_the_kit(other: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    return pair_log_probabilities(other, teacher, temperature=temperature).exp()


def one_by_one(other: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    cosines = [[F.cosine_similarity(m, s, dim=0) for s in other] for m in teacher]
    return torch.stack([torch.stack(row).div(temperature).softmax(0) for row in cosines])


def overflowing(other: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    shares = (F.normalize(teacher) @ F.normalize(other).T / temperature).exp()
    return shares / shares.sum(1, keepdim=True)


def without_own(other: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    logits = F.normalize(teacher) @ F.normalize(other).T / temperature
    return logits.fill_diagonal_(-math.inf).softmax(1)


def own_out_of_three(other: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    given = other, teacher, temperature
    return without_own(*given) if len(teacher) == 3 else h(*given)


@pytest.mark.parametrize(
    ("check", "answer"),
    [
        ("information", information),
        ("information", cell_by_cell),
        ("information", by_sklearn),
        ("information", lambda joint: information(joint).float()),
        ("information", lambda joint: without_zeros(joint.clamp_min(1e-12))),
        ("pairs", h),
        ("pairs", from_the_kit),
        ("pairs", one_by_one),
        ("pairs", lambda s, m, tau: h(s, m, tau).float()),
    ],
)
def test_right_answers_pass(check: str, answer: Answer) -> None:
    assert CHECKS[check](answer).startswith("right: ")


@pytest.mark.parametrize(
    ("check", "answer", "phrase"),
    [
        ("information", lambda joint: information(joint) / math.log(2), "in bits"),
        ("information", lambda joint: -information(joint), "the sign is wrong"),
        ("information", without_zeros, "never comes should add nothing"),
        ("information", lambda j: entropy(j) - entropy(j.sum(0)), "does not tell"),
        ("information", lambda j: entropy(j.sum(0)) + entropy(j.sum(1)), "the sum of both"),
        ("information", lambda joint: information(joint) / joint.numel(), "mean over the cells"),
        ("information", entropy, "entropy of the pair"),
        ("information", lambda joint: entropy(joint.sum(1)), "entropy of one of the two"),
        ("information", lambda joint: entropy(joint.sum(0)), "entropy of one of the two"),
        ("information", lambda j: information(j).clamp_min(j.count_nonzero() / 8), "gives 0.5"),
        ("information", swapped_sums, "sums of rows and columns are exchanged"),
        ("information", lambda joint: information(joint).round(), "gives 1, expected 0.6931"),
        ("information", lambda joint: information(joint)[None], r"shape \(1,\), expected \(\)"),
        ("information", lambda joint: information(joint.mul_(1.0).clamp_(0.1)), "in place"),
        ("information", lambda joint: 0.5, "of type float"),
        ("pairs", lambda s, m, tau: h(s, m, tau).log(), "these are logarithms"),
        ("pairs", partial(h, dim=0), "each anchor has a row that sums to 1"),
        ("pairs", lambda s, m, tau: h(m, s, tau), "M is the anchor"),
        ("pairs", partial(h, left=False, right=False), "these are inner products"),
        ("pairs", partial(h, right=False), "the other features keep their lengths"),
        ("pairs", partial(h, left=False), "teacher's features keep their lengths"),
        ("pairs", partial(h, by=lambda tau: 1.0), "the temperature is ignored"),
        ("pairs", partial(h, by=lambda tau: 1 / tau), "multiplied by the temperature"),
        ("pairs", lambda s, m, tau: F.normalize(m) @ F.normalize(s).T, "these are the cosines"),
        ("pairs", without_own, "stands in the denominator as well"),
        ("pairs", own_out_of_three, "the anchor's own included"),
        ("pairs", overflowing, "the exponentials overflow"),
        ("pairs", partial(h, by=lambda tau: max(tau, 0.5)), "make h certain"),
        ("pairs", lambda s, m, tau: h(s, m, tau).diagonal(), r"\(2,\), expected \(2, 2\)"),
        ("pairs", lambda s, m, tau: 1 / 0, "raised ZeroDivisionError"),
        ("pairs", lambda: 1, "takes 0 positional arguments"),
    ],
)
def test_mistakes_are_named(check: str, answer: Answer, phrase: str) -> None:
    said = CHECKS[check](answer)
    assert not said.startswith("right")
    assert re.search(phrase, said), said


@every_check
@pytest.mark.parametrize("value", [None, ...])
def test_unanswered(check: Callable[[Answer], str], value: object) -> None:
    assert check(lambda *inputs: value) == "not tried yet"


@pytest.mark.parametrize(("check", "shape"), [("information", ()), ("pairs", (2, 2))])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_is_shown(check: str, shape: tuple[int, ...], value: float) -> None:
    said = CHECKS[check](lambda *inputs: torch.full(shape, value))
    assert f"gives {value}" in said.replace("[", ""), said


@every_check
def test_the_notebook_is_left_as_it_was(check: Callable[[Answer], str]) -> None:
    state = torch.random.get_rng_state()
    check(lambda *inputs: torch.set_grad_enabled(False))
    assert torch.is_grad_enabled()
    assert torch.equal(torch.random.get_rng_state(), state)
