from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from kit.metrics import counting, evaluate_cross_modal, ranks
from kit.metrics.counting import compiled_counter, count_reaching


def tile(seed=0, rows=37, columns=53, k=6, j=2):
    """Coarse scores, so that many equal a threshold; padding that would count if it were read."""
    draw = np.random.default_rng(seed)
    scores = torch.full((rows + 11, columns + 5), 9.0)
    scores[:rows, :columns] = torch.from_numpy(draw.integers(-8, 9, (rows, columns)) / 8)
    of_rows = torch.from_numpy((draw.integers(-8, 9, (rows, k)) / 8).astype(np.float32))
    of_columns = torch.from_numpy((draw.integers(-8, 9, (columns, j)) / 8).astype(np.float32))
    of_rows[::3, k // 2 :] = torch.inf
    of_columns[1::4, j // 2 :] = torch.inf
    return scores, of_rows, of_columns


def loops(scores, of_rows, of_columns):
    scores = scores[: len(of_rows), : len(of_columns)].tolist()
    in_rows = [
        [sum(s >= t for s in row) for t in thresholds]
        for row, thresholds in zip(scores, of_rows.tolist(), strict=True)
    ]
    in_columns = [
        [sum(s >= t for s in column) for t in thresholds]
        for column, thresholds in zip(zip(*scores, strict=True), of_columns.tolist(), strict=True)
    ]
    return in_rows, in_columns


def whole(counts):
    in_rows, in_columns = counts
    return in_rows.to(torch.int64).tolist(), in_columns.to(torch.int64).tolist()


@pytest.mark.parametrize(("k", "j"), [(6, 2), (1, 1), (3, 0)])
def test_torch_counts_as_the_loops_do(k, j):
    arguments = tile(k=k, j=j)
    assert whole(count_reaching(*arguments)) == loops(*arguments)


def test_sorted_rows_count_as_the_loops_do(monkeypatch):
    monkeypatch.setattr(counting, "SORT_FROM", 2)
    arguments = tile(k=9, j=4)
    assert whole(count_reaching(*arguments)) == loops(*arguments)


@pytest.mark.parametrize("parts", [1, 2, 5])
@pytest.mark.parametrize(("k", "j"), [(6, 2), (3, 0)])
def test_the_compiled_loop_counts_as_the_loops_do(parts, k, j):
    pytest.importorskip("numba")
    arguments = tile(k=k, j=j)
    with ThreadPoolExecutor(parts) as threads:
        count = compiled_counter(threads, parts)
        assert count is not None
        assert whole(count(*arguments)) == loops(*arguments)


def test_more_bands_than_rows():
    pytest.importorskip("numba")
    arguments = tile(rows=2)
    with ThreadPoolExecutor(4) as threads:
        count = compiled_counter(threads, 4)
        assert count is not None
        assert whole(count(*arguments)) == loops(*arguments)


def problem():
    draw = torch.Generator().manual_seed(4)
    meanings = torch.randn(90, 12, generator=draw)
    labels = torch.arange(90)
    text_labels = labels.repeat_interleave(5)
    images = meanings + torch.randn(90, 12, generator=draw)
    texts = meanings[text_labels] + torch.randn(450, 12, generator=draw)
    return images, texts, labels, text_labels


def evaluated(monkeypatch, compile_from):
    monkeypatch.setattr(ranks, "COMPILE_FROM", compile_from)
    both = evaluate_cross_modal(*problem())
    return [*both.image_to_text.per_query, *both.text_to_image.per_query]


def test_large_evaluations_are_compiled_and_give_the_same(monkeypatch):
    pytest.importorskip("numba")
    expected = evaluated(monkeypatch, 10**9)
    monkeypatch.setattr(ranks, "count_reaching", None)  # the compiled loop must be the one at work
    for one, other in zip(evaluated(monkeypatch, 1), expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_without_numba_torch_counts(monkeypatch):
    expected = evaluated(monkeypatch, 10**9)
    monkeypatch.setitem(sys.modules, "numba", None)
    counting._compiled_loop.cache_clear()
    try:
        for one, other in zip(evaluated(monkeypatch, 1), expected, strict=True):
            np.testing.assert_array_equal(one, other)
        assert counting._compiled_loop() is None
    finally:
        counting._compiled_loop.cache_clear()


def test_where_nothing_can_be_cached_it_still_compiles(monkeypatch):
    numba = pytest.importorskip("numba")
    plain = numba.njit

    def njit(*, cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return plain(**options)

    monkeypatch.setattr(numba, "njit", njit)
    counting._compiled_loop.cache_clear()
    try:
        assert counting._compiled_loop() is not None
    finally:
        counting._compiled_loop.cache_clear()
