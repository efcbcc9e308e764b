"""Entropy and divergence in nats, from logits, and directions: what both papers measure with.

Everything stays in the logarithm until the last step, so a certain answer gives 0, not nan.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from kit.arguments import checked
from kit.checks import check_number


@checked
def direction(features: Tensor, *, dim: int = 1) -> Tensor:
    """Rows, or with `dim` 0 columns, divided by max(length, 1e-12): bit for bit `F.normalize`.

    But long ones are measured after scaling by a power of two, which is exact: the squares of
    numbers above 1e19 would be infinite in float32.

    Args:
        features: (rows, columns) float.
        dim: the axis along which the length is taken.

    Returns:
        The same shape; a row of zeros stays zero.

    Raises:
        ValueError: features that are no floats, or without this axis.

    >>> direction(torch.tensor([[3e30, 4e30], [0.0, 0.0]]))
    tensor([[0.6000, 0.8000],
            [0.0000, 0.0000]])

    """
    _check_floats("direction", features=features)
    if not -features.ndim <= dim < features.ndim:
        axes = f"{features.ndim} axes"
        raise ValueError(f"direction: dim must be an axis of features, got {dim} and {axes}")
    lengths: Tensor = torch.linalg.vector_norm(features, dim=dim, keepdim=True)
    if features.device.type != "cpu" or not lengths.isfinite().all():  # a GPU would be waited for
        largest = torch.linalg.vector_norm(features.detach(), torch.inf, dim, keepdim=True)
        scale = torch.exp2(-(largest.clamp(min=1).log2() * 0.75).floor())
        lengths = torch.linalg.vector_norm(features * scale, dim=dim, keepdim=True) / scale
    return features / lengths.clamp(min=1e-12)


@checked
def entropy(logits: Tensor) -> Tensor:
    """Shannon entropy of softmax(logits) over the last axis, in nats: 0 (certain) to ln(classes).

    Args:
        logits: (..., classes), any scale.

    Returns:
        (...) entropies.

    Raises:
        ValueError: logits that are no floats, or empty.

    >>> entropy(torch.zeros(2, 2))
    tensor([0.6931, 0.6931])

    """
    _check_floats("entropy", logits=logits)
    log_p = F.log_softmax(logits, dim=-1)
    return -(log_p.exp() * log_p).sum(-1)


@checked
def kl_divergence(log_p: Tensor, log_q: Tensor, *, eps: float = 0.0) -> Tensor:
    """KL(p || q + eps) over the last axis, in nats, from log-probabilities.

    The papers add eps inside the logarithm only: sum of p log(p / (q + eps)). For eps = 0 the
    result is at least 0, and 0 only where p = q; with eps it may fall below by up to the number of
    classes x eps.

    Args:
        log_p: (..., classes) log-probabilities.
        log_q: (..., classes) log-probabilities; -inf is allowed where eps > 0.
        eps: added to q, not negative.

    Returns:
        (...) divergences.

    Raises:
        ValueError: log-probabilities that are no floats, empty, of unequal type, or of shapes that
            do not fit; an eps that is negative or not finite.

    >>> p = torch.tensor([0.5, 0.5]); q = torch.tensor([0.25, 0.75])
    >>> round(kl_divergence(p.log(), q.log()).item(), 4)  # (ln 2 + ln(2/3)) / 2
    0.1438

    """
    _check_floats("kl_divergence", log_p=log_p, log_q=log_q)
    check_number("kl_divergence", at_least=0, eps=eps)
    if eps > 0:
        log_q = torch.logaddexp(log_q, torch.full_like(log_q, math.log(eps)))
    return (log_p.exp() * (log_p - log_q)).sum(-1)


def _check_floats(name: str, **tensors: Tensor) -> None:
    """Refuse what is not non-empty and of a float type, or does not fit together."""
    for which, values in tensors.items():
        if not values.is_floating_point() or values.ndim == 0 or values.numel() == 0:
            came = f"{tuple(values.shape)} of {values.dtype}"
            raise ValueError(f"{name}: {which} must be floats, not empty, got {came}")
    alike = len({(v.shape[-1], v.dtype, v.device) for v in tensors.values()}) == 1
    try:
        torch.broadcast_shapes(*(values.shape for values in tensors.values()))
    except RuntimeError:
        alike = False
    if not alike:
        each = " and ".join(f"{k} {tuple(v.shape)} of {v.dtype}" for k, v in tensors.items())
        raise ValueError(f"{name}: {each} must have the same classes and type, and shapes that fit")
