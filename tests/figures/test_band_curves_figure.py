"""Curves of several seeds: the mean, a band from the lowest to the highest, gaps, the stretches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import ImageColor

from kit.figures import curves
from kit.figures.look import COLOURS, GREY

X = [0.0, 1.0, 2.0, 3.0]
THREE = [[1.0, 4.0, 2.0, 0.0], [3.0, 4.0, 5.0, 3.0], [2.0, 7.0, 2.0, 0.0]]
ONE = [9.0, 8.0, 7.0, 6.0]
WORDS: dict[str, Any] = {"title": "What one sees", "x_title": "Epoch"}


def test_the_line_is_the_mean_and_the_band_reaches_from_the_lowest_to_the_highest() -> None:
    band, line, single = curves(X, {"p": {"three": THREE, "one": ONE}}, **WORDS).data
    np.testing.assert_array_equal(line.y, [2, 5, 3, 1])
    np.testing.assert_array_equal(line.x, X)
    np.testing.assert_array_equal(single.y, ONE)
    np.testing.assert_array_equal(band.x, [0, 1, 2, 3, 3, 2, 1, 0, np.nan])
    np.testing.assert_array_equal(band.y, [3, 7, 5, 3, 0, 2, 4, 1, np.nan])
    assert line.y.dtype == band.y.dtype == np.float32
    assert (band.fill, band.line.width, band.hoverinfo) == ("toself", 0, "skip")


def test_a_band_is_pale_under_its_line_and_leaves_with_it() -> None:
    figure = curves(X, {"p": {"a": THREE}, "q": {"b": THREE, "a": THREE}}, **WORDS)
    names = [(trace.name, trace.legendgroup, trace.showlegend) for trace in figure.data]
    assert names == [
        (None, "a", False),
        ("a", "a", True),
        (None, "b", False),
        ("b", "b", True),
        (None, "a", False),
        ("a", "a", False),
    ]
    for band, line, shade in zip(figure.data[::2], figure.data[1::2], (0, 1, 0), strict=True):
        assert line.line.color == COLOURS[shade]
        assert band.fillcolor == f"rgba{(*ImageColor.getrgb(COLOURS[shade]), 0.18)}"
        assert (band.xaxis, band.yaxis) == (line.xaxis, line.yaxis)
    assert figure.layout.showlegend
    assert "http" not in figure.to_json()


def test_the_pointer_says_mean_lowest_and_highest() -> None:
    _, line, single = curves(X, {"p": {"three": THREE, "one": ONE}}, **WORDS).data
    assert line.text == ("1 to 3", "4 to 7", "2 to 5", "0 to 3")
    assert line.hovertemplate == "%{y:.4g} (%{text})"
    assert line.mode == "lines"  # the text is the pointer's alone
    assert (single.text, single.hovertemplate) == (None, "%{y:.4g}")


@pytest.mark.parametrize(
    ("panels", "said"),
    [
        ({"p": {"a": THREE}}, "line: mean of 3 seeds   band: from the lowest to the highest"),
        ({"p": {"a": THREE}, "q": {"b": THREE[:2]}}, "line: mean of 2 or 3 seeds   band: from"),
        ({"p": {"a": THREE, "b": ONE}}, "from the lowest to the highest   no band: one seed"),
        ({"p": {"a": THREE, "b": [ONE]}}, "from the lowest to the highest   no band: one seed"),
    ],
)
def test_the_figure_says_what_the_band_is(panels: Any, said: str) -> None:
    assert said in curves(X, panels, **WORDS).layout.title.subtitle.text


def test_a_row_of_one_seed_is_drawn_as_a_curve() -> None:
    panels = {"p": {"u": ONE, "paper": X}, "q": {"u": X}}
    more: Any = {"references": {"p": {"chance": 1.0}}, "shaded": {"warm-up": (0, 1)}}
    kept: Any = {"grey": ["paper"], "markers": True}
    expected = curves(X, panels, **WORDS, **more, **kept)
    rows = {panel: {name: [row] for name, row in rows.items()} for panel, rows in panels.items()}
    assert curves(X, rows, **WORDS, **more, **kept) == expected


def test_a_band_has_gaps_where_its_line_has_some() -> None:
    lacking = np.array(THREE)
    lacking[:, 1] = np.nan
    band, line = curves(X, {"p": {"a": lacking}}, **WORDS).data
    np.testing.assert_array_equal(line.y, [2, np.nan, 3, 1])
    np.testing.assert_array_equal(band.x, [0, 0, np.nan, 2, 3, 3, 2, np.nan])
    np.testing.assert_array_equal(band.y, [3, 1, np.nan, 5, 3, 0, 2, np.nan])
    band, line = curves(X, {"p": {"a": lacking * np.nan}}, **WORDS).data
    assert np.isnan(line.y).all()
    assert np.isnan(band.y).all()


def test_a_stretch_is_shaded_and_named_in_every_panel() -> None:
    stretches = {"warm-up": (0.0, 1.5), "late": (2.5, 3.0)}
    layout = curves(X, {"p": {"a": ONE}, "q": {"a": X}}, **WORDS, shaded=stretches).layout
    shades = {(s.type, s.xref, s.yref, s.x0, s.x1, s.fillcolor, s.layer) for s in layout.shapes}
    assert shades == {
        ("rect", x, f"{y} domain", start, end, GREY, "below")
        for x, y in (("x", "y"), ("x2", "y2"))
        for start, end in stretches.values()
    }
    assert all(shape.opacity < 0.2 for shape in layout.shapes)
    said = [(a.text, a.xref) for a in layout.annotations if "<b>" not in a.text]
    assert sorted(said) == [(name, x) for name in ("late", "warm-up") for x in ("x", "x2")]


PARTLY = [[1.0, np.nan, 2.0, 3.0], [1.0, np.nan, 2.0, np.nan]]


@pytest.mark.parametrize(
    ("values", "more", "message"),
    [
        ([ONE[:3]], {}, r"'p', 'a': expected one value per point \(4\), or a row of them per s"),
        (np.zeros((0, 4)), {}, r"curves: 'p', 'a': expected .* got shape \(0, 4\)"),
        (np.zeros((2, 2, 4)), {}, r"curves: 'p', 'a': expected .* got shape \(2, 2, 4\)"),
        ([ONE, ONE[:3]], {}, r"curves: panels must be a mapping to a mapping to numbers, got"),
        ([[*ONE[:3], np.inf]], {}, r"curves: 'p', 'a': expected no infinite values"),
        (PARTLY, {}, r"'p', 'a': expected that all seeds or none have a point, not so .*\[3\]"),
        (ONE, {"shaded": {"w": (2, 2)}}, r"curves: shaded 'w': expected an end .* 2 and 2"),
        (ONE, {"shaded": {"w": (0, np.inf)}}, r"curves: shaded 'w': expected an end after"),
        (ONE, {"references": {"q": {"c": 1}}}, r"curves: references for panels .* \['q'\]"),
        (ONE, {"grey": ["z"]}, r"curves: grey names curves that are not there: \['z'\]"),
    ],
)
def test_errors_are_named(values: Any, more: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        curves(X, {"p": {"a": values}}, **WORDS, **more)


def test_errors_of_the_axis_are_named() -> None:
    with pytest.raises(ValueError, match=r"curves: x must be \(points,\) and finite"):
        curves([0, np.nan], {"p": {"a": [1, 2]}}, **WORDS)
    with pytest.raises(ValueError, match=r"curves: expected at least one panel and a curve"):
        curves(X, {"p": {}}, **WORDS)
