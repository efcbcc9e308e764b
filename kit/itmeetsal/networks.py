"""What Figures 4 and 7 have beside the towers: classifier, discriminator, reversal."""

import torch
from torch import Tensor, nn

from kit.arguments import checked
from kit.checks import check_whole


class LabelClassifier(nn.Module):
    """theta_P: one weight W (dim, classes) for both directions of Equations 10 and 11.

    Its columns are normalised at every use, inside `kit.itmeetsal.losses.projected_class_logits`.

    Raises:
        ValueError: a dim that is not in 1..65536, classes that are not in 1..16777216.

    """

    @checked
    def __init__(self, dim: int, classes: int) -> None:
        check_whole("LabelClassifier", at_least=1, at_most=2**16, dim=dim)
        check_whole("LabelClassifier", at_least=1, at_most=2**24, classes=classes)
        super().__init__()
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(dim, classes)))


@checked
def modality_discriminator(dim: int) -> nn.Sequential:
    """theta_D: dim -> dim/2 -> dim/4 -> 2 logits (image, text), ReLU between.

    No batch norm: D runs in the encoders' turn and in its own, and would mix their statistics.

    Raises:
        ValueError: dim below 4 or above 65536.

    """
    check_whole("modality_discriminator", at_least=4, at_most=2**16, dim=dim)
    return nn.Sequential(
        nn.Linear(dim, dim // 2),
        nn.ReLU(),
        nn.Linear(dim // 2, dim // 4),
        nn.ReLU(),
        nn.Linear(dim // 4, 2),
    )


@checked
def reverse_gradient(features: Tensor) -> Tensor:
    """Figure 7's gradient reversal layer: the identity forward, times -1 backward.

    Twice the features, which carry no gradient, less the features, which do: exact in binary.

    >>> x = torch.ones(2, requires_grad=True)
    >>> reverse_gradient(x).sum().backward(); x.grad
    tensor([-1., -1.])

    Raises:
        ValueError: features that are no floats.

    """
    if not features.is_floating_point():
        raise ValueError(f"reverse_gradient: features must be floats, got {features.dtype}")
    return 2 * features.detach() - features
