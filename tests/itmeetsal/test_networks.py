"""What of Figures 4 and 7 is no encoder."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from kit.encoders.text import BiLSTM
from kit.itmeetsal.networks import (
    LabelClassifier,
    modality_discriminator,
    projection,
    reverse_gradient,
    shared_space,
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


def test_projection_is_one_xavier_layer_with_a_bias_of_zero() -> None:
    torch.manual_seed(0)
    layer = projection(1024, 512)
    bound = (6 / (1024 + 512)) ** 0.5
    assert 0.98 * bound < layer.weight.abs().max() <= bound
    assert not layer.bias.any()
    assert (layer.in_features, layer.out_features) == (1024, 512)


@pytest.mark.parametrize("dim", [8, 30])
def test_everything_meets_in_a_space_of_dim(dim: int) -> None:
    backbone, text = nn.Linear(3, 7), BiLSTM(12, word_dim=4, units=3)
    networks = shared_space(backbone, 7, text, dim=dim, classes=5)
    names = "image_backbone image_projection text_encoder text_projection classifier"
    assert [*networks] == names.split()
    assert networks["image_backbone"] is backbone
    assert networks["text_encoder"] is text
    image = networks["image_projection"](backbone(torch.ones(2, 3)))
    caption = networks["text_projection"](text(torch.tensor([[2, 5]]), torch.tensor([2])))
    assert image.shape == (2, dim)
    assert caption.shape == (1, dim)
    assert networks["classifier"].weight.shape == (dim, 5)
    assert modality_discriminator(dim)(image).shape == (2, 2)


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
