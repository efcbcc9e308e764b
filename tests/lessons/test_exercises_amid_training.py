"""The check of a learner's own warm-up loss: right answers pass, mistakes are called by name."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from kit.amid.losses import jensen_shannon_loss, shared_classification_loss
from kit.lessons import exercises

Answer = Callable[..., object]
Divergence = Callable[[Tensor, Tensor], Tensor]


def by_the_kit(student_logits: Tensor, teacher_logits: Tensor, labels: Tensor) -> Tensor:
    logits = student_logits, teacher_logits
    return shared_classification_loss(*logits, labels) + jensen_shannon_loss(*logits)


def kl(log_p: Tensor, log_q: Tensor, p: Tensor | None = None) -> Tensor:
    return ((log_p.exp() if p is None else p) * (log_p - log_q)).sum(1)


def mean_of(log_p: Tensor, log_q: Tensor) -> Tensor:
    return torch.logaddexp(log_p, log_q) - math.log(2)


def shannon(log_p: Tensor, log_q: Tensor) -> Tensor:
    mean = mean_of(log_p, log_q)
    return (kl(log_p, mean) + kl(log_q, mean)) / 2


def warm_up(
    student_logits: Tensor,
    teacher_logits: Tensor,
    labels: Tensor,
    *,
    divergence: Divergence = shannon,
    reduce: Callable[[Tensor], Tensor] = torch.mean,
    share: float = 1.0,
    both: float = 1.0,
) -> Tensor:
    ours, theirs = (logits.log_softmax(1) for logits in (student_logits, teacher_logits))
    classes = F.nll_loss(ours, labels) + both * F.nll_loss(theirs, labels)
    return classes + share * reduce(divergence(ours, theirs))


def through_probabilities(student_logits: Tensor, teacher_logits: Tensor, labels: Tensor) -> Tensor:
    """As it stands in the paper, with 0 ln 0."""
    p, q = student_logits.softmax(1), teacher_logits.softmax(1)
    m = (p + q) / 2
    apart = (p * (p / m).log() + q * (q / m).log()).sum(1) / 2
    return shared_classification_loss(student_logits, teacher_logits, labels) + apart.mean()


def with_detached_mean(log_p: Tensor, log_q: Tensor) -> Tensor:
    """All the same: what the mean gains for one answer, it loses for the other."""
    mean = mean_of(log_p, log_q).detach()
    return (kl(log_p, mean) + kl(log_q, mean)) / 2


def with_detached_shares(log_p: Tensor, log_q: Tensor) -> Tensor:
    """Nothing is left: what moves the logarithms moves them around their mean."""
    mean = mean_of(log_p, log_q)
    return (kl(log_p, mean, log_p.exp().detach()) + kl(log_q, mean, log_q.exp().detach())) / 2


def partly_detached(log_p: Tensor, log_q: Tensor) -> Tensor:
    surprise = (log_p.exp().detach() * mean_of(log_p, log_q)).sum(1)
    own = (log_p.exp() * log_p).sum(1)
    return (own - surprise + kl(log_q, mean_of(log_p, log_q))) / 2


def of_mean_logits(log_p: Tensor, log_q: Tensor) -> Tensor:
    mean = ((log_p + log_q) / 2).log_softmax(1)
    return (kl(log_p, mean) + kl(log_q, mean)) / 2


def naive_classes(student_logits: Tensor, teacher_logits: Tensor, labels: Tensor) -> Tensor:
    at = range(len(labels)), labels
    classes = sum(-z.softmax(1)[at].log().mean() for z in (student_logits, teacher_logits))
    return classes + jensen_shannon_loss(student_logits, teacher_logits)


def clamped(student_logits: Tensor, teacher_logits: Tensor, labels: Tensor) -> Tensor:
    return warm_up(student_logits.clamp(-50, 50), teacher_logits.clamp(-50, 50), labels)


def all_summed(student_logits: Tensor, teacher_logits: Tensor, labels: Tensor) -> Tensor:
    return len(labels) * warm_up(student_logits, teacher_logits, labels)


def used_up(student_logits: Tensor, teacher_logits: Tensor, labels: Tensor) -> Tensor:
    loss = warm_up(student_logits, teacher_logits, labels)
    loss.backward()
    return loss


@pytest.mark.parametrize(
    "answer", [warm_up, by_the_kit, partial(warm_up, divergence=with_detached_mean)]
)
def test_right_answers_pass(answer: Answer) -> None:
    assert exercises.check_warm_up_loss(answer).startswith("right: ")


@pytest.mark.parametrize(
    ("answer", "phrase"),
    [
        (partial(warm_up, both=0.0), "this is one of them"),
        (lambda s, t, y: -warm_up(s, t, y), "sign is wrong"),
        (lambda s, t, y: warm_up(s, t, y) / math.log(2), "this is in bits"),
        (lambda s, t, y: warm_up(s, t, 1 - y), "the label says which class"),
        (partial(warm_up, share=0.0), "the second term is missing"),
        (partial(warm_up, share=2.0), "counts by one half"),
        (partial(warm_up, share=-1.0), "the divergence is subtracted"),
        (partial(warm_up, share=1 / math.log(2)), "the divergence is in bits"),
        (partial(warm_up, share=0.5), "this is their mean"),
        (partial(warm_up, divergence=lambda p, q: kl(p, mean_of(p, q))), "teacher's divergence"),
        (partial(warm_up, divergence=lambda p, q: kl(q, mean_of(p, q))), "student's divergence"),
        (partial(warm_up, divergence=lambda p, q: (kl(p, q) + kl(q, p)) / 2), "Jeffreys"),
        (partial(warm_up, divergence=lambda p, q: kl(p, q) + kl(q, p)), "Jeffreys"),
        (partial(warm_up, divergence=kl), "Jeffreys"),
        (partial(warm_up, divergence=lambda p, q: kl(q, p)), "Jeffreys"),
        (partial(warm_up, divergence=of_mean_logits), "one of logits"),
        (all_summed, "and this is a sum"),
        (partial(warm_up, reduce=torch.sum), "the divergence is a mean over the batch too"),
        (partial(warm_up, reduce=lambda d: d.mean() / len(d)), "divided by the batch twice"),
        (through_probabilities, "here it breaks the sum"),
        (naive_classes, "large logits overflow"),
        (clamped, "pay its logit"),
        (partial(warm_up, divergence=lambda p, q: shannon(p, q.detach())), "to teacher_logits"),
        (partial(warm_up, divergence=lambda p, q: shannon(p.detach(), q)), "to student_logits"),
        (partial(warm_up, divergence=with_detached_shares), "to student_logits"),
        (partial(warm_up, divergence=partly_detached), "a part of it is cut off"),
        (torch.no_grad()(warm_up), "no gradient reaches student_logits"),
        (lambda s, t, y: warm_up(s, t.detach(), y), "no gradient reaches teacher_logits"),
        (used_up, "its gradient cannot be taken: RuntimeError"),
        (lambda s, t, y: warm_up(s.abs_(), t, y), "raised RuntimeError"),
        (lambda s, t, y: warm_up(s, t, y.zero_()), "changes labels in place"),
        (lambda s, t, y: warm_up(s, t, y)[None], r"shape \(1,\), expected \(\)"),
        (lambda s, t, y: 1.39, "of type float"),
        (lambda s, t, y: 1 / 0, "raised ZeroDivisionError"),
        (lambda: 1, "takes 0 positional arguments"),
    ],
)
def test_mistakes_are_named(answer: Answer, phrase: str) -> None:
    said = exercises.check_warm_up_loss(answer)
    assert not said.startswith("right")
    assert re.search(phrase, said), said


@pytest.mark.parametrize("value", [None, ...])
def test_unanswered(value: object) -> None:
    assert exercises.check_warm_up_loss(lambda *inputs: value) == "not tried yet"


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_is_shown(value: float) -> None:
    said = exercises.check_warm_up_loss(lambda *inputs: torch.tensor(value))
    assert f"gives {value}, expected 1.3863" in said


def test_the_notebook_is_left_as_it_was() -> None:
    state = torch.random.get_rng_state()
    exercises.check_warm_up_loss(lambda *inputs: torch.set_grad_enabled(False))
    assert torch.is_grad_enabled()
    assert torch.equal(torch.random.get_rng_state(), state)
    with torch.no_grad():
        assert exercises.check_warm_up_loss(warm_up).startswith("right: ")
