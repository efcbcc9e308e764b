"""Entropy and divergence against plain loops, and where logarithms end."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn.functional import log_softmax

from kit.information import entropy, kl_divergence


def logits(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(*shape, generator=generator, dtype=torch.float64)


def softmax(row: list[float]) -> list[float]:
    total = sum(math.exp(value) for value in row)
    return [math.exp(value) / total for value in row]


def test_entropy_equals_its_loop() -> None:
    rows = logits(4, 5)
    expected = [-sum(p * math.log(p) for p in softmax(row)) for row in rows.tolist()]
    torch.testing.assert_close(entropy(rows), torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("eps", [0.0, 1e-8, 1e-2])
def test_divergence_equals_its_loop(eps: float) -> None:
    p, q = logits(4, 5), logits(4, 5, seed=1)
    expected = [
        sum(a * math.log(a / (b + eps)) for a, b in zip(softmax(one), softmax(other), strict=True))
        for one, other in zip(p.tolist(), q.tolist(), strict=True)
    ]
    got = kl_divergence(log_softmax(p, 1), log_softmax(q, 1), eps=eps)
    torch.testing.assert_close(got, torch.tensor(expected, dtype=torch.float64))


def test_bounds() -> None:
    assert entropy(torch.zeros(7)).item() == pytest.approx(math.log(7))
    assert entropy(torch.tensor([500.0, -500.0])).item() == 0
    rows = log_softmax(logits(20, 6), 1)
    assert (kl_divergence(rows, rows) == 0).all()
    others = log_softmax(logits(20, 6, seed=2), 1)
    assert (kl_divergence(rows, others) > 0).all()
    assert (kl_divergence(rows, rows, eps=1e-3) >= -6e-3).all()
    assert (kl_divergence(rows, rows, eps=1e-3) < 0).all()


def test_a_certain_answer_has_a_finite_gradient() -> None:
    certain = torch.tensor([[300.0, -300.0, 0.0]], requires_grad=True)
    entropy(certain).sum().backward()
    assert certain.grad.isfinite().all()
    log_q = torch.tensor([[0.0, -math.inf, -math.inf]])
    certain.grad = None
    loss = kl_divergence(log_softmax(-certain, 1), log_q, eps=1e-8)
    loss.sum().backward()
    assert loss.item() == pytest.approx(-math.log(1e-8), rel=1e-4)
    assert certain.grad.isfinite().all()


def test_gradients_are_slopes() -> None:
    p, q = (logits(3, 4, seed=seed).requires_grad_() for seed in (0, 1))
    assert torch.autograd.gradcheck(entropy, (p,))
    assert torch.autograd.gradcheck(
        lambda a, b: kl_divergence(log_softmax(a, 1), log_softmax(b, 1), eps=1e-8), (p, q)
    )
