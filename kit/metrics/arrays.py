"""What metrics take, of numpy or of torch: matrices of real numbers, one integer label a row."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Features = NDArray[np.generic] | Tensor
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Labels = Sequence[int] | NDArray[np.integer] | Tensor


def as_array(values: Any) -> NDArray[Any]:
    """As numpy has it."""
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)


def as_double(features: Features) -> Tensor:
    """In float64; a copy of an array, because torch warns of those that cannot be written to."""
    if isinstance(features, Tensor):
        return features.detach().double()
    return torch.from_numpy(features.astype(np.float64))


def features_of(name: str, argument: str, values: Any) -> Features:
    """Return a non-empty matrix of real numbers as it is, or refuse what is none."""
    features: Features = values if isinstance(values, Tensor) else np.asarray(values)
    real = any(kind in str(features.dtype) for kind in ("float", "int"))
    if features.ndim != 2 or 0 in features.shape or not real:
        raise ValueError(
            f"{name}: {argument} must be a non-empty matrix of real numbers, "
            f"got {tuple(features.shape)} of {features.dtype}"
        )
    return features


def real_matrix(name: str, argument: str, values: Any) -> Floats:
    """Return a non-empty finite (rows, columns) matrix as float64, or refuse what is none."""
    matrix = as_double(features_of(name, argument, values)).cpu().numpy()
    refuse_rows(name, argument, "not finite", ~np.isfinite(matrix).all(axis=1))
    return matrix


def refuse_rows(name: str, argument: str, problem: str, wrong: NDArray[np.bool_]) -> None:
    """Refuse a matrix with rows (rows,) that are wrong; the first is named."""
    if wrong.any():
        found = f"{wrong.sum()}, the first is row {wrong.argmax()}"
        raise ValueError(f"{name}: no row of {argument} may be {problem}, got {found}")


def integer_labels(name: str, argument: str, labels: Labels, rows: int) -> Integers:
    """Return (rows,) integers as int64, or refuse what is none."""
    array = as_array(labels)
    if array.shape != (rows,) or array.dtype.kind not in "iu":
        found = f"{array.shape} of {array.dtype}"
        raise ValueError(f"{name}: {argument} must be ({rows},) integers, one per row, got {found}")
    return array.astype(np.int64)
