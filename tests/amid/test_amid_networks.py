"""Student, teacher, heads and discriminators: widths, activations, who reads what."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from amid_cases import batch, encoder
from torch import nn

from kit.amid.discriminators import class_discriminator, sample_discriminator
from kit.data.clips import ClipBatch
from kit.distillation.networks import (
    full_modality_features,
    full_modality_model,
    modality_features,
    modality_head,
    modality_network,
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
    assert isinstance(modality_head([512], dim=512), nn.Identity)
    assert widths(modality_head([768, 768], dim=768)) == [(1536, 768)]
    assert widths(modality_head([256], dim=512)) == [(256, 512)]


def model(*, dim: int = 8, seen: tuple[int, ...] = (9,)) -> nn.ModuleDict:
    """Targets of these widths, read from the same clips, and two auxiliary modalities."""
    target = nn.ModuleDict({f"seen{i}": encoder(6, width) for i, width in enumerate(seen)})
    auxiliary = nn.ModuleDict({"heard": encoder(5, 7), "felt": encoder(6, 4)})
    return full_modality_model(target, auxiliary, dim=dim)


def clips(of: nn.ModuleDict) -> ClipBatch:
    given = batch()
    seen = given.modalities["seen"]
    return given._replace(
        modalities={"heard": given.modalities["heard"], "felt": seen}
        | {name: seen + place for place, name in enumerate(of["target"])}
    )


def test_the_student_is_its_targets_side_by_side_and_a_head_if_they_need_one() -> None:
    for seen, head in (((9,), [(9, 8)]), ((3, 5), [(8, 8)]), ((4, 9), [(13, 8)]), ((8,), [])):
        networks = model(seen=seen).eval()
        assert widths(networks["target_head"]) == head
        given = clips(networks)
        extracted = [
            encoder_(given.modalities[name]) for name, encoder_ in networks["target"].items()
        ]
        features = modality_features(networks, given)
        assert features.shape == (5, 8)
        torch.testing.assert_close(features, networks["target_head"](torch.cat(extracted, 1)))
    assert modality_network("target", networks["target"], dim=8).keys() == {"target", "target_head"}


def test_the_teacher_reads_the_students_features_and_the_auxiliary_ones_in_this_order() -> None:
    networks = model().eval()
    assert networks.keys() == {"target", "target_head", "auxiliary", "teacher"}
    assert widths(networks["teacher"]) == [(8 + 7 + 4, 8), (8, 8)]
    given = clips(networks)
    heard, felt = (
        networks["auxiliary"][name](given.modalities[name]) for name in ("heard", "felt")
    )
    features, extracted, found = full_modality_features(networks, given)
    torch.testing.assert_close(extracted, torch.cat([heard, felt], 1))
    torch.testing.assert_close(features, modality_features(networks, given))
    torch.testing.assert_close(found, networks["teacher"](torch.cat([features, heard, felt], 1)))
    (gradient,) = torch.autograd.grad(found.sum(), features)
    assert gradient.abs().sum() > 0  # with its graph: the teacher's terms train the student


def test_features_of_a_width_that_happens_to_fit_need_no_head_only_if_alone() -> None:
    assert isinstance(modality_head([8], dim=8), nn.Identity)
    assert widths(modality_head([4, 4], dim=8)) == [(8, 8)]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: sample_discriminator(7), r"^sample_discriminator: dim .* at least 8, got 7$"),
        (lambda: class_discriminator(3), r"^class_discriminator: dim .* at least 4, got 3$"),
    ],
)
def test_errors_are_named(build: Callable[[], nn.Module], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()
