"""Float32 at its edges, half precision and autocast, and what the losses cost."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import oracles
import pytest
import torch
from loss_cases import CASES, Sample, sample
from loss_checks import (
    PATTERNS,
    Ledger,
    check_half_precision_is_computed_in_float32,
    gradients,
    with_gradient,
)
from torch import Tensor

from kit.itmeetsal import losses

every_loss = pytest.mark.parametrize("case", CASES)


# --- float32 at its edges -------------------------------------------------------------------


def lengths(batch: Sample, length: float) -> Sample:
    """Give every row of features, and every column of the weight, this length."""
    image, text, weight = batch[:3]
    return batch._replace(
        image_features=length * torch.nn.functional.normalize(image),
        text_features=length * torch.nn.functional.normalize(text),
        weight=length * torch.nn.functional.normalize(weight, dim=0),
    )


def zero_row(batch: Sample) -> Sample:
    image, text, weight = (t.clone() for t in batch[:3])
    image[0], text[-1], weight[:, 4] = 0, 0, 0
    return batch._replace(image_features=image, text_features=text, weight=weight)


def zeros(batch: Sample) -> Sample:
    return batch._replace(
        image_features=0 * batch.image_features, text_features=0 * batch.text_features
    )


def identical_rows(batch: Sample) -> Sample:
    row = batch.image_features[:1].expand_as(batch.image_features)
    return batch._replace(image_features=row, text_features=row, text_logits=batch.image_logits)


def mixed_lengths(batch: Sample) -> Sample:
    image, text = (t.clone() for t in lengths(batch, 1.0)[:2])
    image[0] *= 1e4
    text[0] *= 1e-20
    image[-1] *= 1e-20
    return batch._replace(image_features=image, text_features=text)


def certain(sign: int) -> Callable[[Sample], Sample]:
    def discriminator(batch: Sample) -> Sample:
        sure = torch.tensor([1e4, -1e4]).expand(len(batch.labels), 2)
        return batch._replace(image_logits=sign * sure, text_logits=-sign * sure)

    return discriminator


EDGES: dict[str, Callable[[Sample], Sample]] = {
    "norms of 1e4": lambda batch: lengths(batch, 1e4),
    "norms of 1e25": lambda batch: lengths(batch, 1e25),
    "norms of 1e-20": lambda batch: lengths(batch, 1e-20),
    "norms of 1e4 and 1e-20": mixed_lengths,
    "a zero row": zero_row,
    "all zeros": zeros,
    "identical rows": identical_rows,
    "a certain discriminator, right": certain(1),
    "a certain discriminator, wrong": certain(-1),
    "nothing special": lambda batch: batch,
}


@every_loss
@pytest.mark.parametrize("edge", EDGES)
def test_float32_stays_finite_and_right(case: str, edge: str) -> None:
    for labels in ([4], [4, 4], [4, 2], [4] * 7, PATTERNS["mixed"], PATTERNS["distinct"]):
        drawn = sample(labels, dtype=torch.float32)
        batch = with_gradient(EDGES[edge](drawn))
        result = CASES[case](losses, batch)
        assert result.dtype == torch.float32
        assert result.isfinite()
        expected = CASES[case](oracles, batch)
        assert result.item() == pytest.approx(expected, rel=1e-4, abs=1e-4)
        result.backward()
        slopes = gradients(batch)
        assert slopes
        for name, slope in slopes.items():
            assert slope.dtype == torch.float32
            assert slope.isfinite().all(), (name, labels)


# --- precision ------------------------------------------------------------------------------


@every_loss
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtype_stays(case: str, dtype: torch.dtype) -> None:
    assert CASES[case](losses, sample(PATTERNS["mixed"], dtype=dtype)).dtype == dtype


@every_loss
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(case: str, dtype: torch.dtype) -> None:
    half = sample(PATTERNS["mixed"], dtype=dtype)
    check_half_precision_is_computed_in_float32(partial(CASES[case], losses), half)


def test_projections_of_half_precision_are_float32() -> None:
    half = sample(PATTERNS["mixed"], dtype=torch.bfloat16)
    image, text, weight = half[:3]
    # a network under autocast hands over half features, beside a weight in float32
    for result in (
        losses.project(image, text),
        losses.projection_lengths(image, text),
        *losses.projected_class_logits(image, text, weight),
        *losses.projected_class_logits(image, text, weight.float()),
    ):
        assert result.dtype == torch.float32


def test_class_logits_of_half_precision_are_raised() -> None:
    generator = torch.Generator().manual_seed(0)
    half = [torch.randn(4, 9, generator=generator).bfloat16() for _ in range(2)]
    single = [logits.float() for logits in half]
    labels = torch.tensor([1, 8, 0, 1])
    for result, expected in (
        (losses.imbalance_kl_loss(*half), losses.imbalance_kl_loss(*single)),
        (
            losses.instance_classification_loss(*half, labels),
            losses.instance_classification_loss(*single, labels),
        ),
    ):
        assert result.dtype == torch.float32
        assert result.equal(expected)


@every_loss
def test_autocast_changes_nothing(case: str) -> None:
    def run(context: AbstractContextManager[Any]) -> tuple[Tensor, dict[str, Tensor]]:
        batch = with_gradient(sample(PATTERNS["mixed"], dim=64, dtype=torch.float32))
        with context:
            result = CASES[case](losses, batch)
        result.backward()
        return result.detach(), gradients(batch)

    plain, slopes = run(torch.autocast("cpu", enabled=False))
    cast, cast_slopes = run(torch.autocast("cpu", dtype=torch.bfloat16))
    assert cast.dtype == torch.float32
    torch.testing.assert_close(cast, plain, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(cast_slopes, slopes, rtol=1e-5, atol=1e-6)


def test_projections_under_autocast_are_the_float32_ones() -> None:
    image, text, weight = sample(PATTERNS["mixed"], dim=64, dtype=torch.float32)[:3]
    plain = losses.projection_lengths(image, text)
    plain_logits = losses.projected_class_logits(image, text, weight)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = losses.projection_lengths(image, text)
        cast_logits = losses.projected_class_logits(image, text, weight)
    torch.testing.assert_close(cast, plain, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(cast_logits, plain_logits, rtol=1e-6, atol=1e-6)


# --- cost -----------------------------------------------------------------------------------


def test_classification_and_imbalance_share_two_products() -> None:
    batch = sample(PATTERNS["mixed"])
    with Ledger() as ledger:
        logits = losses.projected_class_logits(*batch[:3])
        losses.instance_classification_loss(*logits, batch.labels)
        losses.imbalance_kl_loss(*logits)
    assert ledger.products == 2


def test_the_ledger_sees_products_of_every_spelling() -> None:
    a, b = torch.ones(3, 4), torch.ones(4, 5)
    for spelling in (
        lambda: a @ b,
        lambda: torch.einsum("nd,dc->nc", a, b),
        lambda: torch.nn.functional.linear(a, b.T),
        lambda: torch.nn.functional.linear(a, b.T, torch.ones(5)),
    ):
        with Ledger() as ledger:
            spelling()
        assert ledger.products == 1
        assert ledger.largest >= 15


@every_loss
def test_nothing_larger_than_a_matrix_is_built(case: str) -> None:
    rows, dim = 24, 40
    batch = with_gradient(sample([label % 9 for label in range(rows)], dim=dim))
    with Ledger() as ledger:
        CASES[case](losses, batch).backward()
    matrices = rows * rows, rows * dim, rows * len(batch.weight[0]), batch.weight.numel()
    # far below rows * rows * dim = 23,040 and rows * dim * classes = 8,640
    assert 2 * rows <= ledger.largest <= max(matrices)
