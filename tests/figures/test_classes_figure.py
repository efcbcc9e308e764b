"""Class by class: sorted by what is gained, absent classes said, counts beside shares."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from kit.figures import class_bars, confusion_matrices
from kit.figures.classes import COUNTED, OURS, THEIRS

CLASSES = ["pour", "spin", "fade", "roll", "grow"]
ACCURACY = [50.0, 80.0, np.nan, 60.0, 25.0]
REFERENCE = [70.0, 40.0, np.nan, 60.0, 20.0]
COUNTS = [10, 5, 0, 15, 20]
SORTED = ["spin", "grow", "roll", "pour"]  # +40, +5, 0, -20
NAMES = ("AMID", "MI alone")


def bars(**other: Any) -> go.Figure:
    given = {"classes": CLASSES, "ours": ACCURACY, "reference": REFERENCE, "names": NAMES}
    return class_bars(**{**given, **other})  # type: ignore[arg-type]


def test_classes_stand_from_the_largest_gain_down_and_absent_ones_not_at_all() -> None:
    figure = bars()
    joined, theirs, ours, gains = figure.data
    assert figure.layout.yaxis.ticktext == tuple(SORTED)
    assert figure.layout.yaxis.tickvals == (0, 1, 2, 3)
    assert figure.layout.yaxis.range == (3.6, -0.6)  # 0 is on top, all four are seen
    np.testing.assert_array_equal(ours.x, [80, 25, 60, 50])
    np.testing.assert_array_equal(theirs.x, [40, 20, 60, 70])
    np.testing.assert_array_equal(gains.x, [40, 5, 0, -20])
    for trace in (ours, theirs, gains):
        np.testing.assert_array_equal(trace.y, [0, 1, 2, 3])
        assert trace.x.dtype == np.float32
    np.testing.assert_array_equal(joined.x, np.ravel([(o, t, np.nan) for o, t in SIDES]))
    assert (ours.name, theirs.name) == NAMES
    assert gains.text == ("+40.0", "+5.0", "0", "-20.0")
    assert "http" not in figure.to_json()


SIDES = [(80, 40), (25, 20), (60, 60), (50, 70)]


def test_equal_gains_keep_the_order_of_the_classes() -> None:
    figure = class_bars(["c", "a", "b"], [1, 2, 3], [0, 1, 2], names=NAMES)
    assert figure.layout.yaxis.ticktext == ("c", "a", "b")


def test_means_of_equal_numbers_are_equal() -> None:
    """Over seeds they may differ in the last bit."""
    figure = class_bars(["a", "b"], [0.1 + 0.2, 2.0], [0.3, 1.0], names=NAMES)
    assert figure.data[3].text == ("+1.0", "0")
    assert "better in 1 of 2 classes, worse in 0, equal in 1" in figure.layout.title.subtitle.text


def test_a_bar_has_the_colour_of_the_better_run_and_the_symbols_differ() -> None:
    _, theirs, ours, gains = bars().data
    assert gains.marker.color == (OURS, OURS, THEIRS, THEIRS)  # the bar of the third has no length
    assert (ours.marker.color, theirs.marker.color) == (OURS, THEIRS)
    assert ours.marker.symbol != theirs.marker.symbol
    assert ours.marker.size < theirs.marker.size  # both are seen where they are equal


def test_the_title_counts_and_names_the_classes_that_do_not_occur() -> None:
    layout = bars(title="Where").layout
    assert layout.title.text == "Where"
    assert layout.title.subtitle.text == (
        "AMID is better in 2 of 4 classes, worse in 1, equal in 1<br>no clip in the test: fade"
    )
    whole = class_bars(["a"], [1.0], [2.0], names=NAMES).layout
    assert "no clip" not in whole.title.subtitle.text
    assert layout.margin.t > whole.margin.t


def test_counts_are_written_and_a_difference_is_said_in_clips() -> None:
    figure = bars(counts=COUNTS)
    assert figure.layout.yaxis.ticktext == ("spin (5)", "grow (20)", "roll (15)", "pour (10)")
    assert "in brackets: clips in the test" in figure.layout.title.subtitle.text
    said = figure.data[-1].customdata
    assert said[0] == "spin: 80.0 % and 40.0 %, +40.0 points<br>+2 of 5 clips"
    assert said[3] == "pour: 50.0 % and 70.0 %, -20.0 points<br>-2 of 10 clips"
    assert "clips" not in bars().data[-1].customdata[0]


def test_fifty_one_classes_have_a_row_each_that_can_be_read() -> None:
    many = [f"class {at}" for at in range(51)]
    layout = class_bars(many, np.linspace(0, 100, 51), np.full(51, 50.0), names=NAMES).layout
    assert len(layout.yaxis.ticktext) == 51
    row = (layout.height - layout.margin.t - layout.margin.b) / 51
    assert row >= 1.4 * layout.yaxis.tickfont.size
    absent = class_bars(many, [1.0] + [np.nan] * 50, [1.0] + [np.nan] * 50, names=NAMES).layout
    lines = absent.title.subtitle.text.split("<br>")
    assert max(map(len, lines)) <= 130
    assert all(name in " ".join(lines) for name in many[1:])
    assert absent.margin.t >= 104 + 14 * (len(lines) - 1)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"ours": [1.0]}, r"class_bars: expected an accuracy per class \(5\) .* \(1,\) and \(5,\)"),
        ({"reference": [REFERENCE]}, r"class_bars: expected .* shapes \(5,\) and \(1, 5\)"),
        ({"classes": ["a"] * 5}, r"class_bars: expected classes that differ and two names"),
        ({"names": ("a", "a")}, r"class_bars: expected classes that differ and two names that di"),
        ({"ours": [50.0, 101.0, np.nan, 1, 1]}, r"accuracies from 0 to 100, got 1 to 101"),
        ({"ours": [50.0, -1.0, np.nan, 1, 1]}, r"accuracies from 0 to 100, got -1 to 70"),
        ({"ours": [50.0, np.nan, 1.0, 1, 1]}, r"only one of them has \['spin', 'fade'\]"),
        ({"counts": COUNTS[1:]}, r"class_bars: expected 5 counts, whole numbers, got \(4,\)"),
        ({"counts": [0, 5, 1, 15, 20]}, r"clips where there is an accuracy, .* \['pour', 'fade'\]"),
        (dict.fromkeys(("ours", "reference"), [np.nan] * 5), r"at least one class that occurs"),
    ],
)
def test_errors_of_bars_are_named(other: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bars(**other)


# ---- what is taken for what

STUDENT = np.array([[3, 1, 0], [0, 0, 0], [1, 2, 3]])
TEACHER = np.array([[4, 0, 0], [0, 0, 0], [0, 1, 5]])
THREE = ["pour", "spin", "fade"]


def test_colours_are_shares_of_the_true_class_on_one_scale_and_cells_say_counts() -> None:
    figure = confusion_matrices({"student": STUDENT, "teacher": TEACHER}, THREE)
    student, teacher = figure.data
    np.testing.assert_allclose(
        student.z, [[75, 25, 0], [0, 0, 0], [100 / 6, 200 / 6, 50]], rtol=1e-6
    )
    np.testing.assert_allclose(
        teacher.z, [[100, 0, 0], [0, 0, 0], [0, 100 / 6, 500 / 6]], rtol=1e-6
    )
    assert [*map(tuple, student.text)] == [("3", "1", ""), ("", "", ""), ("1", "2", "3")]
    assert student.texttemplate == teacher.texttemplate == "%{text}"
    assert {trace.coloraxis for trace in figure.data} == {"coloraxis"}
    axis = figure.layout.coloraxis
    assert (axis.cmin, axis.cmax, axis.colorscale[0]) == (0, 100, (0.0, "#FFFFFF"))
    titles = [a.text for a in figure.layout.annotations]
    assert titles == ["<b>student: 60.0 % right</b>", "<b>teacher: 90.0 % right</b>"]
    assert "http" not in figure.to_json()


def test_rows_are_true_columns_predicted_and_the_pointer_says_all_of_it() -> None:
    figure = confusion_matrices({"student": STUDENT}, THREE)
    layout, hover = figure.layout, figure.data[0].customdata
    assert layout.yaxis.ticktext == ("pour (4)", "spin (0)", "fade (6)")
    assert layout.xaxis.ticktext == tuple(THREE)
    assert layout.yaxis.title.text == "true class (clips)"
    assert layout.xaxis.title.text == "predicted class"
    assert hover[2][1] == "fade taken for spin<br>2 of 6 clips (33.3 %)"
    assert hover[1][0] == "spin taken for pour<br>0 of 0 clips"
    assert figure.data[0].hovertemplate == "%{customdata}<extra></extra>"
    assert layout.coloraxis.cmax == 100  # though no share reaches it
    assert layout.title.subtitle.text == (
        "colour: share of the true class, in %<br>no clip in the test: spin"
    )


def test_zooming_into_one_zooms_into_all() -> None:
    layout = confusion_matrices({"student": STUDENT, "teacher": TEACHER}, THREE).layout
    assert (layout.xaxis2.matches, layout.yaxis2.matches) == ("x", "y")
    assert (layout.xaxis.matches, layout.yaxis.matches) == (None, None)  # an endless loop


@pytest.mark.parametrize(("count", "shown"), [(COUNTED, "%{text}"), (51, None)])
def test_counts_stand_in_the_cells_where_they_can_be_read(count: int, shown: str | None) -> None:
    names = [f"class {at}" for at in range(count)]
    figure = confusion_matrices({"student": np.eye(count, dtype=int)}, names)
    assert figure.data[0].texttemplate == shown
    assert len(figure.layout.yaxis.ticktext) >= count / 2


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ({}, r"confusion_matrices: expected at least one matrix"),
        ({"a": STUDENT[:2]}, r"'a': expected shape \(3, 3\), .* got \(2, 3\)"),
        ({"a": STUDENT / 2}, r"confusion_matrices: 'a': expected counts, got float64"),
        ({"a": -STUDENT}, r"confusion_matrices: 'a': expected counts, got int64 from -3 on"),
        ({"a": 0 * STUDENT}, r"tested on the same clips, at least one, got \[0\] clips"),
        ({"a": STUDENT, "b": STUDENT.T}, r"on the same clips, .* got \[10, 10\] clips"),
    ],
)
def test_errors_of_matrices_are_named(runs: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        confusion_matrices(runs, THREE)
