"""Curves: every number where it belongs, one colour a curve in all panels, the paper's in grey."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kit.figures import curves
from kit.figures.curves import PLOT_HEIGHT
from kit.figures.look import COLOURS, GREY

X = [0.0, 0.5, 2.0]
PANELS = {
    "first": {"u": [1.0, 2.0, 3.0], "paper": [5.0, 5.0, 5.0], "v": [4.0, np.nan, 6.0]},
    "second": {"v": [7.0, 8.0, 9.0], "w": [0.0, -1.0, -2.0]},
}
WORDS: dict[str, Any] = {"title": "What one sees", "x_title": "temperature"}
DRAWN = [  # axis, curve, colour, whether the legend has it: once, for all panels
    ("x", "u", COLOURS[0], True),
    ("x", "paper", GREY, True),
    ("x", "v", COLOURS[1], True),
    ("x2", "v", COLOURS[1], False),
    ("x2", "w", COLOURS[2], True),
]


def test_numbers_names_and_colours_stand_panel_by_panel() -> None:
    figure = curves(X, PANELS, **WORDS, grey=["paper"])
    for trace, (axis, name, shade, first) in zip(figure.data, DRAWN, strict=True):
        assert (trace.xaxis, trace.name, trace.line.color) == (axis, name, shade)
        assert (trace.legendgroup, trace.showlegend) == (name, first)
        assert trace.line.dash == ("dot" if name == "paper" else "solid")
        np.testing.assert_array_equal(trace.x, X)
        np.testing.assert_array_equal(trace.y, PANELS["first" if axis == "x" else "second"][name])
        assert trace.x.dtype == trace.y.dtype == np.float32
    assert [a.text for a in figure.layout.annotations] == ["<b>first</b>", "<b>second</b>"]
    assert figure.layout.title.text == "What one sees"
    for axes in (figure.layout.xaxis, figure.layout.xaxis2):
        assert axes.title.text == "temperature"
    assert "http" not in figure.to_json()


@pytest.mark.parametrize(("markers", "mode"), [(False, "lines"), (True, "lines+markers")])
def test_measured_points_are_shown_as_points(markers: bool, mode: str) -> None:
    figure = curves(X, PANELS, **WORDS, markers=markers)
    assert {trace.mode for trace in figure.data} == {mode}


def test_references_are_dashed_lines_in_their_panel() -> None:
    references = {"second": {"chance": 0.5, "best": 9.5}, "first": {"log 2": 0.69}}
    layout = curves(X, PANELS, **WORDS, references=references).layout
    lines = {(line.xref, line.yref, line.y0, line.y1, line.line.dash) for line in layout.shapes}
    assert lines == {
        ("x domain", "y", 0.69, 0.69, "dash"),
        ("x2 domain", "y2", 0.5, 0.5, "dash"),
        ("x2 domain", "y2", 9.5, 9.5, "dash"),
    }
    said = {(a.text, a.yref, a.y) for a in layout.annotations if "<b>" not in a.text}
    assert said == {("log 2", "y", 0.69), ("chance", "y2", 0.5), ("best", "y2", 9.5)}


@pytest.mark.parametrize(("count", "lines"), [(1, 0), (2, 1), (4, 1), (5, 2), (9, 3)])
def test_the_legend_has_room_below_panels_that_keep_their_height(count: int, lines: int) -> None:
    layout = curves(X, {"p": {f"curve {at}": X for at in range(count)}}, **WORDS).layout
    assert layout.height - layout.margin.t - layout.margin.b == PLOT_HEIGHT
    assert layout.showlegend == (count > 1)
    assert layout.legend.yanchor == "top"
    below = -layout.legend.y * PLOT_HEIGHT  # under the axis title, over the figure's lower edge
    assert 40 < below <= layout.margin.b - 12 - 24 * lines


@pytest.mark.parametrize(
    ("x", "panels", "more", "message"),
    [
        ([X], PANELS, {}, r"curves: x must be \(points,\) and finite, got shape \(1, 3\)"),
        ([], PANELS, {}, r"curves: x must be .* got shape \(0,\)"),
        ([0, 1, np.nan], PANELS, {}, r"curves: x must be .* finite, got shape \(3,\)"),
        (X, {}, {}, r"curves: expected at least one panel and a curve in each"),
        (X, {**PANELS, "third": {}}, {}, r"curves: expected at least one panel and a curve in"),
        (X, {"p": {"c": [1, 2]}}, {}, r"'p', 'c': .* per point \(3\), .* got shape \(2,\)"),
        (X, {"p": {"c": [1, np.inf, 2]}}, {}, r"curves: 'p', 'c': expected no infinite values"),
        (
            X,
            PANELS,
            {"references": {"third": {"a": 1.0}, "first": {"b": 1.0}}},
            r"curves: references for panels that are not there: \['third'\]",
        ),
        (X, PANELS, {"grey": ["nobody"]}, r"curves: grey names curves .* not there: \['nobody'\]"),
    ],
)
def test_errors_are_named(x: Any, panels: Any, more: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        curves(x, panels, **WORDS, **more)
