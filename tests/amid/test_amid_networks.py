"""Teacher, auxiliary head and discriminators: widths, activations, empty batches."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from kit.amid.networks import (
    auxiliary_head,
    class_discriminator,
    sample_discriminator,
    teacher_network,
)


def widths(network: nn.Module) -> list[tuple[int, int]]:
    linear = [layer for layer in network.modules() if isinstance(layer, nn.Linear)]
    return [(layer.in_features, layer.out_features) for layer in linear]


def test_widths_are_the_specs() -> None:
    assert widths(teacher_network(512, [512], dim=512)) == [(1024, 512), (512, 512)]
    assert widths(teacher_network(768, [768, 768], dim=768)) == [(2304, 768), (768, 768)]
    five = [(512, 512), (512, 256), (256, 128), (128, 64), (64, 1)]
    assert widths(sample_discriminator(512)) == five
    assert widths(class_discriminator(512)) == [(512, 256), (256, 128), (128, 1)]


@pytest.mark.parametrize(
    ("network", "activations"),
    [
        (teacher_network(8, [8], dim=8), 1),
        (sample_discriminator(8), 4),
        (class_discriminator(8), 2),
    ],
)
def test_leaky_relu_stands_between_all_layers_and_nowhere_else(
    network: nn.Sequential, activations: int
) -> None:
    kinds = [type(layer) for layer in network if not isinstance(layer, nn.Flatten)]
    assert kinds == [nn.Linear, *[nn.LeakyReLU, nn.Linear] * activations]
    assert all(layer.negative_slope == 0.01 for layer in network if isinstance(layer, nn.LeakyReLU))


@pytest.mark.parametrize("build", [sample_discriminator, class_discriminator])
@pytest.mark.parametrize("rows", [0, 1, 5])
def test_discriminators_give_one_logit_a_feature(
    build: Callable[[int], nn.Sequential], rows: int
) -> None:
    assert build(16)(torch.randn(rows, 16)).shape == (rows,)


def test_an_auxiliary_feature_of_the_right_width_stays_as_it_is() -> None:
    assert isinstance(auxiliary_head([512], dim=512), nn.Identity)
    assert widths(auxiliary_head([768, 768], dim=768)) == [(1536, 768)]
    assert widths(auxiliary_head([256], dim=512)) == [(256, 512)]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: teacher_network(8, [], dim=8), r"teacher_network: expected at least one auxil"),
        (lambda: teacher_network(8, [0], dim=8), r"teacher_network: .* at least 1, got \[8, 8, 0"),
        (lambda: auxiliary_head([8], dim=0), r"auxiliary_head: .* at least 1, got \[0, 8\]"),
        (lambda: sample_discriminator(7), r"sample_discriminator: dim must be at least 8, got 7"),
        (lambda: class_discriminator(3), r"class_discriminator: dim must be at least 4, got 3"),
    ],
)
def test_errors_are_named(build: Callable[[], nn.Module], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()
