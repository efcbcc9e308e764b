"""Equation 14: how much each of the two adversaries counts, from epoch to epoch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kit.checks import check_labels, check_matrices

MOMENTUM = 0.9


def expected_classmates(class_counts: Sequence[int], batch_size: int) -> float:
    """How many samples of a batch have a classmate in it, on average: d of Equations 12 and 13.

    batch_size x sum of p_c (1 - (1 - p_c)^(batch_size - 1)): a constant, "set by the frequency of
    the data with samples of the same classes". A batch's own number would make two samples weigh as
    much as sixteen.

    Args:
        class_counts: training samples of each class.
        batch_size: samples of a batch.

    Returns:
        A number in 0..batch_size.

    Raises:
        ValueError: no sample, a negative count, a batch size below 2.

    >>> expected_classmates([5, 5], batch_size=2)  # two samples, of one class every other time
    1.0

    """
    if len(class_counts) == 0 or min(class_counts) < 0 or sum(class_counts) == 0:
        raise ValueError(
            "expected_classmates: expected class_counts of at least 0 and not all 0, "
            f"got {list(class_counts)}"
        )
    if batch_size < 2:
        raise ValueError(f"expected_classmates: batch_size must be at least 2, got {batch_size}")
    total = sum(class_counts)
    shares = [count / total for count in class_counts]
    return batch_size * sum(p * (1 - (1 - p) ** (batch_size - 1)) for p in shares)


class AdversaryWeights(nn.Module):
    """lambda_1 and lambda_2: what is aligned worse gets the larger weight.

    lambda = softmax(raw); at an epoch's end raw <- 0.9 raw + 0.1 (1 - the epoch's mean cosine),
    of a teacher with its own student feature for the first, with those of its classmates for the
    second. All state is in buffers, the sums of an unfinished epoch too, so that it is saved and
    moved with the networks.

    >>> weights = AdversaryWeights()
    >>> weights()  # lambda before anything was seen
    tensor([0.5000, 0.5000])

    """

    raw: Tensor
    cosine_sums: Tensor
    pair_counts: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("raw", torch.zeros(2))
        self.register_buffer("cosine_sums", torch.zeros(2, dtype=torch.float64))
        self.register_buffer("pair_counts", torch.zeros(2, dtype=torch.long))

    def forward(self) -> Tensor:
        """(2,) weights: lambda_1 for D1, lambda_2 for D2; they sum to 1."""
        return self.raw.softmax(0)

    @torch.no_grad()
    def watch(self, teacher: Tensor, student: Tensor, labels: Tensor) -> None:
        """Add a batch's cosines to the epoch's sums.

        Args:
            teacher: (batch, dim) float.
            student: (batch, dim) float.
            labels: (batch,) whole numbers.

        Raises:
            ValueError: shapes that disagree, labels that are no whole numbers.

        """
        check_matrices("AdversaryWeights.watch", teacher=teacher, student=student)
        check_labels("AdversaryWeights.watch", labels, rows=len(teacher))
        cosine = F.normalize(teacher.double()) @ F.normalize(student.double()).T
        same = labels[:, None] == labels[None, :]
        own = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
        pairs = torch.stack([own, same & ~own])
        self.cosine_sums += (cosine * pairs).sum((1, 2))
        self.pair_counts += pairs.sum((1, 2))

    @torch.no_grad()
    def update(self) -> None:
        """End an epoch: Equation 14, and sums from 0 again.

        A weight of which the epoch had no pair stays.
        """
        seen = self.pair_counts > 0
        mean = self.cosine_sums / self.pair_counts.clamp_min(1)
        moved = MOMENTUM * self.raw + (1 - MOMENTUM) * (1 - mean).to(self.raw.dtype)
        self.raw.copy_(torch.where(seen, moved, self.raw))
        self.cosine_sums.zero_()
        self.pair_counts.zero_()
