"""Class by class: where one run beats another (AMID's Figure 3), what is taken for what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray
from plotly.subplots import make_subplots

from kit.arguments import as_array, checked
from kit.figures.look import ABOVE, COLOURS, GREY, GRID, lay_out
from kit.figures.matrices import matrices

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

OURS, THEIRS = COLOURS[0], COLOURS[1]
CONFUSION = "What is taken for what"
LINE = 130  # characters of a subtitle that fit a page
MANY = 20  # with more classes, a row each is made lower
COUNTED = 16  # with more classes, counts in the cells of a confusion matrix cannot be read
# The first tenth is plain to see: most errors are few.
SHARE = ((0.0, "#FFFFFF"), (0.1, "#B9D9EC"), (0.5, "#3F97CB"), (1.0, "#00416A"))


class _Row(NamedTuple):
    """What is drawn of a class."""

    name: str
    ours: float
    theirs: float
    clips: int | None

    @property
    def gain(self) -> float:
        # Means of equal numbers may differ in the last bit.
        return round(self.ours - self.theirs, 9)


@checked
def class_bars(
    classes: Sequence[str],
    ours: ArrayLike,
    reference: ArrayLike,
    *,
    names: tuple[str, str],
    counts: Sequence[int] | NDArray[np.integer] | None = None,
    title: str = "Accuracy, class by class",
) -> go.Figure:
    """Draw the accuracy of two runs for each class, the class with the largest gain on top.

    On the left a point for each run, on the right their difference as a bar in the colour of the
    better one. Classes without a clip are named below the title and not drawn.

    Args:
        classes: (classes,) names.
        ours: (classes,) accuracy in percent; nan where a class does not occur.
        reference: (classes,) the same of the run to compare with.
        names: of our run and of the other one.
        counts: (classes,) clips of each class in the test; they stand behind its name, and the
            pointer says how many clips a difference is.
        title: what one sees.

    Raises:
        ValueError: a class twice or none that occurs, lengths that disagree, an accuracy outside of
            0 and 100, a class that only one of the runs was tested on, counts that disagree with
            that, names that do not differ.

    """
    rows = _rows(classes, ours, reference, names, counts)
    drawn = sorted((row for row in rows if not np.isnan(row.gain)), key=lambda row: -row.gain)
    if not drawn:
        raise ValueError("class_bars: expected at least one class that occurs")
    figure = make_subplots(
        cols=2, shared_yaxes=True, column_widths=[0.64, 0.36], horizontal_spacing=0.03
    )
    _add_points(figure, drawn, names)
    _add_gains(figure, drawn, names)
    labels = [row.name if row.clips is None else f"{row.name} ({row.clips})" for row in drawn]
    small = {"size": 12 if len(drawn) <= MANY else 10}
    figure.update_yaxes(tickvals=list(range(len(drawn))), ticktext=labels, tickfont=small)
    figure.update_yaxes(range=[len(drawn) - 0.4, -0.6], showgrid=False)
    figure.update_yaxes(ticks="", showline=False, col=2)
    subtitle = _summary(drawn, names, [row.name for row in rows if np.isnan(row.gain)])
    height = (24 if len(drawn) <= MANY else 16) * len(drawn)
    margin = (118 + 14 * subtitle.count("<br>"), 56)
    lay_out(figure, title, height, margin, subtitle=subtitle)
    figure.update_layout(legend=ABOVE | {"traceorder": "reversed"})
    return figure


@checked
def confusion_matrices(runs: Mapping[str, ArrayLike], classes: Sequence[str]) -> go.Figure:
    """Draw confusion matrices side by side on one scale: rows are true, columns predicted classes.

    The colour is the share of the true class, the pointer says how many clips that are; up to 16
    classes the cells say it too. Zooming into one matrix zooms into all. Classes without a clip are
    named below the title.

    Args:
        runs: name -> (classes, classes) numbers of clips by true class (row) and predicted class.
        classes: (classes,) names.

    Raises:
        ValueError: no matrix, one that does not fit the classes or holds no counts, matrices of
            different numbers of clips per class.

    """
    tables = {name: _counts(name, table, classes) for name, table in runs.items()}
    totals = _totals(tables)
    right = {name: 100 * table.trace() / totals.sum() for name, table in tables.items()}
    figure = matrices(
        {
            f"{name}: {right[name]:.1f} % right": 100 * table / np.maximum(totals, 1)[:, None]
            for name, table in tables.items()
        },
        title=CONFUSION,
        row_names=[f"{name} ({clips})" for name, clips in zip(classes, totals, strict=True)],
        column_names=classes,
        row_title="true class (clips)",
        column_title="predicted class",
    )
    few = len(classes) <= COUNTED
    for trace, table in zip(figure.data, tables.values(), strict=True):
        trace.update(
            text=[[str(cell) if cell else "" for cell in row] for row in table],
            texttemplate="%{text}" if few else None,
            textfont={"size": 10},
            customdata=_said_of_cells(table, classes, totals),
            hovertemplate="%{customdata}<extra></extra>",
            xgap=1 if few else 0.4,
            ygap=1 if few else 0.4,
        )
    absent = [name for name, clips in zip(classes, totals, strict=True) if clips == 0]
    small = {"size": 11 if few else 9}
    framed = {"showline": True, "mirror": True, "linecolor": GRID, "tickfont": small}
    figure.update_xaxes(tickangle=-90, **framed)
    for column in range(2, len(tables) + 1):  # the first cannot follow itself
        figure.update_xaxes(matches="x", col=column)
    figure.update_yaxes(title={"standoff": 6}, **framed)
    subtitle = "colour: share of the true class, in %" + _said_of_absent(absent)
    figure.update_layout(
        title={"subtitle": {"text": subtitle}},
        coloraxis={"colorscale": SHARE, "cmin": 0, "cmax": 100},
        margin={"t": 104 + 14 * subtitle.count("<br>")},
        height=figure.layout.height + 100,
    )
    return figure


def _add_points(figure: go.Figure, rows: Sequence[_Row], names: tuple[str, str]) -> None:
    """Two points a class, joined by a line."""
    at = list(range(len(rows)))
    ours, theirs = (
        np.array([getattr(row, side) for row in rows], dtype=np.float32)
        for side in ("ours", "theirs")
    )
    figure.add_scatter(
        x=np.stack([ours, theirs, np.full_like(ours, np.nan)], axis=1).ravel(),
        y=np.repeat(at, 3),
        mode="lines",
        line={"color": GREY, "width": 1.5},
        hoverinfo="skip",
        showlegend=False,
        row=1,
        col=1,
    )
    # Ours is drawn last and smaller: where both are equal, both are seen.
    for name, values, tone, symbol, size in (
        (names[1], theirs, THEIRS, "diamond", 11),
        (names[0], ours, OURS, "circle", 8),
    ):
        figure.add_scatter(
            x=values,
            y=at,
            mode="markers",
            name=name,
            marker={"color": tone, "symbol": symbol, "size": size},
            text=[row.name for row in rows],
            hovertemplate="%{text}: %{x:.1f} %<extra>" + name + "</extra>",
            cliponaxis=False,
            row=1,
            col=1,
        )
    figure.update_xaxes(range=[-2, 102], title={"text": "Accuracy in %", "standoff": 4}, col=1)


def _add_gains(figure: go.Figure, rows: Sequence[_Row], names: tuple[str, str]) -> None:
    """A bar a class, with its number at its end."""
    gains = np.array([row.gain for row in rows], dtype=np.float32)
    figure.add_bar(
        x=gains,
        y=list(range(len(rows))),
        orientation="h",
        width=0.7,
        marker={"color": [OURS if gain > 0 else THEIRS for gain in gains]},
        text=[f"{gain:+.1f}" if gain else "0" for gain in gains],
        textposition="outside",
        textfont={"size": 11 if len(rows) <= MANY else 9},
        cliponaxis=False,
        customdata=[_said_of_gain(row) for row in rows],
        hovertemplate="%{customdata}<extra></extra>",
        showlegend=False,
        row=1,
        col=2,
    )
    reach = 1.35 * max(float(np.abs(gains).max()), 1.0)
    figure.update_xaxes(
        range=[-reach, reach],
        title={"text": f"{names[0]} minus {names[1]}, in points", "standoff": 4},
        zeroline=True,
        zerolinecolor=GREY,
        col=2,
    )


def _said_of_gain(row: _Row) -> str:
    said = f"{row.name}: {row.ours:.1f} % and {row.theirs:.1f} %, {row.gain:+.1f} points"
    if row.clips is None:
        return said
    return f"{said}<br>{round(row.gain * row.clips / 100):+d} of {row.clips} clips"


def _summary(rows: Sequence[_Row], names: tuple[str, str], absent: Sequence[str]) -> str:
    better = sum(row.gain > 0 for row in rows)
    worse = sum(row.gain < 0 for row in rows)
    said = (
        f"{names[0]} is better in {better} of {len(rows)} classes, worse in {worse}, "
        f"equal in {len(rows) - better - worse}"
    )
    if rows[0].clips is not None:
        said = f"{said}   in brackets: clips in the test"
    return said + _said_of_absent(absent)


def _said_of_absent(absent: Sequence[str]) -> str:
    """Name the classes without a clip, on lines of their own."""
    if not absent:
        return ""
    return "<br>" + "<br>".join(wrap(f"no clip in the test: {', '.join(absent)}", LINE))


def _said_of_cells(table: Integers, classes: Sequence[str], totals: Integers) -> list[list[str]]:
    """What the pointer says of each cell."""
    return [
        [
            f"{true} taken for {predicted}<br>{clips} of {total} clips"
            + (f" ({100 * clips / total:.1f} %)" if total else "")
            for predicted, clips in zip(classes, row, strict=True)
        ]
        for true, row, total in zip(classes, table, totals, strict=True)
    ]


def _rows(
    classes: Sequence[str],
    ours: ArrayLike,
    reference: ArrayLike,
    names: tuple[str, str],
    counts: Sequence[int] | NDArray[np.integer] | None,
) -> list[_Row]:
    name = "class_bars"
    mine, theirs = (np.asarray(values, dtype=np.float64) for values in (ours, reference))
    if mine.shape != (len(classes),) or mine.shape != theirs.shape:
        raise ValueError(
            f"{name}: expected an accuracy per class ({len(classes)}) of each run, "
            f"got shapes {mine.shape} and {theirs.shape}"
        )
    if len(set(classes)) != len(classes) or names[0] == names[1]:
        raise ValueError(f"{name}: expected classes that differ and two names that differ")
    known = np.concatenate([mine, theirs])
    known = known[~np.isnan(known)]
    if ((known < 0) | (known > 100)).any():
        raise ValueError(
            f"{name}: expected accuracies from 0 to 100, got {known.min():.4g} to {known.max():.4g}"
        )
    unlike = np.isnan(mine) != np.isnan(theirs)
    if unlike.any():
        raise ValueError(
            f"{name}: expected runs tested on the same classes, only one of them has "
            f"{[one for one, wrong in zip(classes, unlike, strict=True) if wrong]}"
        )
    clips = [None] * len(classes)
    if counts is not None:
        array = as_array(name, "counts", counts)
        if array.shape != (len(classes),) or array.dtype.kind not in "iu":
            came = f"{array.shape} of {array.dtype}"
            raise ValueError(f"{name}: expected {len(classes)} counts, whole numbers, got {came}")
        clips = array.tolist()
    rows = [_Row(*row) for row in zip(classes, mine.tolist(), theirs.tolist(), clips, strict=True)]
    wrong = [r.name for r in rows if r.clips is not None and (r.clips > 0) == np.isnan(r.gain)]
    if wrong:
        raise ValueError(f"{name}: expected clips where there is an accuracy, not so in {wrong}")
    return rows


def _counts(name: str, table: ArrayLike, classes: Sequence[str]) -> Integers:
    counts = np.asarray(table)
    if counts.shape != (len(classes), len(classes)) or len(classes) == 0:
        raise ValueError(
            f"confusion_matrices: {name!r}: expected shape ({len(classes)}, {len(classes)}), "
            f"a row and a column per class, got {counts.shape}"
        )
    if counts.dtype.kind not in "iu" or (counts < 0).any():
        raise ValueError(
            f"confusion_matrices: {name!r}: expected counts, got {counts.dtype} from "
            f"{counts.min()} on"
        )
    return counts.astype(np.int64)


def _totals(tables: Mapping[str, Integers]) -> Integers:
    """Clips per true class, the same in every run."""
    if not tables:
        raise ValueError("confusion_matrices: expected at least one matrix")
    rows = [table.sum(axis=1) for table in tables.values()]
    first: Integers = rows[0]
    if first.sum() == 0 or any((row != first).any() for row in rows):
        raise ValueError(
            "confusion_matrices: expected runs tested on the same clips, at least one, got "
            f"{[int(table.sum()) for table in tables.values()]} clips, per class not alike"
        )
    return first
