"""Entropy and divergence against plain loops, and where logarithms end."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn.functional import log_softmax, normalize

from kit.information import direction, entropy, kl_divergence


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


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("dim", [0, 1])
def test_directions_of_rows_of_any_length(dtype: torch.dtype, dim: int) -> None:
    rows = logits(4, 5).to(dtype)
    expected = normalize(rows, dim=dim)
    assert torch.equal(direction(rows, dim=dim), expected)
    largest = torch.finfo(dtype).max / 3
    for length in (2.0**-20, 1e4, 2.0**40, 3e18, 1e19, 1e30, largest / rows.abs().max().item()):
        torch.testing.assert_close(direction(length * rows, dim=dim), expected)
    # Below 1e-12 the length counts as 1e-12, as the specification says.
    assert torch.equal(direction(1e-20 * rows, dim=dim), normalize(1e-20 * rows, dim=dim))


def test_the_direction_has_the_slope_of_a_quotient() -> None:
    rows = torch.tensor([[3e30, 4e30], [0.6, 0.8]], requires_grad=True)
    direction(rows)[:, 0].sum().backward()
    # d(x / n) / dx = (1 - (x / n)^2) / n, d(x / n) / dy = -(x / n) (y / n) / n
    expected = torch.tensor([[0.64, -0.48], [0.64, -0.48]])
    assert rows.grad is not None
    torch.testing.assert_close(rows.grad * torch.tensor([[5e30], [1.0]]), expected)


@pytest.mark.parametrize(
    "wrong", [torch.ones(2, 2).long(), torch.ones(0, 2), torch.tensor(1.0), torch.ones(2, 2) * 1j]
)
def test_what_is_no_table_of_floats_is_named(wrong: Tensor) -> None:
    with pytest.raises(ValueError, match=r"^entropy: logits must be floats, not empty, got \("):
        entropy(wrong)
    with pytest.raises(ValueError, match=r"^direction: features must be floats, not empty, got"):
        direction(wrong)
    with pytest.raises(ValueError, match=r"^kl_divergence: log_p must be floats, not empty, got"):
        kl_divergence(wrong, wrong)


def test_divergence_of_unequal_shapes_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^kl_divergence: log_p \(2, 3\) .* and log_q \(4,\) "):
        kl_divergence(torch.zeros(2, 3), torch.zeros(4))
    assert kl_divergence(torch.zeros(2, 3), torch.zeros(5, 2, 3)).shape == (5, 2)
    with pytest.raises(ValueError, match=r"^kl_divergence: eps must be a number of at least 0"):
        kl_divergence(torch.zeros(2, 3), torch.zeros(2, 3), eps=-1e-8)
