"""How many scores of a tile reach each threshold of its rows and of its columns: the inner loop.

There are two implementations with equal results. torch's needs nothing and runs on any device; a
loop compiled by numba reads a tile once for all thresholds, which is several times faster on a CPU,
and waits only once for other threads. It costs up to seconds before the first tile, so it serves
large evaluations only.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Counter = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]

SORT_FROM = 192  # thresholds a row: from here a sorted row is cheaper than one comparison each


def count_reaching(
    scores: Tensor, row_thresholds: Tensor, column_thresholds: Tensor
) -> tuple[Tensor, Tensor]:
    """Count the scores >= threshold, by torch.

    Args:
        scores: (rows or more, columns or more) float32; what lies beyond is padding.
        row_thresholds: (rows, k) float32, +inf where a row has fewer than k.
        column_thresholds: (columns, j) likewise.

    Returns:
        (rows, k) and (columns, j) whole numbers, of any dtype.
    """
    scores = scores[: len(row_thresholds), : len(column_thresholds)]
    scratch = torch.empty_like(scores)
    return (
        _count_in_rows(scores, row_thresholds, scratch),
        _count_in_rows(scores.T, column_thresholds, scratch.T),
    )


def _count_in_rows(scores: Tensor, thresholds: Tensor, scratch: Tensor) -> Tensor:
    if thresholds.shape[1] >= SORT_FROM:
        ascending = scores.contiguous().sort(dim=1).values
        return scores.shape[1] - torch.searchsorted(ascending, thresholds)
    counts = torch.empty_like(thresholds)
    ones = torch.ones(scores.shape[1], device=scores.device)
    for k in range(thresholds.shape[1]):
        # Ones and zeros as float32 and a product with ones: much faster than a sum of bool.
        torch.ge(scores, thresholds[:, k : k + 1], out=scratch)
        counts[:, k] = scratch @ ones
    return counts


def compiled_counter(threads: Executor, parts: int) -> Counter | None:
    """`count_reaching` on the CPU, compiled, in `parts` bands of rows; None without numba."""
    loop = _compiled_loop()
    if loop is None:
        return None

    def count(scores: Tensor, of_rows: Tensor, of_columns: Tensor) -> tuple[Tensor, Tensor]:
        by_column = of_columns.T.contiguous().numpy()
        in_rows = np.zeros(of_rows.shape, np.int32)
        in_columns = np.zeros((parts, *by_column.shape), np.int32)  # bands do not share a counter
        cuts = [len(of_rows) * part // parts for part in range(parts + 1)]
        bands = [
            threads.submit(
                loop, scores.numpy(), of_rows.numpy(), by_column, in_rows, in_columns[part], *cut
            )
            for part, cut in enumerate(pairwise(cuts))
        ]
        for band in bands:
            band.result()
        return torch.from_numpy(in_rows), torch.from_numpy(in_columns.sum(0)).T

    return count


@cache
def _compiled_loop() -> Callable[..., None] | None:
    try:
        import numba
    except ImportError:
        return None
    options: dict[str, Any] = {"nogil": True}
    try:
        # Beside this file, or in the user's cache folder where the package cannot be written to.
        return numba.njit(cache=True, **options)(_count_band)  # type: ignore[no-any-return]
    except RuntimeError:  # neither can be written to
        return numba.njit(**options)(_count_band)  # type: ignore[no-any-return]


def _count_band(
    scores: NDArray[np.float32],
    of_rows: NDArray[np.float32],
    of_columns: NDArray[np.float32],
    in_rows: NDArray[np.int32],
    in_columns: NDArray[np.int32],
    start: int,
    stop: int,
) -> None:
    """Count in rows start..stop of a tile; `of_columns` is (j, columns): the loops vectorise."""
    columns = of_columns.shape[1]
    for r in range(start, stop):
        row = scores[r]
        for k in range(of_rows.shape[1]):
            threshold = of_rows[r, k]
            reaching = 0
            for c in range(columns):
                reaching += row[c] >= threshold
            in_rows[r, k] += reaching
        for k in range(of_columns.shape[0]):
            thresholds = of_columns[k]
            counts = in_columns[k]
            for c in range(columns):
                counts[c] += np.int32(row[c] >= thresholds[c])
