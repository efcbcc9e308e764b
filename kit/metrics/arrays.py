"""What metrics take, of numpy or of torch: matrices of real numbers, one integer label a row."""

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kit.arguments import described
from kit.checks import first_few

Features = NDArray[np.generic] | Tensor
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Groups = Sequence[int] | Sequence[str] | NDArray[Any] | Tensor
Labels = Sequence[int] | NDArray[np.integer] | Tensor


def as_array(name: str, argument: str, values: Any) -> NDArray[Any]:
    """As numpy has it, or refused where numpy has no array of it."""
    try:
        return values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
    except (TypeError, ValueError, RuntimeError):
        found = described(values)
        raise ValueError(f"{name}: {argument} must be an array, got {found}") from None


def as_tensor(rows: Features) -> Tensor:
    """A tensor of the same numbers; of a type that torch lacks, as float64.

    Torch knows no byte order but the machine's, and no floats above 64 bits.
    """
    if isinstance(rows, Tensor):
        return rows.detach()
    known = rows.dtype.kind in "iuf" and rows.dtype.itemsize <= 8
    dtype = rows.dtype.newbyteorder("=") if known else np.dtype(np.float64)
    return torch.from_numpy(rows.astype(dtype))  # a copy: torch warns of what is read-only


def features_of(name: str, argument: str, values: Any) -> Features:
    """Return a non-empty matrix of real numbers as it is, or refuse what is none."""
    given = values if isinstance(values, Tensor) else as_array(name, argument, values)
    features: Features = given
    real = any(kind in str(features.dtype) for kind in ("float", "int"))
    if features.ndim != 2 or 0 in features.shape or not real:
        raise ValueError(
            f"{name}: {argument} must be a non-empty matrix of real numbers, "
            f"got {tuple(features.shape)} of {features.dtype}"
        )
    return features


def real_matrix(name: str, argument: str, values: Any) -> Floats:
    """Return a non-empty finite (rows, columns) matrix as float64, or refuse what is none."""
    matrix = as_tensor(features_of(name, argument, values)).double().cpu().numpy()
    refuse_rows(name, argument, "not finite", ~np.isfinite(matrix).all(axis=1))
    return matrix


def numbers(name: str, argument: str, values: Any) -> Floats:
    """Return an array of real numbers of any shape as float64, or refuse what is none."""
    array = as_array(name, argument, values)
    if array.dtype.kind not in "iuf" or isinstance(values, np.ma.MaskedArray):
        raise ValueError(f"{name}: {argument} must be real numbers, got {described(values)}")
    return array.astype(np.float64)


def ids_of(name: str, argument: str, ids: Any, rows: int) -> NDArray[Any]:
    """Return (rows,) ids as strings or integers; refuse what is missing, and 1 beside "1"."""
    array = hasattr(ids, "__array__")
    values = as_array(name, argument, ids).tolist() if array else list(ids)
    listed = isinstance(values, list) and all(isinstance(one, Hashable) for one in values)
    if not listed or len(values) != rows:
        found = described(ids) if array else len(values)
        raise ValueError(f"{name}: {argument} must be one per row ({rows}), got {found}")
    wrong = [one for one in values if one is None or one != one]
    if wrong or len({isinstance(one, str) for one in values}) > 1:
        found = first_few([repr(one) for one in wrong or values])
        raise ValueError(f"{name}: {argument} must be all strings or all numbers, got {found}")
    whole = all(type(one) is int for one in values)
    return np.asarray(values if whole else [str(one) for one in values])


def refuse_rows(name: str, argument: str, problem: str, wrong: NDArray[np.bool_]) -> None:
    """Refuse a matrix with rows (rows,) that are wrong; the first is named."""
    if wrong.any():
        found = f"{wrong.sum()}, the first is row {wrong.argmax()}"
        raise ValueError(f"{name}: no row of {argument} may be {problem}, got {found}")


def integer_labels(name: str, argument: str, labels: Labels, rows: int) -> Integers:
    """Return (rows,) integers as int64, or refuse what is none."""
    array = as_array(name, argument, labels)
    if array.shape != (rows,) or array.dtype.kind not in "iu":
        found = f"{array.shape} of {array.dtype}"
        raise ValueError(f"{name}: {argument} must be ({rows},) integers, one per row, got {found}")
    return array.astype(np.int64)
