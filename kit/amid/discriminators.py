"""The two discriminators of AMID, five layers and three.

No batch norm: they see teacher and student apart, and statistics would mix.
"""

from torch import nn

from kit.arguments import checked
from kit.checks import check_whole
from kit.distillation.networks import leaky_layers


@checked
def sample_discriminator(dim: int) -> nn.Sequential:
    """D1, five layers: (batch, dim) features of any norm to (batch,) logits, teacher positive.

    Raises:
        ValueError: dim below 8 or above 65536.

    """
    check_whole("sample_discriminator", at_least=8, at_most=2**16, dim=dim)
    return leaky_layers(dim, dim, dim // 2, dim // 4, dim // 8, 1).append(nn.Flatten(0))


@checked
def class_discriminator(dim: int) -> nn.Sequential:
    """D2, three layers: likewise, for samples with classmates.

    Raises:
        ValueError: dim below 4 or above 65536.

    """
    check_whole("class_discriminator", at_least=4, at_most=2**16, dim=dim)
    return leaky_layers(dim, dim // 2, dim // 4, 1).append(nn.Flatten(0))
