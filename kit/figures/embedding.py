"""The embedding map: pairs of an image and a sentence in the plane, epoch by epoch (Figure 6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray
from plotly.subplots import make_subplots

from kit.figures.look import GREY, TEMPLATE, add_panel_title, pair_colours, play_button, slider

Points = NDArray[np.float32]

LEGEND = "▲ image   ● sentence   one colour: one pair"


def embedding_map(
    image_points: ArrayLike,
    text_points: ArrayLike,
    names: Sequence[str],
    *,
    epochs: Sequence[int] | None = None,
    title: str = "Pairs of image and sentence move together",
) -> go.Figure:
    """Draw pairs of points with a slider over the epochs; the last epoch is shown first.

    A triangle is an image, a circle a sentence; a pair has one colour and a line between its two
    points. The axes stay the same in all epochs.

    Args:
        image_points: (epochs, pairs, 2), as `project_epochs` makes them.
        text_points: (epochs, pairs, 2), the same pairs in the same order.
        names: what the pointer shows of each pair: its caption, its file.
        epochs: the number on each step of the slider; 0, 1, ... if not given.
        title: what one sees.

    Raises:
        ValueError: points of another shape or not finite; names or epochs that do not fit them.

    """
    image = np.asarray(image_points, dtype=np.float32)
    text = np.asarray(text_points, dtype=np.float32)
    steps = list(range(len(image))) if epochs is None else [int(one) for one in epochs]
    _check("embedding_map", image, text, names, steps)
    colours = pair_colours(len(names))
    last = len(steps) - 1
    figure = go.Figure(
        data=_traces(image[last], text[last], names, colours),
        frames=[
            go.Frame(name=str(step), data=_moved(image[at], text[at]), traces=[0, 1, 2])
            for at, step in enumerate(steps)
        ],
    )
    bare = {"showticklabels": False, "ticks": "", "showgrid": False, "mirror": True}
    (x_low, y_low), (x_high, y_high) = _frame_around(np.concatenate([image, text], axis=1))
    figure.update_xaxes(range=[x_low, x_high], **bare)
    figure.update_yaxes(range=[y_low, y_high], scaleanchor="x", **bare)
    figure.update_layout(
        template=TEMPLATE,
        title={"text": title, "subtitle": {"text": LEGEND}},
        height=640,
        margin={"l": 24, "r": 24, "t": 84, "b": 24},
        showlegend=False,
        hovermode="closest",
    )
    if len(steps) > 1:
        labels = [str(step) for step in steps]
        figure.update_layout(
            sliders=[slider(labels, prefix="Epoch ", active=last)], updatemenus=[play_button()]
        )
    return figure


def embedding_maps(
    maps: Mapping[str, tuple[ArrayLike, ArrayLike]],
    names: Sequence[str],
    *,
    title: str = "The same pairs, run by run",
) -> go.Figure:
    """Draw the same pairs as several runs place them, two maps in a row (Figure 6).

    Args:
        maps: run -> (image_points, text_points), each (pairs, 2), the same pairs in each.
        names: what the pointer shows of each pair.
        title: what one sees.

    Raises:
        ValueError: no map; points of another shape or not finite; names that do not fit them.

    """
    if not maps:
        raise ValueError("embedding_maps: expected at least one map")
    columns = min(2, len(maps))
    rows = -(-len(maps) // columns)
    figure = make_subplots(
        rows=rows, cols=columns, horizontal_spacing=0.03, vertical_spacing=0.12 / rows
    )
    colours = pair_colours(len(names))
    for at, (run, points) in enumerate(maps.items()):
        where = {"row": at // columns + 1, "col": at % columns + 1}
        image, text = (np.asarray(one, dtype=np.float32)[None] for one in points)
        _check(f"embedding_maps: {run!r}", image, text, names, [0])
        for trace in _traces(image[0], text[0], names, colours):
            figure.add_trace(trace, **where)
        across = figure.get_subplot(**where).xaxis.plotly_name.replace("axis", "")
        figure.update_yaxes(scaleanchor=across, **where)
        add_panel_title(figure, run, **where)
    bare = {"showticklabels": False, "ticks": "", "showgrid": False, "mirror": True}
    figure.update_xaxes(**bare)
    figure.update_yaxes(**bare)
    figure.update_layout(
        template=TEMPLATE,
        title={"text": title, "subtitle": {"text": LEGEND}},
        height=390 * rows + 90,
        margin={"l": 24, "r": 24, "t": 100, "b": 24},
        showlegend=False,
        hovermode="closest",
    )
    return figure


def _check(
    where: str, image: Points, text: Points, names: Sequence[str], steps: Sequence[int]
) -> None:
    if image.ndim != 3 or image.shape[2] != 2 or 0 in image.shape or image.shape != text.shape:
        raise ValueError(
            f"{where}: image_points and text_points must have the same shape "
            f"(epochs, pairs, 2), got {image.shape} and {text.shape}"
        )
    if not (np.isfinite(image).all() and np.isfinite(text).all()):
        raise ValueError(f"{where}: image_points and text_points must be finite")
    if len(names) != image.shape[1]:
        raise ValueError(
            f"{where}: expected one name per pair ({image.shape[1]}), got {len(names)}"
        )
    if len(steps) != len(image) or len(set(steps)) != len(steps):
        raise ValueError(
            f"{where}: expected {len(image)} different epochs, one per map, got {steps}"
        )


def _traces(
    image: Points, text: Points, names: Sequence[str], colours: Sequence[str]
) -> list[go.Scatter]:
    lines, images, texts = _moved(image, text)
    lines.update(
        mode="lines", line={"color": GREY, "width": 1}, opacity=0.45, hoverinfo="skip", name="pair"
    )
    for trace, name, symbol, size in (
        (images, "image", "triangle-up", 12),
        (texts, "sentence", "circle", 10),
    ):
        edge = {"color": "white", "width": 1}
        trace.update(
            mode="markers",
            name=name,
            marker={"color": colours, "symbol": symbol, "size": size, "line": edge},
            text=[_escaped(one) for one in names],
            hovertemplate="%{text}<extra>" + name + "</extra>",
        )
    return [lines, images, texts]


def _moved(image: Points, text: Points) -> list[go.Scatter]:
    """Only what changes between epochs: the coordinates of the lines, images and sentences."""
    gap = np.full_like(image, np.nan)
    joined = np.stack([image, text, gap], axis=1).reshape(-1, 2)
    return [go.Scatter(x=points[:, 0], y=points[:, 1]) for points in (joined, image, text)]


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
