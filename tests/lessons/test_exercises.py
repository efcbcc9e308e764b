"""The checks of the exercise cells: right answers pass, known mistakes are called by their name."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import t
from torch import Tensor, nn
from torch.nn import functional as F

from kit.lessons import exercises

Answer = Callable[..., object]
Pick = Callable[[Tensor, Tensor], Tensor]


def entropy(p: Tensor, *, scale: float = 1.0, second: bool = True) -> Tensor:
    other = torch.xlogy(1 - p, 1 - p) if second else torch.zeros_like(p)
    total: Tensor = torch.xlogy(p, p) + other
    return -scale * total


def nan_entropy(p: Tensor) -> Tensor:
    return -p * p.log() - (1 - p) * (1 - p).log()


def lengths(features: Tensor, onto: Tensor, *, left: Any = None, right: int | None = 1) -> Tensor:
    features = features if left is None else F.normalize(features, dim=left)
    return features @ (onto if right is None else F.normalize(onto, dim=right)).T


def exchanged_lengths(features: Tensor, onto: Tensor) -> Tensor:
    return lengths(features, onto).T


def forgotten_keepdim(features: Tensor, onto: Tensor) -> Tensor:
    product: Tensor = features @ (onto / onto.norm(dim=1)).T
    return product


def one_way(p: Tensor, q: Tensor) -> Tensor:
    return (p.exp() * (p - q)).sum(1)


def both_ways(p: Tensor, q: Tensor) -> Tensor:
    return one_way(p, q) + one_way(q, p)


def divergence(
    logits_p: Tensor,
    logits_q: Tensor,
    temperature: float,
    *,
    way: Pick = both_ways,
    over: Callable[[Tensor], Tensor] = torch.mean,
    power: int = 2,
    soften: bool = True,
    dim: int = 1,
) -> Tensor:
    by = temperature if soften else 1.0
    p, q = F.log_softmax(logits_p / by, dim=dim), F.log_softmax(logits_q / by, dim=dim)
    return temperature**power * over(way(p, q))


def overflowing(logits_p: Tensor, logits_q: Tensor, temperature: float, eps: float = 0) -> Tensor:
    p, q = (logits_p / temperature).softmax(1), (logits_q / temperature).softmax(1)
    summed = p * (p / (q + eps) + eps).log() + q * (q / (p + eps) + eps).log()
    return temperature**2 * summed.sum(1).mean()


def hardest(similarity: Tensor, labels: Tensor) -> Tensor:
    return similarity.masked_fill(labels[:, None] == labels, -math.inf).amax(1)


def hardest_but_one(similarity: Tensor, labels: Tensor) -> Tensor:
    return similarity.masked_fill(torch.eye(len(labels)).bool(), -math.inf).amax(1)


def easiest(similarity: Tensor, labels: Tensor) -> Tensor:
    return similarity.masked_fill(labels[:, None] == labels, math.inf).amin(1)


def masked(similarity: Tensor, labels: Tensor) -> Tensor:
    return (similarity * (labels[:, None] != labels)).amax(1)


def told_apart(
    discriminator: nn.Module,
    image_features: Tensor,
    text_features: Tensor,
    *,
    classes: tuple[int, int] = (0, 1),
    factor: tuple[float, float] = (1.0, 1.0),
    detach: tuple[bool, bool] = (True, True),
    before: Callable[[Tensor], Tensor] = torch.clone,
    reduction: str = "mean",
) -> Tensor:
    total = torch.zeros((), dtype=torch.float64)
    for features, label, cut, f in zip(
        (image_features, text_features), classes, detach, factor, strict=True
    ):
        logits = before(discriminator(features.detach() if cut else features))
        target = torch.full((len(logits),), label)
        total = total + f * F.cross_entropy(logits, target, reduction=reduction)
    return total


def concatenated(discriminator: nn.Module, image: Tensor, text: Tensor) -> Tensor:
    labels = torch.tensor([0] * len(image) + [1] * len(text))
    return 2 * F.cross_entropy(discriminator(torch.cat([image, text]).detach()), labels)


def half_without_gradient(discriminator: nn.Module, image: Tensor, text: Tensor) -> Tensor:
    with torch.no_grad():
        first = told_apart(discriminator, image, text, factor=(1.0, 0.0))
    return first + told_apart(discriminator, image, text, factor=(0.0, 1.0))


def without_discriminator(discriminator: nn.Module, image: Tensor, text: Tensor) -> Tensor:
    return told_apart(nn.Identity(), image, text)


def no_longer_attached(discriminator: nn.Module, image: Tensor, text: Tensor) -> object:
    return told_apart(discriminator, image.detach_(), text.detach_())


def used_up(discriminator: nn.Module, image: Tensor, text: Tensor) -> object:
    loss = told_apart(discriminator, image, text)
    loss.backward()
    return loss


def verdict(
    differences: list[float],
    *,
    reach: Callable[[int], float] = lambda n: float(t.ppf(0.975, n - 1)),
    ddof: int = 1,
    root: bool = True,
) -> str:
    n = len(differences)
    mean, spread = np.mean(differences), np.std(differences, ddof=ddof)
    bound = reach(n) * spread / (math.sqrt(n) if root else 1.0)
    return "undecided" if abs(mean) <= bound else "held" if mean > 0 else "not held"


def normal(n: int) -> float:
    return 1.96


CHECKS: dict[str, Callable[[Answer], str]] = {
    "entropy": exercises.check_two_class_entropy,
    "lengths": exercises.check_projection_lengths,
    "divergence": exercises.check_softened_divergence,
    "hardest": exercises.check_hardest_negative,
    "loss": exercises.check_discriminator_loss,
    "verdict": exercises.check_verdict,
}
every_check = pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)


@pytest.mark.parametrize(
    ("check", "answer"),
    [
        ("entropy", entropy),
        ("entropy", lambda p: entropy(p).float()),
        ("entropy", lambda p: nan_entropy(p.clamp(1e-12, 1 - 1e-12))),
        ("lengths", lengths),
        ("lengths", lambda features, onto: features @ onto.T / onto.norm(dim=1)),
        ("divergence", divergence),
        ("hardest", hardest),
        ("hardest", lambda s, y: torch.stack([r[y != k].max() for r, k in zip(s, y, strict=True)])),
        ("loss", told_apart),
        ("loss", concatenated),
        ("loss", partial(told_apart, before=partial(torch.log_softmax, dim=1))),
        ("verdict", verdict),
        ("verdict", lambda differences: np.str_(verdict(differences))),
    ],
)
def test_right(check: str, answer: Answer) -> None:
    assert CHECKS[check](answer).startswith("right: ")


@pytest.mark.parametrize(
    ("check", "answer", "phrase"),
    [
        ("entropy", partial(entropy, scale=1 / math.log(2)), "in bits"),
        ("entropy", nan_entropy, "never comes should add nothing"),
        ("entropy", partial(entropy, second=False), "only one of the two classes"),
        ("entropy", lambda p: entropy(1 - p, second=False), "only one of the two classes"),
        ("entropy", partial(entropy, scale=-1), "the sign is wrong"),
        ("entropy", lambda p: entropy(p).mean(), r"shape \(\), expected \(1,\)"),
        ("entropy", lambda p: entropy(p)[:1], r"shape \(1,\), expected \(2,\)"),
        ("entropy", lambda p: torch.full_like(p, math.log(2)), "leaves no uncertainty"),
        ("entropy", lambda p: 4 * p * (1 - p) * math.log(2), "both of its classes"),
        ("lengths", partial(lengths, right=None), "not normalised"),
        ("lengths", partial(lengths, left=1, right=None), "wrong factor is normalised"),
        ("lengths", partial(lengths, left=1), "both factors are normalised"),
        ("lengths", lambda features, onto: lengths(features, onto).abs(), "the sign is lost"),
        ("lengths", exchanged_lengths, "rows and columns are exchanged"),
        ("lengths", partial(lengths, right=0), "along the wrong axis"),
        ("lengths", forgotten_keepdim, "along the wrong axis"),
        ("lengths", lambda f, o: f @ (o / o.norm()).T, "a direction by itself"),
        ("lengths", lambda f, o: f @ (o / (o * o).sum(1, keepdim=True)).T, "normalised twice"),
        ("lengths", lambda f, o: lengths(f, o)[:, : len(f)], r"shape \(1, 1\), expected \(1, 3\)"),
        ("divergence", partial(divergence, power=0), "shrink as the temperature grows"),
        ("divergence", partial(divergence, power=1), "shrink as the temperature grows"),
        ("divergence", partial(divergence, way=one_way), "only one direction"),
        ("divergence", partial(divergence, way=lambda p, q: one_way(q, p)), "only one direction"),
        ("divergence", partial(divergence, over=torch.sum), "the sum over the rows"),
        (
            "divergence",
            lambda p, q, tau: divergence(p, q, tau) / p.shape[1],
            "mean over the classes",
        ),
        ("divergence", lambda p, q, tau: divergence(p, q, tau) / 2, "directions are averaged"),
        ("divergence", lambda p, q, tau: -divergence(p, q, tau), "the sign is wrong"),
        ("divergence", overflowing, "large logits overflow"),
        ("divergence", partial(overflowing, eps=1e-8), "meet a ceiling"),
        ("divergence", partial(divergence, soften=False), "temperature is ignored"),
        ("divergence", partial(divergence, soften=False, power=0), "temperature is ignored"),
        ("divergence", partial(divergence, dim=0), "softened by itself"),
        ("divergence", lambda p, q, tau: divergence(p, q, tau) + 1, "equal answers are 0 apart"),
        ("hardest", lambda s, y: s.amax(1), "the positives are among"),
        ("hardest", hardest_but_one, "only the diagonal is left out"),
        ("hardest", easiest, "this is the easiest"),
        ("hardest", lambda s, y: hardest(s.T, y), "columns are searched"),
        ("hardest", masked, "0 is not among the similarities"),
        ("hardest", lambda s, y: s.masked_fill(y[:, None] == y, -2).argmax(1), "are positions"),
        ("loss", partial(told_apart, classes=(1, 0)), "classes are exchanged"),
        ("loss", partial(told_apart, factor=(0.5, 0.5)), "modalities are averaged"),
        ("loss", partial(told_apart, factor=(1, 0)), "only one modality"),
        ("loss", partial(told_apart, factor=(0, 1)), "only one modality"),
        ("loss", partial(told_apart, classes=(0, 0)), "the same class"),
        ("loss", partial(told_apart, classes=(1, 1)), "the same class"),
        ("loss", partial(told_apart, reduction="sum"), "a sum over the rows"),
        ("loss", partial(told_apart, detach=(False, False)), "reaches image_features"),
        ("loss", partial(told_apart, detach=(True, False)), "reaches text_features"),
        ("loss", torch.no_grad()(told_apart), "no gradient reaches the discriminator"),
        ("loss", torch.inference_mode()(told_apart), "no gradient reaches the discriminator"),
        ("loss", without_discriminator, "no gradient reaches the discriminator"),
        ("loss", half_without_gradient, "a part of it gives"),
        ("loss", no_longer_attached, "changes image_features in place"),
        ("loss", used_up, "its gradient cannot be taken: RuntimeError"),
        ("loss", partial(told_apart, before=partial(torch.softmax, dim=1)), "probabilities twice"),
        ("verdict", partial(verdict, reach=normal), "too narrow for so few seeds"),
        ("verdict", partial(verdict, reach=lambda n: 0.0), "sign of the mean alone"),
        ("verdict", partial(verdict, root=False), "surer than a single seed"),
        ("verdict", partial(verdict, root=False, ddof=0), "surer than a single seed"),
        ("verdict", partial(verdict, ddof=0), "uses up one"),
        ("verdict", partial(verdict, reach=lambda n: t.ppf(0.95, n - 1)), "one-sided"),
        ("verdict", partial(verdict, reach=lambda n: t.ppf(0.995, n - 1)), "too wide"),
        ("verdict", partial(verdict, reach=normal, root=False), "uses up one"),
        ("verdict", lambda d: "undecided", "leaves out 0 decides"),
        ("verdict", lambda d: "higher", "gives 'higher', expected 'held'"),
        ("verdict", lambda d: "held" if verdict(d) == "held" else None, "type NoneType"),
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


class Unsayable(Exception):  # noqa: N818
    def __str__(self) -> str:
        raise RuntimeError


def raising(error: Exception) -> Answer:
    def answer(*inputs: object) -> object:
        raise error

    return answer


def spoiling(*inputs: Any) -> object:
    for value in inputs:
        with torch.no_grad():
            if isinstance(value, nn.Module):
                next(value.parameters()).zero_()
            elif isinstance(value, Tensor):
                value.zero_()
            elif isinstance(value, list):
                value.clear()
    return torch.zeros(1)


ZOO: list[tuple[Answer | Any, str]] = [
    (raising(ValueError("no\nidea")), "it raised ValueError: no$"),
    (raising(NotImplementedError()), "it raised NotImplementedError$"),
    (raising(Unsayable()), r"it raised .*Unsayable: <exception str\(\) failed>$"),
    (lambda: 1, "it raised TypeError: .* takes 0 positional arguments"),
    ("not a function", "it raised TypeError: 'str' object is not callable"),
    (lambda *inputs: 0.5, "of type float"),
    (lambda *inputs: [0.5], "of type list"),
    (lambda *inputs: True, "of type bool"),
    (lambda *inputs: np.zeros(1), "of type ndarray"),
    (lambda *inputs: torch.zeros(1, 2, 3), r"shape \(1, 2, 3\)|of type Tensor"),
    (lambda *inputs: torch.zeros(1, dtype=torch.complex64), "complex64|of type Tensor"),
    (lambda *inputs: torch.zeros(1, 1).to_sparse(), "shape|type Tensor|raised"),
    (lambda *inputs: torch.zeros(1, 1, device="meta"), "shape|type Tensor|raised"),
    (lambda *inputs: torch.zeros(1).long(), "shape|type Tensor|gives"),
    (spoiling, "it changes .* in place"),
]


@every_check
@pytest.mark.parametrize(("answer", "phrase"), ZOO, ids=range(len(ZOO)))
def test_nothing_that_an_answer_does_is_raised(
    check: Callable[[Answer], str], answer: Answer, phrase: str
) -> None:
    said = check(answer)
    assert said.startswith("for ")
    assert re.search(phrase, said), said


@pytest.mark.parametrize("check", ["entropy", "lengths", "divergence", "hardest", "loss"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_is_shown(check: str, value: float) -> None:
    shape = {"entropy": (1,), "lengths": (1, 1), "hardest": (2,)}.get(check, ())
    said = CHECKS[check](lambda *inputs: torch.full(shape, value))
    assert f"gives {value}" in said.replace("[", ""), said


@every_check
def test_the_notebook_is_left_as_it_was(check: Callable[[Answer], str]) -> None:
    state = torch.random.get_rng_state()
    check(lambda *inputs: torch.set_grad_enabled(False))
    assert torch.is_grad_enabled()
    assert torch.equal(torch.random.get_rng_state(), state)
    with torch.no_grad():
        assert exercises.check_discriminator_loss(told_apart).startswith("right: ")
