"""What annotations promise: a tensor, a number, a list of strings; numbers in any guise."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from timeit import repeat
from typing import Any, Literal

import numpy as np
import pytest
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from kit.arguments import as_array, checked, described


@checked
def takes(
    features: Tensor | None = None,
    *,
    number: float = 0.0,
    count: int = 1,
    flag: bool = False,
    word: Literal["row", "softmax"] = "row",
    names: Sequence[str] = (),
    ks: Sequence[int] = (),
    labels: Sequence[int] | NDArray[np.integer] | Tensor = (),
    weight: float | Tensor = 0.0,
    shares: Mapping[str, float] | None = None,
    pair: tuple[float, float] = (0.0, 0.0),
    scores: ArrayLike = 0.0,
    records: Iterable[Any] = (),
    anything: Any = None,
) -> dict[str, Any]:
    """Give back what arrives."""
    return locals()


@pytest.mark.parametrize(
    ("argument", "value", "expected"),
    [
        ("number", np.float32(0.5), 0.5),
        ("number", np.float64(0.5), 0.5),
        ("number", np.longdouble(0.5), 0.5),
        ("number", np.int64(2), 2),
        ("number", np.array(0.5, ">f8"), 0.5),
        ("number", torch.tensor(0.5), 0.5),
        ("number", 2, 2),
        ("number", 2**70, 2.0**70),
        ("count", np.uint8(3), 3),
        ("count", torch.tensor(3), 3),
        ("count", np.array(3), 3),
        ("flag", np.bool_(True), True),
        ("flag", torch.tensor(True), True),
        ("word", np.str_("softmax"), "softmax"),
        ("names", ["a", "b"], ["a", "b"]),
        ("names", np.array(["a", "b"]), ["a", "b"]),
        ("ks", np.array([1, 5]), [1, 5]),
        ("ks", torch.tensor([1, 5]), [1, 5]),
        ("ks", [np.int64(1), 5], (1, 5)),
        ("ks", range(1, 3), range(1, 3)),
        ("shares", {"a": np.float32(0.5)}, {"a": 0.5}),
        ("pair", [1, np.float32(0.5)], (1, 0.5)),
        ("scores", [1, None, 2.0], [1, None, 2.0]),
        ("scores", np.float32(0.5), 0.5),
        ("anything", "x", "x"),
    ],
)
def test_what_is_taken_arrives_plain(argument: str, value: Any, expected: Any) -> None:
    arrived = takes(**{argument: value})[argument]
    assert arrived == expected
    assert type(arrived) is type(expected)


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("features", [1.0], r"a tensor, got a list \[1\.0\]"),
        ("features", np.ones((2, 3)), r"a tensor, got a float64 array \(2, 3\)"),
        ("features", torch.ones(2, device="meta"), r"a tensor, got a meta float32 tensor \(2,\)"),
        ("features", torch.eye(2).to_sparse(), r"a tensor, got a sparse_coo float32 tensor"),
        ("number", "0.5", r"a number, got '0\.5'"),
        ("number", None, "a number, got None"),
        ("number", True, "a number, got True"),
        ("number", np.bool_(True), r"a number, got np\.True_"),
        ("number", torch.tensor(True), "a number, got a bool tensor"),
        ("number", torch.ones(1), r"a number, got a float32 tensor \(1,\)"),
        ("number", torch.tensor(1.0, requires_grad=True), "a number, got a float32 tensor"),
        ("number", np.ma.masked, "a number, got a"),
        ("number", 1j, "a number, got 1j"),
        ("number", 10**400, "a number, got 10"),
        ("count", 1.0, r"a whole number, got 1\.0"),
        ("count", np.float32(1), r"a whole number, got np\.float32\(1\.0\)"),
        ("count", True, "a whole number, got True"),
        ("flag", 1, "True or False, got 1"),
        ("word", "rows", "'row' or 'softmax', got 'rows'"),
        ("word", None, "'row' or 'softmax', got None"),
        ("word", np.ones(2), "'row' or 'softmax', got a float64 array"),
        ("names", "abc", "a list of strings, got 'abc'"),
        ("names", ["a", 1], r"a list of strings, got a list \['a', 1\]"),
        ("ks", 5, "a list of whole numbers, got 5"),
        ("ks", "15", "a list of whole numbers, got '15'"),
        ("ks", (1, True), r"a list of whole numbers, got a tuple \(1, True\)"),
        ("ks", np.array([1.0]), "a list of whole numbers, got a float64 array"),
        ("ks", np.array(1), "a list of whole numbers, got a int64 array"),
        ("labels", "012", "a list of whole numbers or an array or a tensor, got '012'"),
        ("labels", np.ma.array([0, 1]), "a list of .*, got a int64 masked array"),
        ("labels", np.ma.masked, "a list of .*, got a"),
        ("weight", "1", "a number or a tensor, got '1'"),
        ("shares", [("a", 1.0)], "a mapping to a number, got a list"),
        ("shares", {1: 1.0}, "a mapping to a number, got a dict"),
        ("shares", {"a": "1"}, "a mapping to a number, got a dict"),
        ("pair", (1.0,), r"a list of 2 numbers, got a tuple \(1\.0,\)"),
        ("pair", 1.0, r"a list of 2 numbers, got 1\.0"),
        ("scores", None, "numbers, got None"),
        ("scores", ["a"], "numbers, got a list"),
        ("scores", [[1], [1, 2]], "numbers, got a list"),
        ("scores", torch.ones(2, device="meta"), "numbers, got a meta float32 tensor"),
        ("records", "abc", "iterable, got 'abc'"),
    ],
)
def test_what_is_refused_is_named(argument: str, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^takes: {argument} must be {message}"):
        takes(**{argument: value})


def test_a_tensor_stays_where_one_is_meant() -> None:
    weight = torch.tensor(0.5, requires_grad=True)
    assert takes(weight=weight)["weight"] is weight
    features = torch.nn.Parameter(torch.ones(2))
    assert takes(features)["features"] is features
    assert takes(None)["features"] is None


def test_wrong_calls_stay_python_s() -> None:
    with pytest.raises(TypeError, match=r"^takes\(\) takes from 0 to 1 positional"):
        takes(None, 1)  # type: ignore[misc]
    with pytest.raises(TypeError, match=r"^takes\(\) got an unexpected keyword argument 'nombre'"):
        takes(nombre=1)  # type: ignore[call-arg]


@checked
@dataclass(frozen=True)
class Setting:
    """A class is checked where it is made."""

    rate: float
    names: tuple[str, ...] = ()


def test_classes_and_methods_are_called_by_their_names() -> None:
    assert Setting(rate=np.float32(0.5)) == Setting(0.5)
    assert type(Setting(np.float32(0.5)).rate) is float
    with pytest.raises(ValueError, match=r"^Setting: rate must be a number, got '1'$"):
        Setting("1")  # type: ignore[arg-type]


def test_arrays_of_what_numpy_reads() -> None:
    leaf = torch.ones(2, requires_grad=True)
    assert as_array("f", "x", leaf).tolist() == [1, 1]
    for wrong in ([[1], [1, 2]], torch.ones(2, device="meta")):
        with pytest.raises(ValueError, match=r"^f: x must be an array, got a"):
            as_array("f", "x", wrong)


def test_what_came_in_few_words() -> None:
    assert described("x" * 1000) == "'xxxxxxxxxxxx...xxxxxxxxxxxxx'"
    assert described(object()) == "an object"
    assert len(described([[1.0] * 1000] * 1000)) < 250


def test_a_check_takes_a_few_microseconds() -> None:
    image, text = torch.ones(2, 2), torch.ones(2, 2)

    def bare(a: Tensor, b: Tensor, c: Tensor, *, word: Literal["row"], number: float) -> None:
        return None

    asked = checked(bare)
    calls = {
        function: min(
            repeat(lambda f=function: f(image, text, text, word="row", number=0.5), number=200)  # type: ignore[misc]
        )
        / 200
        for function in (bare, asked)
    }
    assert calls[asked] - calls[bare] < 20e-6  # 4 on the machine where it was written
