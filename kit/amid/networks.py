"""The networks of AMID beside the extractors: teacher, auxiliary head, classifier, D1 and D2.

Every activation of a trained network is LeakyReLU, as Table 1's caption says of all methods. No
batch norm in the discriminators: they see teacher and student apart, and statistics would mix.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import nn

NEGATIVE_SLOPE = 0.01  # torch's own; the paper names none


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


def auxiliary_head(auxiliary_dims: Sequence[int], *, dim: int) -> nn.Module:
    """A of Equation 9: the auxiliary features as they are where they fit, else brought to `dim`.

    One fixed extractor of the right width needs no head: L_MIa then moves the teacher alone.
    """
    _check_widths("auxiliary_head", [dim, *auxiliary_dims])
    if list(auxiliary_dims) == [dim]:
        return nn.Identity()
    return nn.Linear(sum(auxiliary_dims), dim)


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
