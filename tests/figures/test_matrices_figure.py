"""Matrices: one scale for all of them, white at 0, each name and mark at its cell."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kit.figures import matrices
from kit.figures.look import COLOURS

A = np.array([[1.0, -0.5, 0.25], [0.0, 2.0, -3.0]])
BLUE, ORANGE, WHITE = COLOURS[0], COLOURS[1], "#FFFFFF"


def test_panels_hold_their_numbers_on_one_scale() -> None:
    figure = matrices(
        {"ours": A, "paper": A / 2}, title="t", row_title="image", column_title="text"
    )
    for trace, values, axes in zip(figure.data, (A, A / 2), ("xy", "x2y2"), strict=True):
        np.testing.assert_array_equal(trace.z, values)
        assert trace.z.dtype == np.float32
        assert trace.coloraxis == "coloraxis"
        assert trace.xaxis + trace.yaxis == axes
        assert (*trace.x, *trace.y) == (0, 1, 2, 0, 1)
        assert trace.texttemplate == "%{z:.2f}"
    layout = figure.layout
    assert [a.text for a in layout.annotations] == ["<b>ours</b>", "<b>paper</b>"]
    assert layout.yaxis.autorange == layout.yaxis2.autorange == "reversed"  # row 0 is on top
    assert (layout.yaxis.title.text, layout.yaxis2.title.text) == ("image", None)
    assert (layout.xaxis.title.text, layout.xaxis2.title.text) == ("text", "text")
    assert layout.title.text == "t"
    assert "http" not in figure.to_json()


@pytest.mark.parametrize(
    ("panels", "low", "high", "shades"),
    [
        ({"a": A, "b": np.full((2, 3), 2.5)}, -3, 3, (ORANGE, WHITE, BLUE)),
        ({"a": -A}, -3, 3, (ORANGE, WHITE, BLUE)),
        ({"a": np.abs(A), "b": A}, -3, 3, (ORANGE, WHITE, BLUE)),
        ({"a": -np.abs(A)}, -3, 3, (ORANGE, WHITE, BLUE)),
        ({"a": np.abs(A), "b": np.eye(2, 3)}, 0, 3, (WHITE, BLUE)),
        ({"a": np.zeros((2, 3))}, 0, 1, (WHITE, BLUE)),
    ],
)
def test_blue_is_positive_orange_negative_white_0(
    panels: dict[str, Any], low: float, high: float, shades: tuple[str, ...]
) -> None:
    axis = matrices(panels, title="t").layout.coloraxis
    assert (axis.cmin, axis.cmax) == (low, high)
    assert tuple(shade for _, shade in axis.colorscale) == shades
    assert [at for at, _ in axis.colorscale] == np.linspace(0, 1, len(shades)).tolist()


@pytest.mark.parametrize(
    ("shape", "shown"),
    [((2, 12), "%{z:.3f}"), ((2, 13), None), ((12, 2), "%{z:.3f}"), ((13, 2), None)],
)
def test_numbers_are_written_where_they_can_be_read(
    shape: tuple[int, int], shown: str | None
) -> None:
    (trace,) = matrices({"a": np.ones(shape)}, title="t", decimals=3).data
    assert trace.texttemplate == shown


def test_names_are_at_their_rows_and_columns() -> None:
    rows, columns = ["D", "C"], ["triplet", "kl", "entropy"]
    figure = matrices({"a": A}, title="t", row_names=rows, column_names=columns)
    assert figure.layout.yaxis.ticktext == ("D", "C")
    assert figure.layout.xaxis.ticktext == ("triplet", "kl", "entropy")
    hover = figure.data[0].customdata
    assert np.shape(hover) == A.shape
    assert hover[1][2] == "C, entropy"
    assert matrices({"a": A}, title="t").data[0].customdata[1][2] == "1, 2"


@pytest.mark.parametrize(("count", "every"), [(30, 1), (31, 2), (61, 3)])
def test_of_many_rows_and_columns_only_some_are_named(count: int, every: int) -> None:
    words = [f"w{at}" for at in range(count)]
    for shape, which in (((count, 2), "row"), ((2, count), "column")):
        named: dict[str, Any] = {f"{which}_names": words}
        layout = matrices({"a": np.ones(shape)}, title="t", **named).layout
        axis, other = layout.yaxis, layout.xaxis
        if which == "column":
            axis, other = other, axis
        assert [*axis.tickvals] == [*range(0, count, every)]
        assert [*axis.ticktext] == [f"w{at}" for at in axis.tickvals]
        assert (other.tickvals, other.ticktext) == ((0, 1), ("0", "1"))


def test_marks_are_at_their_cells_in_every_panel() -> None:
    marks = {"positive": [(0, 2), (1, 0)], "hardest": [(1, 1)]}
    figure = matrices({"a": A, "b": A}, title="t", marks=marks)
    for at, axis in ((1, "x"), (4, "x2")):
        positive, hardest = figure.data[at : at + 2]
        assert (positive.name, hardest.name) == ("positive", "hardest")
        assert (positive.x, positive.y, hardest.x, hardest.y) == ((2, 0), (0, 1), (1,), (1,))
        assert positive.marker.symbol != hardest.marker.symbol
        assert positive.xaxis == hardest.xaxis == axis
        assert positive.showlegend == hardest.showlegend == (at == 1)
    plain, marked = matrices({"a": A}, title="t").layout, figure.layout
    assert marked.height - plain.height == marked.margin.b - plain.margin.b > 0  # for the legend


@pytest.mark.parametrize(
    ("panels", "more", "message"),
    [
        ({}, {}, r"matrices: expected at least one matrix, .* got \[\]"),
        ({"a": A, "b": A.T}, {}, r"all of one shape .* got \[\(2, 3\), \(3, 2\)\]"),
        ({"a": [1.0, 2.0]}, {}, r"of one shape \(rows, columns\), got \[\(2,\)\]"),
        ({"a": np.ones((0, 3))}, {}, r"at least one matrix, .* got \[\(0, 3\)\]"),
        (
            {"a": A, "b": A * np.nan, "c": A + np.inf},
            {},
            r"matrices: expected finite numbers, not so in \['b', 'c'\]",
        ),
        ({"a": A}, {"row_names": ["r"]}, r"matrices: expected 2 row_names, got 1"),
        ({"a": A}, {"column_names": list("abcd")}, r"matrices: expected 3 column_names, got 4"),
        (
            {"a": A},
            {"marks": {"m": [(1, 2), (2, 0)], "n": [(0, 3), (-1, 0), (0, -1)]}},
            r"outside of 2 x 3: \[\(2, 0\), \(0, 3\), \(-1, 0\), \(0, -1\)\]",
        ),
    ],
)
def test_errors_are_named(panels: Any, more: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        matrices(panels, title="t", **more)
