"""What of Figures 4 and 7 is no encoder."""

from __future__ import annotations

import torch
from torch import nn

from kit.itmeetsal.networks import (
    LabelClassifier,
    modality_discriminator,
    reverse_gradient,
)


def test_discriminator_is_three_layers_with_relu_between() -> None:
    layers = [*modality_discriminator(512)]
    linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
    assert [(one.in_features, one.out_features) for one in linear] == [
        (512, 256),
        (256, 128),
        (128, 2),
    ]
    assert [type(layer) for layer in layers[1::2]] == [nn.ReLU, nn.ReLU]
    assert not [*modality_discriminator(512).buffers()]  # no batch norm: two turns would mix


def test_classifier_is_one_weight_without_bias() -> None:
    torch.manual_seed(0)
    (weight,) = LabelClassifier(8, 30).parameters()
    assert weight.shape == (8, 30)
    assert 0.9 * (6 / 38) ** 0.5 < weight.abs().max() <= (6 / 38) ** 0.5


def test_reversal_is_the_identity_forward_and_minus_one_backward() -> None:
    x = torch.randn(3, 2, requires_grad=True)
    y = reverse_gradient(x)
    assert torch.equal(x, y)
    (y * torch.arange(6.0).reshape(3, 2)).sum().backward()
    assert torch.equal(x.grad, -torch.arange(6.0).reshape(3, 2))
