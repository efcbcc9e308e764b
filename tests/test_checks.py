"""One wording for what is refused, and losses that are computed in full precision."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from kit.checks import (
    check_choice,
    check_fields,
    check_labels,
    check_matrices,
    check_number,
    check_whole,
    first_few,
    full_precision,
)


@pytest.mark.parametrize(
    ("matrices", "message"),
    [
        ({"a": torch.zeros(3)}, r"f: a must be a non-empty matrix, got \(3,\)"),
        ({"a": torch.zeros(0, 4)}, r"f: a must be a non-empty matrix, got \(0, 4\)"),
        ({"a": torch.zeros(2, 2).long()}, r"f: a must be of a float type, got torch\.int64"),
        (
            {"a": torch.zeros(2, 3), "b": torch.zeros(2, 4)},
            r"f: a \(2, 3\) and b \(2, 4\) must have the same shape",
        ),
        (
            {"a": torch.zeros(2, 3), "b": torch.zeros(2, 3).double()},
            r"f: a torch\.float32 and b torch\.float64 must have the same type",
        ),
    ],
)
def test_matrices(matrices: dict[str, Tensor], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_matrices("f", **matrices)
    check_matrices("f", a=torch.zeros(2, 3), b=torch.ones(2, 3))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (torch.zeros(2).long(), r"f: labels must be of shape \(3,\), one per row, got \(2,\)"),
        (torch.zeros(3, 1).long(), r"f: labels must be of shape \(3,\), one per row, got \(3, 1\)"),
        (torch.zeros(3), r"f: labels must be whole numbers, got torch\.float32"),
        (torch.zeros(3).bool(), r"f: labels must be whole numbers, got torch\.bool"),
        (torch.tensor([0, 5, 1]), r"f: labels must lie in 0\.\.4, got 0 to 5"),
        (torch.tensor([0, -1, 1]), r"f: labels must lie in 0\.\.4, got -1 to 1"),
    ],
)
def test_labels(labels: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_labels("f", labels, rows=3, classes=5)
    check_labels("f", torch.tensor([0, 4, 1], dtype=torch.int32), rows=3, classes=5)
    check_labels("f", torch.tensor([-7, 400, 1]), rows=3)


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_numbers(value: float) -> None:
    with pytest.raises(ValueError, match=r"f: temperature must be a positive number, got "):
        check_number("f", temperature=value)
    if value != 0:
        with pytest.raises(ValueError, match=r"f: margin must be a number of at least 0, got "):
            check_number("f", at_least=0, margin=value)
    check_number("f", temperature=0.1)
    check_number("f", at_least=0, margin=0)


@pytest.mark.parametrize("value", [1e-300, 1e-16, 1.1e15, 1e300])
def test_numbers_whose_squares_float32_cannot_hold(value: float) -> None:
    with pytest.raises(ValueError, match=r"^f: temperature must be a number from 1e-15 to 1e\+15"):
        check_number("f", temperature=value)
    if value > 1:
        with pytest.raises(ValueError, match=r"^f: margin must be a number from 0 to 1e\+15"):
            check_number("f", at_least=0, margin=value)
    else:
        check_number("f", at_least=0, margin=value)


@pytest.mark.parametrize("value", ["0.5", None, True, 1j, [1.0], torch.tensor(1.0)])
def test_what_is_no_number(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^f: rate must be a positive number, got "):
        check_number("f", rate=value)
    with pytest.raises(ValueError, match=r"^f: epochs must be a whole number of at least 1, got "):
        check_whole("f", at_least=1, epochs=value)
    with pytest.raises(ValueError, match=r"^f: word must be 'a' or 'b', got "):
        check_choice("f", among=("a", "b"), word=value)


def test_whole_numbers_have_an_upper_bound_where_memory_has() -> None:
    check_whole("f", at_least=1, at_most=8, dim=8)
    with pytest.raises(ValueError, match=r"^f: dim must be a whole number of at most 8, got 9$"):
        check_whole("f", at_least=1, at_most=8, dim=9)


def test_tensors_of_two_devices_are_named() -> None:
    with pytest.raises(ValueError, match=r"^f: a cpu and b meta must have the same device$"):
        check_matrices("f", a=torch.ones(2, 3), b=torch.ones(2, 3, device="meta"))


def test_choices() -> None:
    with pytest.raises(ValueError, match=r"f: target must be 'row' or 'softmax', got 'rows'"):
        check_choice("f", among=("row", "softmax"), target="rows")
    check_choice("f", among=("row", "softmax"), target="row")


def test_the_first_few_of_many() -> None:
    assert first_few([1, 2]) == "1, 2"
    assert first_few("abcdefg") == "a, b, c, d, e and 2 more"
    assert first_few([], most=2) == ""


@full_precision
def product(a: Tensor, b: Tensor, *, times: float = 1.0) -> Tensor:
    """A product."""
    return times * (a @ b)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_raised_wherever_it_comes_in(dtype: torch.dtype) -> None:
    a = torch.eye(2).to(dtype)
    assert product(a, a).dtype == torch.float32
    assert product(a, b=a, times=2.0).dtype == torch.float32
    assert product(a.double(), a.double()).dtype == torch.float64


def test_autocast_does_not_reach_inside() -> None:
    a = torch.full((1, 1), 1 + 2**-10)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert (a @ a).dtype == torch.bfloat16
        assert product(a, b=a).item() == (a.double() @ a.double()).float().item()


def test_the_function_keeps_its_name() -> None:
    assert (product.__name__, product.__doc__) == ("product", "A product.")


# ---- numbers of configurations and arguments of runs


@dataclass(frozen=True)
class Numbers:
    epochs: int = 3
    rate: float = 0.5
    name: str = "sgd"
    frozen: bool = False
    at: tuple[int, ...] = (1, 2)
    path: str | None = None

    def __post_init__(self) -> None:
        check_fields(self)


@pytest.mark.parametrize(
    ("field", "given", "plain"),
    [
        ("epochs", np.int64(4), 4),
        ("epochs", torch.tensor(4), 4),
        ("epochs", np.array(4, np.uint8), 4),
        ("rate", np.float32(0.25), 0.25),
        ("rate", torch.tensor(0.25), 0.25),
        ("rate", np.float16(0.25), 0.25),
        ("rate", 2, 2),
        ("path", None, None),
        ("path", "a", "a"),
        ("frozen", np.bool_(True), True),
        ("at", [3, np.int32(4)], (3, 4)),
        ("at", np.array([3, 4]), (3, 4)),
        ("at", torch.tensor([3, 4]), (3, 4)),
        ("at", (), ()),
    ],
)
def test_numbers_of_any_library_become_plain(field: str, given: Any, plain: Any) -> None:
    value = getattr(Numbers(**{field: given}), field)
    assert value == plain
    assert type(value) is type(plain)
    assert json.loads(json.dumps(value)) == (list(plain) if field == "at" else plain)


@pytest.mark.parametrize(
    ("field", "given"),
    [
        *(("epochs", wrong) for wrong in ("3", None, [3], 3j, torch.tensor([3]), np.ones(2))),
        *(("rate", wrong) for wrong in ("0.5", None, True, np.bool_(True), 1j, (0.5,))),
        *(("name", wrong) for wrong in (1, None, b"sgd", ["sgd"])),
        *(("frozen", wrong) for wrong in (1, "no", None)),
        *(("path", wrong) for wrong in (5, b"a", ["a"])),
        *(("at", wrong) for wrong in (3, "12", None, ["1"], [[1]], {1: 2})),
    ],
)
def test_fields_of_another_type_are_refused_by_name(field: str, given: Any) -> None:
    with pytest.raises(ValueError, match=rf"^Numbers: {field} must be .*, got "):
        Numbers(**{field: given})
