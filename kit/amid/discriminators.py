"""The two discriminators of AMID, five layers and three.

No batch norm: they see teacher and student apart, and statistics would mix.
"""

from __future__ import annotations

from torch import nn

from kit.distillation.networks import leaky_layers


def sample_discriminator(dim: int) -> nn.Sequential:
    """D1, five layers: (batch, dim) features of any norm to (batch,) logits, teacher positive.

    Raises:
        ValueError: dim below 8.

    """
    _check_dim("sample_discriminator", dim, 8)
    return leaky_layers(dim, dim, dim // 2, dim // 4, dim // 8, 1).append(nn.Flatten(0))


def class_discriminator(dim: int) -> nn.Sequential:
    """D2, three layers: likewise, for samples with classmates.

    Raises:
        ValueError: dim below 4.

    """
    _check_dim("class_discriminator", dim, 4)
    return leaky_layers(dim, dim // 2, dim // 4, 1).append(nn.Flatten(0))


def _check_dim(name: str, dim: int, at_least: int) -> None:
    if dim < at_least:
        raise ValueError(f"{name}: dim must be at least {at_least}, got {dim}")
