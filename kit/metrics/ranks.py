"""The rank of every relevant item, streamed over tiles of the score matrix.

Recall, median rank, average precision and the precision-recall curve all follow from one thing: the
ranks that a query's relevant items ("positives") take in its list. This file finds them without a
sort of the list and without the score matrix in memory:

1. both sides are sorted by label, so that the positives of an item are neighbours, and the tiles of
   the score matrix that hold positives lie along a diagonal;
2. those tiles are computed first: they give the positives' scores, from now on thresholds;
3. every tile is computed, and for each threshold we count the scores that reach it.

A tile is always computed in the same shape, so a positive's score has the same bits in both passes,
and rows that are equal get scores that are equal. Both directions are read from the same tile.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kit.metrics.arrays import Features, Integers

TILE = (512, 4096)  # rows and columns of a tile at most: its product stays in the processor's cache
ALIGN = 16  # a tile's sides are multiples of it: with ragged edges BLAS sums equal rows differently
TILE_NUMBERS = 2**24  # features in a tile's columns at most: 64 MB; narrower for wide features
TILE_THRESHOLDS = 2**22  # the same for thresholds, where one label has very many items
PASS_THRESHOLDS = 2**21  # in all, per pass; with more, queries are taken in several passes
SORT_FROM = 192  # thresholds a row: from here a sorted row is cheaper than one comparison each


class Side(NamedTuple):
    """Queries or gallery in ascending order of label; the features themselves stay where they are.

    `order` (items,) holds the row of `features` and of `norms` that each item is; `labels` (items,)
    is ascending. A subset of the items is a side too.
    """

    features: Features
    norms: Tensor
    order: Integers
    labels: Integers

    def part(self, keep: slice | NDArray[np.bool_]) -> Side:
        """Choose among the sorted items."""
        return self._replace(order=self.order[keep], labels=self.labels[keep])


class Ranks(NamedTuple):
    """Where the positives of some queries stand.

    `queries` (n,) are rows of the query features; `sizes` (n,) how many positives each has;
    `ranks` (sum of sizes,) their ranks from 1, ascending within each query, one query after the
    other; `tied` (n,) whether an irrelevant item has the best positive's score.
    """

    queries: Integers
    sizes: Integers
    ranks: Integers
    tied: NDArray[np.bool_]


class _Hits(NamedTuple):
    """One direction's thresholds: item i's positives are first[i]..last[i] of the other side.

    An item with positives owns `offsets[i]`..`offsets[i + 1]` of `thresholds` and `counts`: first
    the number just above its best positive's score, which tells ties, then its positives' scores.
    """

    first: Integers
    last: Integers
    offsets: Integers
    thresholds: Tensor
    counts: Tensor


def ranks_of_positives(queries: Side, gallery: Side) -> Iterator[Ranks]:
    """Find the positives' ranks of all queries that have any, in blocks of bounded size."""
    first, last = _positives(queries, gallery)
    passes = np.cumsum(last - first + 1) // PASS_THRESHOLDS
    starts = np.flatnonzero(np.diff(passes, prepend=-1))
    for start, stop in zip(starts, [*starts[1:], len(passes)], strict=True):
        block = queries.part(slice(start, stop))
        hits, _ = _count(block, gallery, both=False)
        yield _ranks(hits, block, len(gallery.order))


def ranks_both_ways(rows: Side, columns: Side) -> tuple[Iterator[Ranks], Iterator[Ranks]]:
    """`ranks_of_positives` of rows among columns and of columns among rows, from one pass."""
    first, last = _positives(rows, columns)
    if (last - first).sum() + max(len(rows.order), len(columns.order)) > PASS_THRESHOLDS:
        return ranks_of_positives(rows, columns), ranks_of_positives(columns, rows)
    of_rows, of_columns = _count(rows, columns, both=True)
    return (
        iter([_ranks(of_rows, rows, len(columns.order))]),
        iter([_ranks(of_columns, columns, len(rows.order))]),
    )


def _positives(items: Side, others: Side) -> tuple[Integers, Integers]:
    first = np.searchsorted(others.labels, items.labels, side="left")
    return first, np.searchsorted(others.labels, items.labels, side="right")


def _count(rows: Side, columns: Side, *, both: bool) -> tuple[_Hits, _Hits]:
    """Both passes over the tiles; with `both` false the columns get no thresholds."""
    device = _device(rows, columns)
    of_rows = _no_counts(*_positives(rows, columns), device)
    first, last = _positives(columns, rows)
    of_columns = _no_counts(first, last if both else first, device)
    shape = _tile_shape(of_rows, of_columns, int(rows.features.shape[1]))
    with _float32_products(device):
        for row, column, scores in _tiles(rows, columns, shape, device, of_rows):
            _take_thresholds(of_rows, row, column, scores)
            _take_thresholds(of_columns, column, row, scores.T)
        _set_strict_thresholds(of_rows)
        _set_strict_thresholds(of_columns)
        for row, column, scores in _tiles(rows, columns, shape, device):
            _count_reaching(of_rows, row, scores)
            _count_reaching(of_columns, column, scores.T)
    return of_rows, of_columns


def _no_counts(first: Integers, last: Integers, device: torch.device) -> _Hits:
    sizes = last - first
    offsets = np.concatenate([[0], np.cumsum(sizes + (sizes > 0))])
    thresholds = torch.full((int(offsets[-1]),), -torch.inf, device=device)
    return _Hits(first, last, offsets, thresholds, torch.zeros_like(thresholds, dtype=torch.int32))


def _tile_shape(of_rows: _Hits, of_columns: _Hits, width: int) -> tuple[int, int]:
    """Tiles of equal size that waste little at the edges and keep within the bounds above."""
    shape = []
    for hits, most in zip((of_rows, of_columns), TILE, strict=True):
        items = len(hits.first)
        thresholds = max(1, int(np.diff(hits.offsets).max()))
        most = max(1, min(most, TILE_NUMBERS // width, TILE_THRESHOLDS // thresholds))
        even = -(-items // -(-items // most))
        shape.append(-(-even // ALIGN) * ALIGN)
    return shape[0], shape[1]


def _tiles(
    rows: Side,
    columns: Side,
    shape: tuple[int, int],
    device: torch.device,
    holding: _Hits | None = None,
) -> Iterator[tuple[slice, slice, Tensor]]:
    """Every tile, or those that hold positives: rows, columns, scores (to be overwritten)."""
    buffer = torch.empty(shape, device=device)
    for left in range(0, len(columns.order), shape[1]):
        column = slice(left, min(left + shape[1], len(columns.order)))
        right_factor = _unit_rows(columns, column, shape[1], device).T
        for top in range(0, len(rows.order), shape[0]):
            row = slice(top, min(top + shape[0], len(rows.order)))
            if holding is None or _within(holding, row, column)[1].any():
                torch.mm(_unit_rows(rows, row, shape[0], device), right_factor, out=buffer)
                yield row, column, buffer[: row.stop - row.start, : column.stop - column.start]


def _unit_rows(side: Side, items: slice, length: int, device: torch.device) -> Tensor:
    """Read the items' features as float32 rows of length 1, and rows of zeros up to `length`."""
    index = side.order[items]
    if isinstance(side.features, Tensor):
        chosen = side.features[torch.from_numpy(index).to(side.features.device)]
    else:
        chosen = torch.from_numpy(side.features[index])
    narrow = chosen.is_floating_point() and chosen.dtype != torch.float64
    dtype = torch.float32 if narrow else torch.float64
    norms = side.norms[torch.from_numpy(index)].to(chosen.device, dtype)
    padded = torch.zeros(length, chosen.shape[1], device=device)
    padded[: len(index)] = chosen.to(dtype).div_(norms[:, None])
    return padded


def _within(hits: _Hits, items: slice, others: slice) -> tuple[Integers, Integers]:
    """Of the items' positives those among `others`: where they start and how many they are."""
    start = hits.first[items].clip(others.start, others.stop)
    return start, hits.last[items].clip(others.start, others.stop) - start


def _take_thresholds(hits: _Hits, items: slice, others: slice, scores: Tensor) -> None:
    start, sizes = _within(hits, items, others)
    item = np.repeat(np.arange(len(sizes)), sizes)
    other = np.arange(len(item)) + np.repeat(start - (np.cumsum(sizes) - sizes), sizes)
    slot = hits.offsets[items][item] + 1 + other - hits.first[items][item]
    at = [torch.from_numpy(index).to(scores.device) for index in (slot, item, other - others.start)]
    hits.thresholds[at[0]] = scores[at[1], at[2]]


def _set_strict_thresholds(hits: _Hits) -> None:
    starts = hits.offsets[:-1][np.diff(hits.offsets) > 0]
    if len(starts):
        best = np.maximum.reduceat(hits.thresholds.cpu().numpy(), starts)
        above = torch.from_numpy(np.nextafter(best, np.float32(np.inf)))
        hits.thresholds[torch.from_numpy(starts)] = above.to(hits.thresholds.device)


def _count_reaching(hits: _Hits, items: slice, scores: Tensor) -> None:
    """Add for each of the items' thresholds how many scores (items, others) reach it."""
    own = slice(hits.offsets[items.start], hits.offsets[items.stop])
    sizes = np.diff(hits.offsets[items.start : items.stop + 1])
    places = torch.arange(int(sizes.max()), device=scores.device)
    taken = places < torch.from_numpy(sizes).to(scores.device)[:, None]
    table = torch.full(taken.shape, torch.inf, device=scores.device)
    table[taken] = hits.thresholds[own]
    hits.counts[own] += _count_in_rows(scores, table)[taken].to(torch.int32)


def _count_in_rows(scores: Tensor, thresholds: Tensor) -> Tensor:
    """How many of each row's scores (rows, n) reach its thresholds (rows, k): (rows, k)."""
    if thresholds.shape[1] >= SORT_FROM:
        ascending = scores.contiguous().sort(dim=1).values
        return scores.shape[1] - torch.searchsorted(ascending, thresholds)
    counts = torch.empty_like(thresholds)
    reaching, ones = torch.empty_like(scores), torch.ones(scores.shape[1], device=scores.device)
    for k in range(thresholds.shape[1]):
        # Ones and zeros as float32 and a product with ones: much faster than a sum of bool.
        torch.ge(scores, thresholds[:, k : k + 1], out=reaching)
        counts[:, k] = reaching @ ones
    return counts


def _ranks(hits: _Hits, queries: Side, gallery_size: int) -> Ranks:
    """From "how many items score at least as much" to ranks, an irrelevant item first in a tie."""
    sizes = hits.last - hits.first
    answered = sizes > 0
    sizes = sizes[answered]
    counts = hits.counts.cpu().numpy()
    strict = hits.offsets[:-1][answered]
    starts = np.cumsum(sizes) - sizes
    # One sort of all queries' counts: each query's lie in a range of its own.
    base = np.repeat(np.arange(len(sizes)) * (gallery_size + 1), sizes)
    keys = np.sort(np.delete(counts, strict).astype(np.int64) + base)
    # Positives of equal score have equal counts: these too score at least as much.
    positives = np.searchsorted(keys, keys, side="right") - np.repeat(starts, sizes)
    irrelevant = keys - base - positives
    ranks = irrelevant + np.arange(len(keys)) - np.repeat(starts, sizes) + 1
    tied = irrelevant[starts] > counts[strict]
    return Ranks(queries.order[answered], sizes, ranks, tied)


def _device(*sides: Side) -> torch.device:
    """Where the products are made: on the first side that is not on the CPU, else there."""
    used = [side.features.device for side in sides if isinstance(side.features, Tensor)]
    return next((device for device in used if device.type != "cpu"), torch.device("cpu"))


@contextmanager
def _float32_products(device: torch.device) -> Iterator[None]:
    """No gradient, no autocast, no tf32 or bf16 inside products: they would change ranks."""
    on_cpu: Any = torch.backends.mkldnn
    backends = (torch.backends.cuda.matmul, on_cpu.matmul)
    before = [backend.fp32_precision for backend in backends]
    try:
        for backend in backends:
            backend.fp32_precision = "ieee"
        with torch.no_grad(), torch.autocast(device.type, enabled=False):
            yield
    finally:
        for backend, precision in zip(backends, before, strict=True):
            backend.fp32_precision = precision
