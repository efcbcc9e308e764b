"""Curves over one axis, panel by panel: what a formula does, what a dial changes."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike
from plotly.subplots import make_subplots

from kit.figures.look import GREY, TEMPLATE, add_panel_title, colour

PLOT_HEIGHT = 300


def curves(
    x: ArrayLike,
    panels: Mapping[str, Mapping[str, ArrayLike]],
    *,
    title: str,
    x_title: str,
    references: Mapping[str, Mapping[str, float]] | None = None,
    grey: Collection[str] = (),
    markers: bool = False,
) -> go.Figure:
    """Draw curves over the same axis, one panel beside the other.

    A curve has the same colour in every panel.

    Args:
        x: (points,) finite numbers that all curves share.
        panels: panel -> curve -> (points,) values; nan leaves a gap.
        title: what one sees.
        x_title: what `x` is, with its unit.
        references: panel -> label -> the height of a dashed line to compare with.
        grey: curves to be drawn in grey and dotted: the paper's.
        markers: whether the points themselves are shown, because only they were measured.

    Raises:
        ValueError: no panel or no curve, a curve of another length than `x`, an infinite value, a
            reference for a panel or a name in `grey` that is not there.

    """
    across = np.asarray(x, dtype=np.float64)
    if across.ndim != 1 or len(across) == 0 or not np.isfinite(across).all():
        raise ValueError(f"curves: x must be (points,) and finite, got shape {across.shape}")
    if not panels or not all(panels.values()):
        raise ValueError("curves: expected at least one panel and a curve in each")
    unknown = sorted({*(references or {})} - {*panels})
    if unknown:
        raise ValueError(f"curves: references for panels that are not there: {unknown}")
    names = list(dict.fromkeys(name for by_name in panels.values() for name in by_name))
    missing = sorted({*grey} - {*names})
    if missing:
        raise ValueError(f"curves: grey names curves that are not there: {missing}")
    coloured = [name for name in names if name not in grey]
    figure = make_subplots(cols=len(panels), horizontal_spacing=0.1)
    shown: set[str] = set()
    for column, (panel, by_name) in enumerate(panels.items(), start=1):
        for name, values in by_name.items():
            aside = name in grey
            figure.add_scatter(
                x=across.astype(np.float32),
                y=_checked(panel, name, values, len(across)),
                name=name,
                legendgroup=name,
                showlegend=name not in shown,
                mode="lines+markers" if markers else "lines",
                line={
                    "color": GREY if aside else colour(coloured.index(name)),
                    "dash": "dot" if aside else "solid",
                    "width": 2,
                },
                hovertemplate="%{y:.4g}",
                row=1,
                col=column,
            )
            shown.add(name)
        for label, height in (references or {}).get(panel, {}).items():
            figure.add_hline(
                y=height,
                line={"dash": "dash", "width": 1, "color": GREY},
                annotation={"text": label, "font": {"size": 11, "color": GREY}},
                annotation_position="top left",
                row=1,
                col=column,
            )
        add_panel_title(figure, panel, row=1, col=column)
    figure.update_xaxes(title={"text": x_title, "standoff": 6})
    figure.update_yaxes(exponentformat="power")
    lines = -(-len(names) // 4) if len(names) > 1 else 0
    margin = {"t": 84, "b": 60 + 24 * lines}
    figure.update_layout(
        template=TEMPLATE,
        title=title,
        height=PLOT_HEIGHT + margin["t"] + margin["b"],
        margin=margin,
        hovermode="x unified",
        showlegend=len(names) > 1,
        legend={"orientation": "h", "x": 0, "y": -48 / PLOT_HEIGHT, "yanchor": "top"},
    )
    return figure


def _checked(panel: str, name: str, values: ArrayLike, points: int) -> np.ndarray:
    heights = np.asarray(values, dtype=np.float32)
    if heights.shape != (points,):
        raise ValueError(
            f"curves: {panel!r}, {name!r}: expected one value per point ({points}), "
            f"got shape {heights.shape}"
        )
    if np.isinf(heights).any():
        raise ValueError(f"curves: {panel!r}, {name!r}: expected no infinite values")
    return heights
