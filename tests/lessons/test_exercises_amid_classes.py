"""The check of a learner's own accuracy by class: right answers pass, mistakes are named."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from kit.lessons import exercises


def by_division(confusion: Tensor) -> Tensor:
    return 100 * confusion.diagonal() / confusion.sum(1)


def by_loop(confusion: Tensor) -> Tensor:
    shares = [
        100 * row[at] / row.sum() if row.sum() else torch.tensor(float("nan"))
        for at, row in enumerate(confusion)
    ]
    return torch.stack([torch.as_tensor(share, dtype=torch.float64) for share in shares])


@pytest.mark.parametrize("answer", [by_division, by_loop])
def test_right_answers_pass(answer: object) -> None:
    assert exercises.check_accuracy_by_class(answer).startswith("right")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda c: c.diagonal() / c.sum(1), "percent is asked for"),
        (lambda c: 100 * c.diagonal() / c.sum(0), "shares of columns"),
        (lambda c: c.diagonal() / c.sum(0), "rows are the true classes, and percent"),
        (lambda c: 100 * c.diagonal() / c.sum(), "not by all"),
        (lambda c: c.diagonal(), "these are counts"),
        (lambda c: 100 - by_division(c), "shares that are wrong"),
        (lambda c: by_division(c).nan_to_num(0), "0 would be a verdict"),
        (lambda c: 100 * c.diagonal() / c.sum(1).clamp_min(1), "0 would be a verdict"),
        (lambda c: by_division(c).mean(), "returns shape"),
    ],
)
def test_mistakes_are_called_by_name(answer: object, said: str) -> None:
    told = exercises.check_accuracy_by_class(answer)  # type: ignore[arg-type]
    assert said in told
    assert "right:" not in told
