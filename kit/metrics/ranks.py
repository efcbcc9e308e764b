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

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kit.metrics.arrays import Features, Integers, as_tensor

TILE = (512, 4096)  # rows and columns of a tile at most: its product stays in the processor's cache
ALIGN = 16  # a tile's sides are multiples of it: with ragged edges BLAS sums equal rows differently
TILE_NUMBERS = 2**24  # features in a tile's columns at most: 64 MB; narrower for wide features
PASS_THRESHOLDS = 2**21  # in all, per pass; with more, queries are taken in several passes
SORT_FROM = 192  # thresholds a row: from here a sorted row is cheaper than one comparison each


class Side(NamedTuple):
    """Queries or gallery in ascending order of label; the features themselves stay where they are.

    `order` (items,) holds the row of `features` and of `norms` that each item is; `labels` (items,)
    is ascending; `dtype` is what rows are divided by their norms in. A subset of the items is a
    side too.
    """

    features: Features
    norms: Tensor
    order: Integers
    labels: Integers
    dtype: torch.dtype

    def part(self, keep: slice | NDArray[np.bool_]) -> Self:
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


def ranks_of_positives(queries: Side, gallery: Side) -> Iterator[Ranks]:
    """Find the positives' ranks of all queries that have any, in blocks of bounded size."""
    half = len(queries.order) // 2
    if half and _thresholds(queries, gallery) > PASS_THRESHOLDS:
        yield from ranks_of_positives(queries.part(slice(half)), gallery)
        yield from ranks_of_positives(queries.part(slice(half, None)), gallery)
    else:
        yield _count(queries, gallery, both=False)[0]


def ranks_both_ways(rows: Side, columns: Side) -> tuple[Iterator[Ranks], Iterator[Ranks]]:
    """`ranks_of_positives` of rows among columns and of columns among rows, from one pass."""
    if _thresholds(rows, columns) + _thresholds(columns, rows) > PASS_THRESHOLDS:
        return ranks_of_positives(rows, columns), ranks_of_positives(columns, rows)
    of_rows, of_columns = _count(rows, columns, both=True)
    return iter([of_rows]), iter([of_columns])


def _positives(items: Side, others: Side) -> tuple[Integers, Integers]:
    """Where each item's positives begin among the others, and how many they are."""
    first = np.searchsorted(others.labels, items.labels, side="left")
    return first, np.searchsorted(others.labels, items.labels, side="right") - first


def _thresholds(items: Side, others: Side) -> int:
    """How many numbers the items' thresholds take, as `_Direction` holds them."""
    return len(items.order) * (1 + int(_positives(items, others)[1].max()))


class _Direction:
    """One direction's thresholds (queries, 1 + most positives), and how many scores reach each.

    A row begins with the number just above its best positive's score, which tells ties; then come
    its positives' scores, then nothing that counts.
    """

    def __init__(self, queries: Side, gallery: Side, device: torch.device) -> None:
        self.queries, self.gallery = queries, gallery
        self.first, self.sizes = _positives(queries, gallery)
        shape = (len(self.sizes), 1 + int(self.sizes.max()))
        self.thresholds = torch.full(shape, -torch.inf, device=device)
        self.counts = torch.zeros(shape, dtype=torch.int32, device=device)

    def take(self, items: slice, others: slice, scores: Tensor) -> None:
        """Read the positives' scores from a tile (items, others)."""
        labels = self.queries.labels[items, None], self.gallery.labels[others]
        item, other = np.nonzero(labels[0] == labels[1])
        place = 1 + others.start + other - self.first[items][item]
        at = [torch.from_numpy(index).to(scores.device) for index in (item, place, other)]
        self.thresholds[items][at[0], at[1]] = scores[at[0], at[2]]

    def tell_ties(self) -> None:
        """Set each row's first threshold, once all others are known."""
        best = self.thresholds.amax(1)
        self.thresholds[:, 0] = best.nextafter(torch.full_like(best, torch.inf))

    def count(self, items: slice, scores: Tensor) -> None:
        """Add for each of the items' thresholds how many of a tile's scores reach it."""
        most = int(self.sizes[items].max())
        if most > 0:
            thresholds = self.thresholds[items, : 1 + most].contiguous()
            self.counts[items, : 1 + most] += _count_in_rows(scores, thresholds).to(torch.int32)

    def ranks(self) -> Ranks:
        """From "how many items score at least as much" to ranks, irrelevant items first in ties."""
        answered = self.sizes > 0
        sizes, counts = self.sizes[answered], self.counts.cpu().numpy()[answered].astype(np.int64)
        starts = np.cumsum(sizes) - sizes
        # One sort of all queries' counts: each query's lie in a range of its own.
        base = np.repeat(np.arange(len(sizes)) * (len(self.gallery.order) + 1), sizes)
        held = np.arange(counts.shape[1] - 1) < sizes[:, None]
        keys = np.sort(counts[:, 1:][held] + base)
        # Positives of equal score have equal counts: these too score at least as much.
        positives = np.searchsorted(keys, keys, side="right") - np.repeat(starts, sizes)
        irrelevant = keys - base - positives
        ranks = irrelevant + np.arange(len(keys)) - np.repeat(starts, sizes) + 1
        tied = irrelevant[starts] > counts[:, 0]
        return Ranks(self.queries.order[answered], sizes, ranks, tied)


def _count(rows: Side, columns: Side, *, both: bool) -> tuple[Ranks, Ranks]:
    """Both passes over the tiles; with `both` false the columns have nothing to find."""
    used = [side.features.device for side in (rows, columns) if isinstance(side.features, Tensor)]
    device = next((device for device in used if device.type != "cpu"), torch.device("cpu"))
    of_rows = _Direction(rows, columns, device)
    of_columns = _Direction(columns, rows if both else rows.part(slice(0)), device)
    with _float32_products(device):
        for row, column, scores in _tiles(rows, columns, device, all_of_them=False):
            of_rows.take(row, column, scores)
            of_columns.take(column, row, scores.T)
        of_rows.tell_ties()
        of_columns.tell_ties()
        for row, column, scores in _tiles(rows, columns, device, all_of_them=True):
            of_rows.count(row, scores)
            of_columns.count(column, scores.T)
    return of_rows.ranks(), of_columns.ranks()


def _tiles(
    rows: Side, columns: Side, device: torch.device, *, all_of_them: bool
) -> Iterator[tuple[slice, slice, Tensor]]:
    """All tiles, or those that may hold positives: rows, columns, scores (to be overwritten)."""
    width = _tile_side(TILE[1], columns)
    height = _tile_side(TILE[0], rows)
    buffer = torch.empty(height, width, device=device)
    for left in range(0, len(columns.order), width):
        column = slice(left, min(left + width, len(columns.order)))
        right_factor = _unit_rows(columns, column, width, device).T
        for top in range(0, len(rows.order), height):
            row = slice(top, min(top + height, len(rows.order)))
            here, there = rows.labels[row], columns.labels[column]
            if all_of_them or (here[0] <= there[-1] and there[0] <= here[-1]):
                torch.mm(_unit_rows(rows, row, height, device), right_factor, out=buffer)
                yield row, column, buffer[: row.stop - row.start, : column.stop - column.start]


def _tile_side(most: int, side: Side) -> int:
    """Rows of a tile: equal parts that waste little at the edges, within the bounds above."""
    items, width = len(side.order), int(side.features.shape[1])
    tiles = math.ceil(items / max(1, min(most, TILE_NUMBERS // width)))
    return math.ceil(items / tiles / ALIGN) * ALIGN


def _unit_rows(side: Side, items: slice, length: int, device: torch.device) -> Tensor:
    """Read the items' features as float32 rows of length 1, and rows of zeros up to `length`."""
    index = torch.from_numpy(side.order[items])
    if isinstance(side.features, Tensor):
        chosen = side.features[index.to(side.features.device)]
    else:
        chosen = as_tensor(side.features[index.numpy()])
    norms = side.norms[index].to(chosen.device, side.dtype)
    padded = torch.zeros(length, chosen.shape[1], device=device)
    padded[: len(index)] = chosen.to(side.dtype).div_(norms[:, None])
    return padded


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


@contextmanager
def _float32_products(device: torch.device) -> Iterator[None]:
    """No gradient, no autocast, no tf32 or bf16 inside products: they would change ranks."""
    on_cpu: Any = torch.backends.mkldnn
    with ExitStack() as changed:
        for backend in (torch.backends.cuda.matmul, on_cpu.matmul):
            changed.callback(setattr, backend, "fp32_precision", backend.fp32_precision)
            backend.fp32_precision = "ieee"
        changed.enter_context(torch.no_grad())
        changed.enter_context(torch.autocast(device.type, enabled=False))
        yield
