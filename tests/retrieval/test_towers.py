"""The towers that image-text methods share: sizes, groups, and what they give."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from kit.retrieval.towers import Towers, TowersConfig, projection


def test_projection_is_one_xavier_layer_with_a_bias_of_zero() -> None:
    torch.manual_seed(0)
    layer = projection(1024, 512)
    bound = (6 / (1024 + 512)) ** 0.5
    assert 0.98 * bound < layer.weight.abs().max() <= bound
    assert not layer.bias.any()
    assert (layer.in_features, layer.out_features) == (1024, 512)


@pytest.mark.parametrize("dim", [8, 30])
def test_both_towers_meet_in_a_space_of_dim(dim: int) -> None:
    backbone = nn.Linear(3, 7)
    towers = Towers(
        TowersConfig(dim=dim, word_dim=4, lstm_units=3),
        image_backbone=backbone,
        image_feature_dim=7,
        vocabulary_size=12,
        classes=5,
    )
    names = "image_backbone image_projection text_encoder text_projection"
    assert [*towers.networks] == names.split()
    assert towers.networks["image_backbone"] is backbone
    assert towers.encode_images(torch.ones(2, 3)).shape == (2, dim)
    assert towers.encode_texts(torch.tensor([[2, 5]]), torch.tensor([2])).shape == (1, dim)


def test_numbers_of_towers_alone_are_no_method() -> None:
    towers = Towers(
        TowersConfig(dim=8, word_dim=4, lstm_units=3),
        image_backbone=nn.Identity(),
        image_feature_dim=7,
        vocabulary_size=12,
        classes=5,
    )
    with pytest.raises(TypeError, match=r"^TowersConfig holds the numbers of towers; a method add"):
        towers.config.method(towers)
