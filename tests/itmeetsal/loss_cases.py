"""Seeded batches, and every loss of ITMeetsAL as one call on a batch: shared by the loss tests."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor

CLASSES = 9


class Sample(NamedTuple):
    image_features: Tensor  # (batch, dim)
    text_features: Tensor  # (batch, dim)
    weight: Tensor  # (dim, CLASSES)
    image_logits: Tensor  # (batch, 2)
    text_logits: Tensor  # (batch, 2)
    labels: Tensor  # (batch,)


def sample(
    labels: list[int], *, dim: int = 5, seed: int = 0, dtype: torch.dtype = torch.float64
) -> Sample:
    """Draw a batch whose rows differ in length; the columns of the weight do too."""
    generator = torch.Generator().manual_seed(seed)

    def normal(rows: int, columns: int) -> Tensor:
        return torch.randn(rows, columns, generator=generator, dtype=torch.float64)

    batch = len(labels)
    return Sample(
        (2 * normal(batch, dim)).to(dtype),
        (normal(batch, dim) * (1 + torch.arange(batch)[:, None])).to(dtype),
        (normal(dim, CLASSES) * (1 + torch.arange(CLASSES))).to(dtype),
        (3 * normal(batch, 2)).to(dtype),
        normal(batch, 2).to(dtype),
        torch.tensor(labels),
    )


def _logits(library: ModuleType, s: Sample) -> tuple[Any, Any]:
    both: tuple[Any, Any] = library.projected_class_logits(
        s.image_features, s.text_features, s.weight
    )
    return both


# `library` is kit.itmeetsal.losses or the oracles: they share names and arguments
CASES: dict[str, Callable[[ModuleType, Sample], Any]] = {
    "modality_entropy": lambda library, s: library.modality_entropy_loss(
        s.image_logits, s.text_logits
    ),
    "modality_classification": lambda library, s: library.modality_classification_loss(
        s.image_logits, s.text_logits
    ),
    "projection_kl_row": lambda library, s: library.projection_kl_loss(
        s.image_features, s.text_features, s.labels, kl_target="row"
    ),
    "projection_kl_softmax": lambda library, s: library.projection_kl_loss(
        s.image_features, s.text_features, s.labels, kl_target="softmax"
    ),
    "projection_kl_softmax_without_eps": lambda library, s: library.projection_kl_loss(
        s.image_features, s.text_features, s.labels, kl_target="softmax", eps=0.0
    ),
    "instance_classification": lambda library, s: library.instance_classification_loss(
        *_logits(library, s), s.labels
    ),
    "imbalance_kl": lambda library, s: library.imbalance_kl_loss(*_logits(library, s)),
    "imbalance_kl_without_eps": lambda library, s: library.imbalance_kl_loss(
        *_logits(library, s), temperature=1.5, eps=0.0
    ),
    "inter_triplet": lambda library, s: library.inter_triplet_loss(
        s.image_features, s.text_features, s.labels
    ),
    "inter_triplet_wide": lambda library, s: library.inter_triplet_loss(
        s.image_features, s.text_features, s.labels, margin=1.3
    ),
    "intra_triplet": lambda library, s: library.intra_triplet_loss(
        s.image_features, s.text_features, s.labels
    ),
    "intra_triplet_exclude_self": lambda library, s: library.intra_triplet_loss(
        s.image_features, s.text_features, s.labels, margin=1.3, positives="exclude_self"
    ),
    "bidirectional_triplet": lambda library, s: library.bidirectional_triplet_loss(
        s.image_features, s.text_features, s.labels
    ),
    "bidirectional_triplet_exclude_self": lambda library, s: library.bidirectional_triplet_loss(
        s.image_features, s.text_features, s.labels, margin=0.2, intra_positives="exclude_self"
    ),
}
