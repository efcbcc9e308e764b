"""Entropy and divergence in nats, from logits: what both papers measure with.

Everything stays in the logarithm until the last step, so a certain answer gives 0, not nan.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def entropy(logits: Tensor) -> Tensor:
    """Shannon entropy of softmax(logits) over the last axis, in nats: 0 (certain) to ln(classes).

    Args:
        logits: (..., classes), any scale.

    Returns:
        (...) entropies.

    >>> entropy(torch.zeros(2, 2))
    tensor([0.6931, 0.6931])

    """
    log_p = F.log_softmax(logits, dim=-1)
    return -(log_p.exp() * log_p).sum(-1)


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

    >>> p = torch.tensor([0.5, 0.5]); q = torch.tensor([0.25, 0.75])
    >>> round(kl_divergence(p.log(), q.log()).item(), 4)  # (ln 2 + ln(2/3)) / 2
    0.1438

    """
    if eps > 0:
        log_q = torch.logaddexp(log_q, torch.full_like(log_q, math.log(eps)))
    return (log_p.exp() * (log_p - log_q)).sum(-1)
