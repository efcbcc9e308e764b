"""The networks of AMID: student, teacher, the heads of modalities, D1 and D2.

Every activation of a trained network is LeakyReLU, as Table 1's caption says of all methods. No
batch norm in the discriminators: they see teacher and student apart, and statistics would mix.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from kit.data.clips import ClipBatch
from kit.distillation.inputs import encode, feature_dims
from kit.encoders import NEGATIVE_SLOPE


def teacher_network(target_dim: int, auxiliary_dims: Sequence[int], *, dim: int) -> nn.Sequential:
    """M: two layers on the student's feature beside the auxiliary ones, all in one row (3.1).

    Args:
        target_dim: width of the student's feature.
        auxiliary_dims: width of each auxiliary feature, at least one.
        dim: width of the teacher's feature.

    Returns:
        (batch, target_dim + sum of auxiliary_dims) -> (batch, dim).

    Raises:
        ValueError: no auxiliary modality, a width below 1.

    """
    _check_widths("teacher_network", [target_dim, dim, *auxiliary_dims])
    if len(auxiliary_dims) == 0:
        raise ValueError("teacher_network: expected at least one auxiliary modality, got none")
    return _layers(target_dim + sum(auxiliary_dims), dim, dim)


def modality_head(feature_dims: Sequence[int], *, dim: int) -> nn.Module:
    """S, or A of Equation 9: a modality's feature as it is where it fits, else brought to `dim`.

    Several modalities come side by side. One fixed extractor of the right width needs no head:
    L_MIa then moves the teacher alone.

    Args:
        feature_dims: width of each modality's feature, at least one.
        dim: width of the shared space.

    Returns:
        (batch, sum of feature_dims) -> (batch, dim).

    Raises:
        ValueError: no modality, a width below 1.

    """
    if len(feature_dims) == 0:
        raise ValueError("modality_head: expected at least one modality, got none")
    _check_widths("modality_head", [dim, *feature_dims])
    if list(feature_dims) == [dim]:
        return nn.Identity()
    return nn.Linear(sum(feature_dims), dim)


def student(target: nn.ModuleDict, *, dim: int) -> nn.ModuleDict:
    """S: the target modalities' extractors and, if they need one, their head.

    Args:
        target: `ClipEncoder` by modality.
        dim: width of the shared space.

    """
    head = modality_head(feature_dims(target), dim=dim)
    return nn.ModuleDict({"target": target, "target_head": head})


def full_modality_model(
    target: nn.ModuleDict, auxiliary: nn.ModuleDict, *, dim: int
) -> nn.ModuleDict:
    """M: the student, the auxiliary modalities' extractors, and the teacher on both."""
    networks = student(target, dim=dim)
    networks["auxiliary"] = auxiliary
    networks["teacher"] = teacher_network(dim, feature_dims(auxiliary), dim=dim)
    return networks


def student_features(networks: nn.ModuleDict, batch: ClipBatch) -> Tensor:
    """S of a batch: (batch, dim)."""
    features: Tensor = networks["target_head"](_side_by_side(networks["target"], batch))
    return features


def extracted_auxiliary(networks: nn.ModuleDict, batch: ClipBatch) -> Tensor:
    """What the auxiliary extractors give: (batch, sum of their widths)."""
    return _side_by_side(networks["auxiliary"], batch)


def teacher_features(networks: nn.ModuleDict, student: Tensor, extracted: Tensor) -> Tensor:
    """M of the student's features, with their graph, beside the auxiliary ones: (batch, dim)."""
    features: Tensor = networks["teacher"](torch.cat([student, extracted], 1))
    return features


def sample_discriminator(dim: int) -> nn.Sequential:
    """D1, five layers: (batch, dim) features of any norm to (batch,) logits, teacher positive.

    Raises:
        ValueError: dim below 8.

    """
    _check_dim("sample_discriminator", dim, 8)
    return _layers(dim, dim, dim // 2, dim // 4, dim // 8, 1).append(nn.Flatten(0))


def class_discriminator(dim: int) -> nn.Sequential:
    """D2, three layers: likewise, for samples with classmates.

    Raises:
        ValueError: dim below 4.

    """
    _check_dim("class_discriminator", dim, 4)
    return _layers(dim, dim // 2, dim // 4, 1).append(nn.Flatten(0))


def _side_by_side(encoders: Any, batch: ClipBatch) -> Tensor:
    return torch.cat(encode(encoders, batch), 1)


def _layers(*widths: int) -> nn.Sequential:
    """Linear layers of these widths with LeakyReLU between them."""
    layers: list[nn.Module] = []
    for width_in, width in pairwise(widths):
        layers += [nn.Linear(width_in, width), nn.LeakyReLU(NEGATIVE_SLOPE)]
    return nn.Sequential(*layers[:-1])


def _check_widths(name: str, widths: Sequence[int]) -> None:
    if min(widths) < 1:
        raise ValueError(f"{name}: expected widths of at least 1, got {list(widths)}")


def _check_dim(name: str, dim: int, at_least: int) -> None:
    if dim < at_least:
        raise ValueError(f"{name}: dim must be at least {at_least}, got {dim}")
