"""Eqs. 1-14 against loops, against numbers worked by hand, and their gradients."""

from __future__ import annotations

import math
from functools import partial

import oracles
import pytest
import torch
from loss_cases import CASES, Sample, sample
from loss_checks import PATTERNS, check_gradient_is_the_slope, with_gradient
from torch import Tensor

from kit.itmeetsal import losses

batches = pytest.mark.parametrize("size", [1, 2, 7])
patterns = pytest.mark.parametrize("pattern", PATTERNS)
every_loss = pytest.mark.parametrize("case", CASES)


def close(result: Tensor, expected: object) -> None:
    expected = torch.as_tensor(expected, dtype=torch.float64)
    torch.testing.assert_close(result, expected, rtol=1e-9, atol=1e-9)


# --- the loops ------------------------------------------------------------------------------


@every_loss
@patterns
@batches
def test_loss_equals_its_loop(case: str, pattern: str, size: int) -> None:
    for seed, dim in ((0, 5), (1, 3), (2, 1)):
        batch = sample(PATTERNS[pattern][:size], dim=dim, seed=seed)
        result = CASES[case](losses, batch)
        assert result.shape == ()
        close(result, CASES[case](oracles, batch))


@batches
def test_projections_equal_their_loops(size: int) -> None:
    batch = sample(PATTERNS["mixed"][:size])
    image, text, weight = batch[:3]
    close(losses.project(image, text), oracles.project(image, text))
    close(losses.projection_lengths(image, text), oracles.projection_lengths(image, text))
    results = losses.projected_class_logits(image, text, weight)
    loops = oracles.projected_class_logits(image, text, weight)
    for result, loop in zip(results, loops, strict=True):
        close(result, loop)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0, 6.0])
@pytest.mark.parametrize("eps", [0.0, 1e-8, 1e-2])
def test_imbalance_kl_equals_its_loop_at_other_settings(temperature: float, eps: float) -> None:
    logits = losses.projected_class_logits(*sample(PATTERNS["mixed"])[:3])
    result = losses.imbalance_kl_loss(*logits, temperature=temperature, eps=eps)
    close(result, oracles.imbalance_kl_loss(*logits, temperature=temperature, eps=eps))


@pytest.mark.parametrize("kl_target", ["row", "softmax"])
@pytest.mark.parametrize("eps", [1e-12, 1e-2])
def test_projection_kl_equals_its_loop_at_other_settings(kl_target: str, eps: float) -> None:
    batch = sample(PATTERNS["mixed"])
    image, text, labels = batch.image_features, batch.text_features, batch.labels
    result = losses.projection_kl_loss(image, text, labels, kl_target=kl_target, eps=eps)
    close(result, oracles.projection_kl_loss(image, text, labels, kl_target=kl_target, eps=eps))


# --- numbers worked by hand -----------------------------------------------------------------

LOG3 = math.log(3)
HAND = Sample(
    image_features=torch.tensor([[2, 0], [0, 1], [1, 1]], dtype=torch.float64),
    text_features=torch.tensor([[1, 0], [0, 3], [1, -1]], dtype=torch.float64),
    weight=torch.tensor([[3, 0], [4, 2]], dtype=torch.float64),
    image_logits=torch.tensor([[LOG3, 0], [0, 0], [0, LOG3]], dtype=torch.float64),
    text_logits=torch.tensor([[0, 0], [0, LOG3], [0, 0]], dtype=torch.float64),
    labels=torch.tensor([0, 1, 0]),
)
PAIR = (HAND.image_features, HAND.text_features)


def test_projection_by_hand() -> None:
    close(losses.project(*PAIR), [[2, 0], [0, 1], [0, 0]])
    # a line has no direction, and what lies against it stays against it
    close(losses.project(PAIR[0], -PAIR[1]), [[2, 0], [0, 1], [0, 0]])
    close(losses.project(-PAIR[0], PAIR[1]), [[-2, 0], [0, -1], [0, 0]])


def test_projection_lengths_by_hand_keep_their_sign() -> None:
    root = math.sqrt(0.5)
    close(losses.projection_lengths(*PAIR), [[2, 0, 2 * root], [0, 1, -root], [1, 1, 0]])
    close(losses.projection_lengths(*PAIR[::-1]), [[1, 0, root], [0, 3, 3 * root], [1, -1, 0]])


def test_class_logits_by_hand() -> None:
    image_to_text, text_to_image = losses.projected_class_logits(*PAIR, HAND.weight)
    close(image_to_text, [[1.2, 0], [0.8, 1], [0, 0]])
    close(text_to_image, [[0.6, 0], [2.4, 3], [0, 0]])


def test_modality_losses_by_hand() -> None:
    logits = HAND.image_logits, HAND.text_logits
    close(losses.modality_entropy_loss(*logits), -1.2554823251787537)
    close(losses.modality_classification_loss(*logits), 1.3470333492344293)


def test_image_is_class_0_and_text_is_class_1() -> None:
    sure = torch.tensor([[50.0, -50.0]], dtype=torch.float64)
    close(losses.modality_classification_loss(sure, -sure), 0.0)
    close(losses.modality_classification_loss(-sure, sure), 200.0)


@pytest.mark.parametrize(
    ("kl_target", "expected"), [("row", 7.791471860590779), ("softmax", 0.2089394160225577)]
)
def test_projection_kl_by_hand(kl_target: str, expected: float) -> None:
    close(losses.projection_kl_loss(*PAIR, HAND.labels, kl_target=kl_target), expected)


def test_projection_kl_of_two_orthonormal_pairs_by_hand() -> None:
    pairs, labels = torch.eye(2, dtype=torch.float64), torch.tensor([0, 1])
    p = math.e / (1 + math.e)
    expected = 2 * (p * math.log(p / (1 + 1e-8)) + (1 - p) * math.log((1 - p) / 1e-8))
    assert expected == pytest.approx(8.743761891365288, rel=1e-12)
    close(losses.projection_kl_loss(pairs, pairs, labels, kl_target="row"), expected)


def test_instance_classification_by_hand() -> None:
    logits = losses.projected_class_logits(*PAIR, HAND.weight)
    close(losses.instance_classification_loss(*logits, HAND.labels), 1.0408971996037617)


@pytest.mark.parametrize(
    ("temperature", "eps", "expected"),
    [
        (4.0, 0.0, 0.04290744323274849),
        (4.0, 1e-8, 0.042906802357539645),
        (1.0, 0.0, 0.03735000330975342),
    ],
)
def test_imbalance_kl_by_hand(temperature: float, eps: float, expected: float) -> None:
    logits = losses.projected_class_logits(*PAIR, HAND.weight)
    result = losses.imbalance_kl_loss(*logits, temperature=temperature, eps=eps)
    assert result.item() == pytest.approx(expected, rel=1e-9)


def test_triplets_by_hand() -> None:
    inter, intra, alone = 0.4714045207910316, 0.2357022603955158, 0.1666666666666667
    given = (*PAIR, HAND.labels)
    close(losses.inter_triplet_loss(*given), inter)
    close(losses.intra_triplet_loss(*given), intra)
    close(losses.intra_triplet_loss(*given, positives="exclude_self"), alone)
    close(losses.bidirectional_triplet_loss(*given), inter + intra)
    both = losses.bidirectional_triplet_loss(*given, intra_positives="exclude_self")
    close(both, inter + alone)


def test_defaults_are_the_papers() -> None:
    logits = losses.projected_class_logits(*PAIR, HAND.weight)
    default = losses.imbalance_kl_loss(*logits)
    assert default.equal(losses.imbalance_kl_loss(*logits, temperature=4.0, eps=1e-8))
    given = (*PAIR, HAND.labels)
    default = losses.projection_kl_loss(*given, kl_target="row")
    assert default.equal(losses.projection_kl_loss(*given, kl_target="row", eps=1e-8))
    default = losses.bidirectional_triplet_loss(*given)
    assert default.equal(
        losses.bidirectional_triplet_loss(*given, margin=0.5, intra_positives="include_self")
    )


# --- gradients ------------------------------------------------------------------------------


@every_loss
@pytest.mark.parametrize("pattern", ["mixed", "distinct", "equal"])
def test_gradient_is_the_slope(case: str, pattern: str) -> None:
    batch = sample(PATTERNS[pattern][:4], dim=3, seed=3)
    check_gradient_is_the_slope(partial(CASES[case], losses), batch)


def test_gradients_of_the_projections_are_slopes() -> None:
    image, text, weight = with_gradient(sample(PATTERNS["mixed"][:3], dim=3))[:3]
    assert torch.autograd.gradcheck(losses.project, (image, text))
    assert torch.autograd.gradcheck(losses.projection_lengths, (image, text))
    assert torch.autograd.gradcheck(losses.projected_class_logits, (image, text, weight))
