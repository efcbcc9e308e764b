"""What the losses refuse, and how they say so: function, what was expected, what came."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from kit.itmeetsal import losses

FEATURES = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 1, 1, 2])
WEIGHT = torch.eye(3)
LOGITS = torch.zeros(4, 3)
MODALITY = torch.zeros(4, 2)

row_kl = {"kl_target": "row"}
with_labels = pytest.mark.parametrize(
    ("loss", "options"),
    [
        (losses.projection_kl_loss, row_kl),
        (losses.inter_triplet_loss, {}),
        (losses.intra_triplet_loss, {}),
        (losses.bidirectional_triplet_loss, {}),
    ],
)


def says(function: str, *words: str) -> str:
    """Match a message that starts with the function's name and holds all the words."""
    return f"(?s)^{function}: " + "".join(f"(?=.*{re.escape(word)})" for word in words)


# --- shapes ---------------------------------------------------------------------------------


@pytest.mark.parametrize("function", [losses.project, losses.projection_lengths])
@pytest.mark.parametrize("shape", [(4, 2), (3, 3)])
def test_projections_refuse_shapes_that_disagree(
    function: Callable[..., Tensor], shape: tuple[int, int]
) -> None:
    with pytest.raises(ValueError, match=says(function.__name__, "onto", "(4, 3)", str(shape))):
        function(FEATURES, torch.ones(shape))


@pytest.mark.parametrize("function", [losses.project, losses.projection_lengths])
@pytest.mark.parametrize("bad", [torch.ones(4), torch.ones(2, 4, 3), torch.ones(0, 3)])
def test_projections_refuse_what_is_no_matrix(function: Callable[..., Tensor], bad: Tensor) -> None:
    words = "features", str(tuple(bad.shape))
    with pytest.raises(ValueError, match=says(function.__name__, *words)):
        function(bad, bad)


@with_labels
@pytest.mark.parametrize("shape", [(4, 2), (3, 3), (4,), (4, 3, 1)])
def test_features_that_disagree(
    loss: Callable[..., Tensor], options: dict[str, str], shape: tuple[int, ...]
) -> None:
    for given in ((FEATURES, torch.ones(shape)), (torch.ones(shape), FEATURES)):
        with pytest.raises(ValueError, match=says(loss.__name__, "_features", str(shape))):
            loss(*given, LABELS, **options)


@with_labels
def test_features_of_whole_numbers(loss: Callable[..., Tensor], options: dict[str, str]) -> None:
    whole = torch.ones(4, 3, dtype=torch.int64)
    with pytest.raises(ValueError, match=says(loss.__name__, "image_features", "int64")):
        loss(whole, whole, LABELS, **options)


@with_labels
def test_an_empty_batch(loss: Callable[..., Tensor], options: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=says(loss.__name__, "image_features", "(0, 3)")):
        loss(FEATURES[:0], FEATURES[:0], LABELS[:0], **options)


@pytest.mark.parametrize(
    "loss", [losses.modality_entropy_loss, losses.modality_classification_loss]
)
@pytest.mark.parametrize("shape", [(3, 2), (4, 3), (4, 1), (4,), (0, 2)])
def test_logits_that_are_not_two_for_each_sample(
    loss: Callable[..., Tensor], shape: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match=says(loss.__name__, "text_logits", str(shape))):
        loss(MODALITY, torch.zeros(shape))
    with pytest.raises(ValueError, match=says(loss.__name__, "image_logits", str(shape))):
        loss(torch.zeros(shape), MODALITY)


@pytest.mark.parametrize("shape", [(4, 3), (0, 2)])
@pytest.mark.parametrize(
    "loss", [losses.modality_entropy_loss, losses.modality_classification_loss]
)
def test_two_logits_of_a_wrong_shape_alike(
    loss: Callable[..., Tensor], shape: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match=says(loss.__name__, "image_logits", str(shape))):
        loss(torch.zeros(shape), torch.zeros(shape))


def test_a_weight_that_does_not_fit() -> None:
    name = "projected_class_logits"
    for weight in (torch.ones(5, 7), torch.ones(3), torch.ones(1, 3, 7)):
        with pytest.raises(ValueError, match=says(name, "weight", str(tuple(weight.shape)))):
            losses.projected_class_logits(FEATURES, FEATURES, weight)
    with pytest.raises(ValueError, match=says(name, "text_features", "(4, 2)")):
        losses.projected_class_logits(FEATURES, FEATURES[:, :2], WEIGHT)


def test_class_logits_that_disagree() -> None:
    name = "instance_classification_loss"
    with pytest.raises(ValueError, match=says(name, "text_to_image_logits", "(4, 2)")):
        losses.instance_classification_loss(LOGITS, LOGITS[:, :2], LABELS)
    with pytest.raises(ValueError, match=says("imbalance_kl_loss", "text_to_image", "(3, 3)")):
        losses.imbalance_kl_loss(LOGITS, LOGITS[:3])


# --- labels ---------------------------------------------------------------------------------


@with_labels
@pytest.mark.parametrize("bad", [LABELS[:3], LABELS[:, None], torch.tensor(1)])
def test_labels_of_a_wrong_shape(
    loss: Callable[..., Tensor], options: dict[str, str], bad: Tensor
) -> None:
    with pytest.raises(ValueError, match=says(loss.__name__, "labels", str(tuple(bad.shape)))):
        loss(FEATURES, FEATURES, bad, **options)


@with_labels
@pytest.mark.parametrize("dtype", [torch.float32, torch.bool])
def test_labels_of_a_wrong_dtype(
    loss: Callable[..., Tensor], options: dict[str, str], dtype: torch.dtype
) -> None:
    with pytest.raises(ValueError, match=says(loss.__name__, "labels", str(dtype))):
        loss(FEATURES, FEATURES, LABELS.to(dtype), **options)


@pytest.mark.parametrize(
    ("labels", "came"),
    [
        ([0, 1, 2], "(3,)"),
        ([[0, 1, 1, 2]], "(1, 4)"),
        ([0.0, 1.0, 1.0, 2.0], "float32"),
        ([0, 1, -1, 2], "-1"),
        ([0, 1, -100, 2], "-100"),
        ([0, 1, 1, 3], "3"),
    ],
)
def test_labels_that_the_classifier_has_not(labels: list[int], came: str) -> None:
    with pytest.raises(ValueError, match=says("instance_classification_loss", "labels", came)):
        losses.instance_classification_loss(LOGITS, LOGITS, torch.tensor(labels))


# --- settings -------------------------------------------------------------------------------


def test_the_target_must_be_named() -> None:
    with pytest.raises(TypeError, match="kl_target"):
        losses.projection_kl_loss(FEATURES, FEATURES, LABELS)  # type: ignore[call-arg]


def test_an_unknown_target() -> None:
    with pytest.raises(
        ValueError, match=says("projection_kl_loss", "kl_target", "row", "softmax", "'rows'")
    ):
        losses.projection_kl_loss(FEATURES, FEATURES, LABELS, kl_target="rows")


@pytest.mark.parametrize(
    ("loss", "option"),
    [
        (losses.intra_triplet_loss, "positives"),
        (losses.bidirectional_triplet_loss, "intra_positives"),
    ],
)
def test_unknown_positives(loss: Callable[..., Tensor], option: str) -> None:
    words = option, "include_self", "exclude_self", "'self'"
    with pytest.raises(ValueError, match=says(loss.__name__, *words)):
        loss(FEATURES, FEATURES, LABELS, **{option: "self"})


@pytest.mark.parametrize("temperature", [0.0, -4.0, math.nan, math.inf])
def test_a_temperature_that_is_not_positive(temperature: float) -> None:
    words = "temperature", str(temperature)
    with pytest.raises(ValueError, match=says("imbalance_kl_loss", *words)):
        losses.imbalance_kl_loss(LOGITS, LOGITS, temperature=temperature)


@pytest.mark.parametrize("eps", [-1e-8, math.nan])
def test_a_negative_eps(eps: float) -> None:
    with pytest.raises(ValueError, match=says("imbalance_kl_loss", "eps", str(eps))):
        losses.imbalance_kl_loss(LOGITS, LOGITS, eps=eps)
    with pytest.raises(ValueError, match=says("projection_kl_loss", "eps", str(eps))):
        losses.projection_kl_loss(FEATURES, FEATURES, LABELS, kl_target="row", eps=eps)


@pytest.mark.parametrize(
    "loss",
    [losses.inter_triplet_loss, losses.intra_triplet_loss, losses.bidirectional_triplet_loss],
)
@pytest.mark.parametrize("margin", [-0.1, math.nan])
def test_a_negative_margin(loss: Callable[..., Tensor], margin: float) -> None:
    with pytest.raises(ValueError, match=says(loss.__name__, "margin", str(margin))):
        loss(FEATURES, FEATURES, LABELS, margin=margin)
