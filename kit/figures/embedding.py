"""The embedding map: pairs of points in the plane, epoch by epoch.

ITMeetsAL's Figure 6 has images and sentences; of AMID it shows a clip's teacher and student.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray
from plotly.subplots import make_subplots

from kit.arguments import checked
from kit.figures.look import (
    COLOURS,
    GREY,
    add_panel_title,
    float32,
    lay_out,
    pair_colours,
    play_button,
    slider,
)

Points = NDArray[np.float32]

IMAGE_AND_SENTENCE = ("image", "sentence")
PLAIN = {"showticklabels": False, "ticks": "", "showgrid": False, "mirror": True}


class _Pairs(NamedTuple):
    """What the points are, apart from where they are."""

    names: Sequence[str]
    sides: tuple[str, str]
    classes: Sequence[str] | None

    @property
    def groups(self) -> dict[str, list[int]]:
        """Which are drawn together: those of a class, in the order of the classes' names."""
        if self.classes is None:
            return {"": list(range(len(self.names)))}
        groups: dict[str, list[int]] = {name: [] for name in sorted(set(self.classes))}
        for row, name in enumerate(self.classes):
            groups[name].append(row)
        return groups


@checked
def embedding_map(
    first_points: ArrayLike,
    second_points: ArrayLike,
    names: Sequence[str],
    *,
    sides: tuple[str, str] = IMAGE_AND_SENTENCE,
    classes: Sequence[str] | None = None,
    epochs: Sequence[int] | None = None,
    title: str | None = None,
) -> go.Figure:
    """Draw pairs of points with a slider over the epochs; the last epoch is shown first.

    A triangle is one side of a pair, a circle the other; a line joins them. Each pair has a colour,
    or each class, which then stands in a legend: a click there hides a class, a double click all
    others. The axes stay the same in all epochs.

    Args:
        first_points: (epochs, pairs, 2) of the triangles, as `project_epochs` makes them.
        second_points: (epochs, pairs, 2) of the circles, the same pairs in the same order.
        names: what the pointer shows of each pair: its caption, its file.
        sides: what a triangle is and what a circle is.
        classes: the class of each pair; up to seven have colours that colour-blind eyes tell
            apart, the pointer names the class in any case.
        epochs: the number on each step of the slider; 0, 1, ... if not given.
        title: what one sees; that pairs move together if not given.

    Raises:
        ValueError: points of another shape or not finite; names, classes or epochs that do not fit
            them.

    """
    first, second = float32(first_points), float32(second_points)
    steps = (
        list(range(len(np.atleast_1d(first)))) if epochs is None else [int(one) for one in epochs]
    )
    pairs = _Pairs(names, sides, classes)
    _check("embedding_map", first, second, pairs, steps)
    groups, last = pairs.groups, len(steps) - 1
    figure = go.Figure(
        data=_traces(first[last], second[last], pairs),
        frames=[
            go.Frame(
                name=str(step),
                data=[
                    trace
                    for rows in groups.values()
                    for trace in _moved(first[at, rows], second[at, rows])
                ],
                traces=list(range(3 * len(groups))),
            )
            for at, step in enumerate(steps)
        ],
    )
    (x_low, y_low), (x_high, y_high) = _frame_around(np.concatenate([first, second], axis=1))
    figure.update_xaxes(range=[x_low, x_high], **PLAIN)
    figure.update_yaxes(range=[y_low, y_high], scaleanchor="x", **PLAIN)
    if title is None:
        title = f"Pairs of {sides[0]} and {sides[1]} move together"
    _lay_out(figure, title, 532, 84, pairs)
    if len(steps) > 1:
        labels = [str(step) for step in steps]
        figure.update_layout(
            sliders=[slider(labels, prefix="Epoch ", active=last)], updatemenus=[play_button()]
        )
    return figure


@checked
def embedding_maps(
    maps: Mapping[str, tuple[ArrayLike, ArrayLike]],
    names: Sequence[str],
    *,
    sides: tuple[str, str] = IMAGE_AND_SENTENCE,
    classes: Sequence[str] | None = None,
    title: str = "The same pairs, run by run",
) -> go.Figure:
    """Draw the same pairs as several runs place them, two maps in a row (ITMeetsAL's Figure 6).

    Args:
        maps: run -> points of the triangles and of the circles, each (pairs, 2), the same pairs in
            each.
        names: what the pointer shows of each pair.
        sides: as in `embedding_map`.
        classes: as in `embedding_map`; a click in the legend hides a class in every map.
        title: what one sees.

    Raises:
        ValueError: no map; points of another shape or not finite; names or classes that do not fit
            them.

    """
    if not maps:
        raise ValueError("embedding_maps: expected at least one map")
    pairs, columns = _Pairs(names, sides, classes), min(2, len(maps))
    rows = -(-len(maps) // columns)
    figure = make_subplots(
        rows=rows, cols=columns, horizontal_spacing=0.03, vertical_spacing=0.12 / rows
    )
    for at, (run, points) in enumerate(maps.items()):
        where = {"row": at // columns + 1, "col": at % columns + 1}
        first, second = (float32(one)[None] for one in points)
        _check(f"embedding_maps: {run!r}", first, second, pairs, [0])
        for trace in _traces(first[0], second[0], pairs):
            if at:
                trace.showlegend = False
            figure.add_trace(trace, **where)
        across = figure.get_subplot(**where).xaxis.plotly_name.replace("axis", "")
        figure.update_yaxes(scaleanchor=across, **where)
        add_panel_title(figure, run, **where)
    figure.update_xaxes(**PLAIN)
    figure.update_yaxes(**PLAIN)
    _lay_out(figure, title, 390 * rows - 34, 100, pairs)
    return figure


def _lay_out(figure: go.Figure, title: str, plot: int, top: int, pairs: _Pairs) -> None:
    one_colour = "pair" if pairs.classes is None else "class"
    said = f"▲ {pairs.sides[0]}   ● {pairs.sides[1]}   one colour: one {one_colour}"
    lay_out(figure, title, plot, (top, 24), subtitle=said)
    figure.update_layout(
        margin={"l": 24, "r": 24},
        showlegend=pairs.classes is not None,
        legend={"tracegroupgap": 0, "font": {"size": 11}},
    )


def _check(where: str, first: Points, second: Points, pairs: _Pairs, steps: Sequence[int]) -> None:
    names, (one, other), classes = pairs
    which = f"{one} points and {other} points"
    if first.ndim != 3 or first.shape[2] != 2 or 0 in first.shape or first.shape != second.shape:
        raise ValueError(
            f"{where}: {which} must have the same shape "
            f"(epochs, pairs, 2), got {first.shape} and {second.shape}"
        )
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise ValueError(f"{where}: {which} must be finite")
    if len(names) != first.shape[1]:
        raise ValueError(
            f"{where}: expected one name per pair ({first.shape[1]}), got {len(names)}"
        )
    if classes is not None and len(classes) != len(names):
        raise ValueError(f"{where}: expected one class per pair ({len(names)}), got {len(classes)}")
    if len(steps) != len(first) or len(set(steps)) != len(steps):
        raise ValueError(
            f"{where}: expected {len(first)} different epochs, one per map, got {steps}"
        )


def _traces(first: Points, second: Points, pairs: _Pairs) -> list[go.Scatter]:
    """Lines, triangles and circles of one group after the other."""
    names, sides, classes = pairs
    groups = pairs.groups
    traces = []
    shades = COLOURS if len(groups) <= len(COLOURS) else pair_colours(len(groups))
    for at, (group, rows) in enumerate(groups.items()):
        colours = pair_colours(len(names)) if classes is None else shades[at]
        lines, triangles, circles = _moved(first[rows], second[rows])
        lines.update(mode="lines", line={"color": GREY, "width": 1}, opacity=0.45, hoverinfo="skip")
        lines.update(name="pair", legendgroup=group, showlegend=False)
        for trace, side, symbol, size in (
            (triangles, sides[0], "triangle-up", 12),
            (circles, sides[1], "circle", 10),
        ):
            edge = {"color": "white", "width": 1}
            of_class = "" if classes is None else f", {_escaped(group)}"
            trace.update(
                mode="markers",
                name=side if classes is None else _escaped(group),
                legendgroup=group,
                showlegend=symbol == "circle",
                marker={"color": colours, "symbol": symbol, "size": size, "line": edge},
                text=[_escaped(names[row]) for row in rows],
                hovertemplate=f"%{{text}}<extra>{side}{of_class}</extra>",
            )
        traces += [lines, triangles, circles]
    return traces


def _moved(first: Points, second: Points) -> list[go.Scatter]:
    """Only what changes between epochs: the coordinates of the lines, triangles and circles."""
    gap = np.full_like(first, np.nan)
    joined = np.stack([first, second, gap], axis=1).reshape(-1, 2)
    return [go.Scatter(x=points[:, 0], y=points[:, 1]) for points in (joined, first, second)]


def _escaped(name: str) -> str:
    """Plotly reads hover texts as HTML; long ones are broken at words."""
    lines, line = [], ""
    for word in name.split():
        if line and len(line) + len(word) > 60:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}".strip()
    safe = (one.replace("&", "&amp;").replace("<", "&lt;") for one in [*lines, line])
    return "<br>".join(safe)


def _frame_around(points: Points) -> tuple[list[float], list[float]]:
    """Limits that hold every epoch, with a little air."""
    flat = points.reshape(-1, 2)
    low, high = flat.min(axis=0), flat.max(axis=0)
    air = 0.05 * max(float((high - low).max()), 1e-6)
    return (low - air).tolist(), (high + air).tolist()
