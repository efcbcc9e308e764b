"""Curves over one axis, panel by panel: what a formula does, what a dial changes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray
from PIL import ImageColor
from plotly.subplots import make_subplots

from kit.arguments import checked
from kit.figures.look import GREY, add_panel_title, add_reference, colour, lay_out

Floats = NDArray[np.float64]
Values = Sequence[float | None] | ArrayLike
Rows = Mapping[str, Mapping[str, Floats]]  # panel -> curve -> (seeds, points)

PLOT_HEIGHT = 300


@checked
def curves(
    x: ArrayLike,
    panels: Mapping[str, Mapping[str, ArrayLike]],
    *,
    title: str,
    x_title: str,
    references: Mapping[str, Mapping[str, float]] | None = None,
    shaded: Mapping[str, tuple[float, float]] | None = None,
    grey: Collection[str] = (),
    markers: bool = False,
) -> go.Figure:
    """Draw curves over the same axis, one panel beside the other.

    A curve has the same colour in every panel. One that was measured with several seeds is drawn as
    their mean, in a band that reaches from the lowest seed to the highest; the figure says so below
    its title. With the three to five seeds of a report that is all that was seen, and claims no
    distribution.

    Args:
        x: (points,) finite numbers that all curves share.
        panels: panel -> curve -> (points,) values, or (seeds, points); nan leaves a gap, and where
            one seed has nan all must.
        title: what one sees.
        x_title: what `x` is, with its unit.
        references: panel -> label -> the height of a dashed line to compare with.
        shaded: label -> beginning and end of a stretch of the axis, shaded in every panel.
        grey: curves to be drawn in grey and dotted: the paper's.
        markers: whether the points themselves are shown, because only they were measured.

    Raises:
        ValueError: no panel or no curve, a curve of another length than `x` or without a seed, a
            point that only some of the seeds have, an infinite value, a reference for a panel or a
            name in `grey` that is not there, a shaded stretch that does not end after it begins.

    """
    across = np.asarray(x, dtype=np.float64)
    if across.ndim != 1 or len(across) == 0 or not np.isfinite(across).all():
        raise ValueError(f"curves: x must be (points,) and finite, got shape {across.shape}")
    if not panels or not all(panels.values()):
        raise ValueError("curves: expected at least one panel and a curve in each")
    rows = {
        panel: {
            name: _checked(f"curves: {panel!r}, {name!r}", values, len(across))
            for name, values in by_name.items()
        }
        for panel, by_name in panels.items()
    }
    style = _Style(references or {}, shaded or {}, grey, markers)
    return _drawn(across, rows, style, title, x_title)


class _Style(NamedTuple):
    references: Mapping[str, Mapping[str, float]]
    shaded: Mapping[str, tuple[float, float]]
    grey: Collection[str]
    markers: bool


def _drawn(x: Floats, panels: Rows, style: _Style, title: str, x_title: str) -> go.Figure:
    """One panel beside the other; each curve is (seeds, points)."""
    names = list(dict.fromkeys(name for by_name in panels.values() for name in by_name))
    _check_style(style, panels, names)
    coloured = [name for name in names if name not in style.grey]
    figure = make_subplots(cols=len(panels), horizontal_spacing=0.1)
    shown: set[str] = set()
    for column, (panel, by_name) in enumerate(panels.items(), start=1):
        where = {"row": 1, "col": column}
        for name, rows in by_name.items():
            aside = name in style.grey
            tone = GREY if aside else colour(coloured.index(name))
            line = {"color": tone, "dash": "dot" if aside else "solid", "width": 2}
            mode = "lines+markers" if style.markers else "lines"
            traces = _traces(x, rows, {"line": line, "mode": mode})
            traces[-1].update(name=name, showlegend=name not in shown)
            for trace in traces:
                figure.add_trace(trace.update(legendgroup=name), **where)
            shown.add(name)
        for label, height in style.references.get(panel, {}).items():
            add_reference(figure, label, height, **where)
        for label, (start, end) in style.shaded.items():
            figure.add_vrect(
                x0=start,
                x1=end,
                fillcolor=GREY,
                opacity=0.14,
                line_width=0,
                layer="below",
                annotation={"text": label, "font": {"size": 11, "color": GREY}},
                annotation_position="top left",
                **where,
            )
        add_panel_title(figure, panel, **where)
    _lay_out(figure, title, x_title, len(names), _said_of_seeds(panels))
    return figure


def _lay_out(figure: go.Figure, title: str, x_title: str, names: int, seeds: str) -> None:
    """Titles, and room for the legend below panels that keep their height."""
    figure.update_xaxes(title={"text": x_title, "standoff": 6})
    figure.update_yaxes(exponentformat="power")
    lines = -(-names // 4) if names > 1 else 0
    margin = (104 if seeds else 84, 60 + 24 * lines)
    lay_out(figure, title, PLOT_HEIGHT, margin, subtitle=seeds)
    figure.update_layout(
        hovermode="x unified",
        showlegend=names > 1,
        legend={"orientation": "h", "x": 0, "y": -48 / PLOT_HEIGHT, "yanchor": "top"},
    )


def _traces(x: Floats, rows: Floats, look: dict[str, Any]) -> list[go.Scatter]:
    """A line, and of several seeds their band, which comes first: under the line."""
    middle = rows.mean(axis=0)
    line = go.Scatter(
        x=x.astype(np.float32), y=middle.astype(np.float32), hovertemplate="%{y:.4g}", **look
    )
    if len(rows) == 1:
        return [line]
    low, high = rows.min(axis=0), rows.max(axis=0)
    line.update(
        text=[f"{a:.4g} to {b:.4g}" for a, b in zip(low, high, strict=True)],
        hovertemplate="%{y:.4g} (%{text})",
    )
    # One polygon per stretch without gaps: there along the top, back along the bottom.
    measured = np.flatnonzero(np.isfinite(middle))
    stretches = np.split(measured, np.flatnonzero(np.diff(measured) > 1) + 1)
    around_x = [np.concatenate([x[at], x[at][::-1], [np.nan]]) for at in stretches]
    around_y = [np.concatenate([high[at], low[at][::-1], [np.nan]]) for at in stretches]
    band = go.Scatter(
        x=np.concatenate(around_x).astype(np.float32),
        y=np.concatenate(around_y).astype(np.float32),
        mode="lines",
        line={"width": 0},
        fill="toself",
        fillcolor=f"rgba{(*ImageColor.getrgb(look['line']['color']), 0.18)}",
        hoverinfo="skip",
        showlegend=False,
    )
    return [band, line]


def _said_of_seeds(panels: Rows) -> str:
    """What lines and bands are; nothing where every curve is of one seed."""
    counts = sorted({len(rows) for by_name in panels.values() for rows in by_name.values()})
    several = " or ".join(str(count) for count in counts if count > 1)
    if not several:
        return ""
    said = f"line: mean of {several} seeds   band: from the lowest to the highest"
    return f"{said}   no band: one seed" if 1 in counts else said


def _check_style(style: _Style, panels: Rows, names: Collection[str]) -> None:
    unknown = sorted({*style.references} - {*panels})
    if unknown:
        raise ValueError(f"curves: references for panels that are not there: {unknown}")
    missing = sorted({*style.grey} - {*names})
    if missing:
        raise ValueError(f"curves: grey names curves that are not there: {missing}")
    for label, (start, end) in style.shaded.items():
        if not -np.inf < start < end < np.inf:
            raise ValueError(
                f"curves: shaded {label!r}: expected an end after its beginning, "
                f"got {start} and {end}"
            )


def numbers(which: str, values: Values) -> Floats:
    """An array with nan for None, or an error that begins with `which`."""
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{which}: expected numbers, as many in each row ({error})") from error


def _checked(which: str, values: Values, points: int) -> Floats:
    """(seeds, points); one row where there is one curve."""
    heights = numbers(which, values)
    if heights.ndim not in (1, 2) or heights.shape[-1] != points or len(heights) == 0:
        raise ValueError(
            f"{which}: expected one value per point ({points}), or a row of them per seed, "
            f"got shape {heights.shape}"
        )
    if np.isinf(heights).any():
        raise ValueError(f"{which}: expected no infinite values")
    rows = np.atleast_2d(heights)
    lacking = np.isnan(rows).sum(axis=0)
    partly = np.flatnonzero((lacking > 0) & (lacking < len(rows)))
    if len(partly):
        raise ValueError(
            f"{which}: expected that all seeds or none have a point, not so at points "
            f"{partly.tolist()}"
        )
    return rows
