"""The embedding map of teacher and student: named sides, a colour and a legend entry a class."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from kit.figures import embedding_map, embedding_maps
from kit.figures.look import COLOURS, pair_colours

EPOCHS, PAIRS = 4, 12
NAMES = [f"clip {at}" for at in range(PAIRS)]
CLASSES = [("roll", "<b>fade</b>", "spin")[at % 3] for at in range(PAIRS)]
ORDER = ["<b>fade</b>", "roll", "spin"]
HERS: dict[str, Any] = {"sides": ("teacher", "student"), "classes": CLASSES}


def points(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(EPOCHS, PAIRS, 2)).astype(np.float32)


@pytest.fixture
def figure() -> go.Figure:
    return embedding_map(points(0), points(1), NAMES, **HERS)


def rows_of(name: str) -> list[int]:
    return [row for row, one in enumerate(CLASSES) if one == name]


def test_each_class_has_its_lines_its_teachers_and_its_students(figure: go.Figure) -> None:
    assert len(figure.data) == 3 * len(ORDER)
    for at, name in enumerate(ORDER):
        lines, teachers, students = figure.data[3 * at : 3 * at + 3]
        rows = rows_of(name)
        np.testing.assert_array_equal(teachers.x, points(0)[-1, rows, 0])
        np.testing.assert_array_equal(students.y, points(1)[-1, rows, 1])
        joined = np.reshape(lines.x, (len(rows), 3))
        np.testing.assert_array_equal(joined[:, 0], teachers.x)
        np.testing.assert_array_equal(joined[:, 1], students.x)
        assert np.isnan(joined[:, 2]).all()
        assert (teachers.marker.symbol, students.marker.symbol) == ("triangle-up", "circle")
        assert teachers.marker.color == students.marker.color == COLOURS[at]
        assert list(teachers.text) == list(students.text) == [NAMES[row] for row in rows]


def test_the_frames_move_every_class(figure: go.Figure) -> None:
    for epoch, frame in enumerate(figure.frames):
        assert list(frame.traces) == list(range(len(figure.data)))
        for at, name in enumerate(ORDER):
            _, teachers, students = frame.data[3 * at : 3 * at + 3]
            np.testing.assert_array_equal(teachers.y, points(0)[epoch, rows_of(name), 1])
            np.testing.assert_array_equal(students.x, points(1)[epoch, rows_of(name), 0])
    assert figure.layout.sliders[0].active == EPOCHS - 1


def test_the_legend_has_one_entry_a_class_that_hides_all_of_it(figure: go.Figure) -> None:
    assert figure.layout.showlegend
    shown = [trace.name for trace in figure.data if trace.showlegend]
    assert shown == ["&lt;b>fade&lt;/b>", "roll", "spin"]
    groups = [trace.legendgroup for trace in figure.data]
    assert groups == [name for name in ORDER for _ in range(3)]


def test_sides_are_named_in_the_title_and_by_the_pointer(figure: go.Figure) -> None:
    title = figure.layout.title
    assert title.text == "Pairs of teacher and student move together"
    assert title.subtitle.text == "▲ teacher   ● student   one colour: one class"
    assert figure.data[4].hovertemplate == "%{text}<extra>teacher, roll</extra>"
    assert figure.data[2].hovertemplate == "%{text}<extra>student, &lt;b>fade&lt;/b></extra>"
    plain = embedding_map(points(0), points(1), NAMES, sides=("teacher", "student"), title="T")
    assert plain.layout.title.text == "T"
    assert plain.layout.title.subtitle.text == "▲ teacher   ● student   one colour: one pair"
    assert [trace.name for trace in plain.data] == ["pair", "teacher", "student"]
    assert not plain.layout.showlegend


def test_more_classes_than_colours_that_all_eyes_tell_apart_still_differ() -> None:
    count = len(COLOURS) + 1
    figure = embedding_map(points(0), points(1), NAMES, classes=[f"{i % count}" for i in range(12)])
    shades = [trace.marker.color for trace in figure.data if trace.showlegend]
    assert shades == pair_colours(count)


def test_a_class_has_one_colour_and_one_entry_in_all_maps() -> None:
    maps = {f"run {at}": (points(at)[0], points(at + 9)[0]) for at in range(3)}
    figure = embedding_maps(maps, NAMES, **HERS)
    assert len(figure.data) == 27
    assert [trace.name for trace in figure.data if trace.showlegend] == [
        "&lt;b>fade&lt;/b>",
        "roll",
        "spin",
    ]
    for at in range(3):
        marked = [trace for trace in figure.data[9 * at : 9 * at + 9] if trace.mode == "markers"]
        assert [trace.marker.color for trace in marked] == [COLOURS[i // 2] for i in range(6)]
        assert {trace.xaxis for trace in marked} == {f"x{at + 1}" if at else "x"}
        np.testing.assert_array_equal(marked[2].x, points(at)[0, rows_of("roll"), 0])
    assert figure.layout.title.subtitle.text == "▲ teacher   ● student   one colour: one class"


def test_errors_name_the_sides() -> None:
    with pytest.raises(
        ValueError, match=r"embedding_map: expected one class per pair \(12\), got 11"
    ):
        embedding_map(points(0), points(1), NAMES, classes=CLASSES[1:])
    with pytest.raises(
        ValueError, match=r"embedding_map: teacher points and student points must be finite"
    ):
        embedding_map(points(0), points(1) * np.nan, NAMES, **HERS)
    with pytest.raises(
        ValueError, match=r"embedding_maps: 'a': expected one class per pair \(12\), got 0"
    ):
        embedding_maps({"a": (points(0)[0], points(1)[0])}, NAMES, classes=[])
