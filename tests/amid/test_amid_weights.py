"""Equation 14: the two adversaries' weights, by hand and against loops."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from kit.amid.losses import AdversaryWeights, expected_classmates

ONE = torch.eye(4)


def at_cosines(own: float, other: float) -> tuple[Tensor, Tensor, Tensor]:
    """Student and teacher of one class whose cosines are these, in float64."""
    rest = math.sqrt(1 - own**2 - other**2)
    student = [[own, other, rest, 0.0], [other, own, 0.0, rest]]
    return (
        torch.tensor(student, dtype=torch.float64),
        torch.eye(4)[:2].double(),
        torch.zeros(2).long(),
    )


def test_one_epoch_by_hand() -> None:
    weights = AdversaryWeights()
    weights.watch(*at_cosines(0.6, 0.2))
    assert weights().tolist() == [0.5, 0.5]  # nothing moves within an epoch
    weights.update()
    assert weights.raw.tolist() == pytest.approx([0.04, 0.08])
    assert weights().tolist() == pytest.approx([0.4900013331, 0.5099986669])


def test_the_second_epoch_remembers_the_first_and_counts_its_own_pairs_alone() -> None:
    weights = AdversaryWeights()
    for own, other in ((0.6, 0.2), (0.1, 0.3)):
        weights.watch(*at_cosines(own, other))
        weights.update()
    assert weights.raw.tolist() == pytest.approx([0.9 * 0.04 + 0.09, 0.9 * 0.08 + 0.07])


def test_averages_are_over_all_pairs_of_the_epoch() -> None:
    generator = torch.Generator().manual_seed(0)
    weights, own, other = AdversaryWeights(), [], []
    for labels in ([0, 1, 0, 0], [1, 2], [5, 5, 5]):
        teacher, student = torch.randn(2, len(labels), 3, generator=generator, dtype=torch.float64)
        weights.watch(student, teacher, torch.tensor(labels))
        for v, first in enumerate(labels):
            for u, second in enumerate(labels):
                cosine = float(teacher[v] @ student[u] / teacher[v].norm() / student[u].norm())
                if u == v:
                    own.append(cosine)
                elif first == second:
                    other.append(cosine)
    weights.update()
    expected = [0.1 * (1 - sum(all_) / len(all_)) for all_ in (own, other)]
    assert weights.raw.tolist() == pytest.approx(expected, rel=1e-6)


def test_equal_averages_leave_them_equal_and_the_worse_aligned_weighs_more() -> None:
    weights = AdversaryWeights()
    weights.watch(*at_cosines(0.4, 0.4))
    weights.update()
    assert weights().tolist() == pytest.approx([0.5, 0.5])
    weights.watch(*at_cosines(0.6, 0.1))
    weights.update()
    assert weights()[1] > 0.5
    assert weights().sum().item() == pytest.approx(1)


def test_an_epoch_without_classmates_leaves_the_second() -> None:
    weights = AdversaryWeights()
    weights.watch(ONE, -ONE, torch.arange(4))
    weights.update()
    assert weights.raw.tolist() == pytest.approx([0.2, 0.0])
    weights.update()  # an epoch without any pair
    assert weights.raw.tolist() == pytest.approx([0.2, 0.0])


def test_the_widest_range_is_opposed_pairs_and_aligned_classmates() -> None:
    weights, opposed = AdversaryWeights(), torch.stack([ONE[0], -ONE[0]])
    for _ in range(300):
        weights.watch(opposed, -opposed, torch.zeros(2).long())
        weights.update()
    assert weights().tolist() == pytest.approx([0.8808, 0.1192], abs=1e-4)


def test_all_of_it_is_in_the_state_dict_also_within_an_epoch() -> None:
    weights, again = AdversaryWeights(), AdversaryWeights()
    weights.watch(*at_cosines(0.6, 0.2))
    again.load_state_dict(weights.state_dict())
    again.update()
    assert again.raw.tolist() == pytest.approx([0.04, 0.08])
    assert not list(weights.parameters())


def test_no_gradient_comes_of_watching() -> None:
    teacher = ONE.clone().requires_grad_()
    weights = AdversaryWeights()
    weights.watch(ONE, teacher, torch.zeros(4).long())
    assert not weights.cosine_sums.requires_grad


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ((ONE, ONE[:3], torch.arange(4)), r"watch: student \(4, 4\) and teacher \(3, 4\)"),
        ((ONE, ONE, torch.arange(3)), r"watch: labels must be of shape \(4,\)"),
        ((ONE, ONE, torch.zeros(4)), r"watch: labels must be whole numbers"),
    ],
)
def test_errors_are_named(wrong: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AdversaryWeights().watch(*wrong)


# ---- d of Equations 12 and 13


def mean_over_all_batches(class_counts: Sequence[int], batch_size: int) -> float:
    """Each batch of labels that can be drawn, with its probability, and its w counted."""
    total = 0.0
    for labels in product(range(len(class_counts)), repeat=batch_size):
        probability = math.prod(class_counts[label] / sum(class_counts) for label in labels)
        total += probability * sum(labels.count(label) > 1 for label in labels)
    return total


@pytest.mark.parametrize("class_counts", [[1], [5, 5], [1, 2, 3], [7, 0, 1], [2, 9, 4, 1]])
@pytest.mark.parametrize("batch_size", [2, 3, 6])
def test_expected_classmates_are_the_mean_over_all_batches(
    class_counts: list[int], batch_size: int
) -> None:
    found = expected_classmates(class_counts, batch_size)
    assert found == pytest.approx(mean_over_all_batches(class_counts, batch_size), rel=1e-12)


def test_expected_classmates_of_the_papers_datasets() -> None:
    equal = expected_classmates([96] * 51, 16)
    assert equal == pytest.approx(16 * (1 - (50 / 51) ** 15), rel=1e-12)
    assert f"{equal:.2f}" == "4.11"
    assert expected_classmates([1103, 1636, 1084, 1708], 128) == pytest.approx(128)  # IEMOCAP
    assert expected_classmates([3], 4) == 4  # one class: all are classmates
    many = expected_classmates([1] * 10**6, 2)
    assert many == pytest.approx(2e-6, rel=1e-9)


@pytest.mark.parametrize(
    ("class_counts", "batch_size", "message"),
    [
        ([], 4, r"^expected_classmates: class_counts .* not all 0, got \[\]$"),
        ([0, 0], 4, r"not all 0, got \[0, 0\]$"),
        ([3, -1], 4, r"class_counts must be at least 0 and not all 0, got \[3, -1\]$"),
        (
            [3, 1],
            1,
            r"^expected_classmates: batch_size must be a whole number of at least 2, got 1$",
        ),
    ],
)
def test_counts_that_say_nothing_are_refused(
    class_counts: list[int], batch_size: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        expected_classmates(class_counts, batch_size)


def test_a_device_without_float64_gets_sums_in_float32() -> None:
    def move(value: torch.Tensor) -> torch.Tensor:
        if value.dtype == torch.float64:
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype")
        return value.clone()

    weights = AdversaryWeights()._apply(move)
    assert weights.cosine_sums.dtype == torch.float32
    features = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    weights.watch(features, -features, torch.tensor([0, 0]))
    weights.update()  # own cosine -1, classmates' 0: 0.1 (1 + 1), 0.1 (1 - 0)
    torch.testing.assert_close(weights.raw, torch.tensor([0.2, 0.1]))
