"""Precision-recall curves, one panel per direction of retrieval (the paper's Figure 5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray
from plotly.subplots import make_subplots

from kit.arguments import checked
from kit.figures.look import add_panel_title, colour, lay_out

Floats = NDArray[np.float64]

LEVELS = np.linspace(0, 1, 11)
PLOT_HEIGHT = 320


@checked
def precision_recall_curves(
    curves: Mapping[str, Mapping[str, tuple[ArrayLike, ArrayLike]]],
    *,
    title: str = "Precision falls as recall grows",
) -> go.Figure:
    """Draw precision over recall, direction by direction, run by run.

    The line is the mean curve by rank; the markers are its 11-point interpolation (the best
    precision at a recall of at least 0, 0.1, ..., 1). The legend names the area under the line, by
    trapezoids, from recall 0 with the first rank's precision on.

    Args:
        curves: direction -> run -> (recall, precision), each (ranks,) from 0 to 1; recall does not
            fall and ends at 1. A run has the same colour in every direction.
        title: what one sees.

    Raises:
        ValueError: no direction or no run, arrays that are no such curve.

    """
    if not curves or not all(curves.values()):
        raise ValueError("precision_recall_curves: expected at least one run in each direction")
    runs = list(dict.fromkeys(run for direction in curves.values() for run in direction))
    figure = make_subplots(cols=len(curves), horizontal_spacing=0.1)
    for column, (direction, by_run) in enumerate(curves.items(), start=1):
        legend = "legend" if column == 1 else f"legend{column}"
        for run, (recall, precision) in by_run.items():
            drawn = _checked(f"{direction!r}, {run!r}", recall, precision)
            where = {"legend": legend, "legendgroup": run, "row": 1, "col": column}
            _add(figure, run, drawn, colour(runs.index(run)), where)
        left = figure.get_subplot(1, column).xaxis.domain[0]
        place = {"x": left, "y": -52 / PLOT_HEIGHT, "yanchor": "top"}
        figure.layout[legend] = place | {"tracegroupgap": 0}
        add_panel_title(figure, direction, row=1, col=column)
    legend_height = 20 * max(len(by_run) for by_run in curves.values())
    figure.update_xaxes(range=[-0.02, 1.02], title={"text": "Recall", "standoff": 6}, dtick=0.2)
    figure.update_yaxes(range=[-0.02, 1.04], title="Precision", dtick=0.2)
    lay_out(figure, title, PLOT_HEIGHT, (84, 72 + legend_height))
    return figure


def _add(
    figure: go.Figure, run: str, curve: tuple[Floats, Floats], shade: str, where: dict[str, Any]
) -> None:
    """The curve with its area, and its best precision at recall of at least 0, 0.1, ..., 1."""
    x, y = curve
    best_from_here = np.maximum.accumulate(y[::-1])[::-1]
    # A mean of shares such as 1/3 may miss 1 by a rounding.
    reached = np.minimum(np.searchsorted(x, LEVELS - 1e-6), len(x) - 1)
    area = np.trapezoid(np.concatenate([y[:1], y]), np.concatenate([[0.0], x]))
    figure.add_scatter(
        x=x.astype(np.float32),
        y=y.astype(np.float32),
        mode="lines",
        name=f"{run}: area {area:.3f}",
        line={"color": shade, "width": 2},
        hovertemplate="recall %{x:.3f}, precision %{y:.3f}",
        **where,
    )
    figure.add_scatter(
        x=LEVELS.astype(np.float32),
        y=best_from_here[reached].astype(np.float32),
        mode="markers",
        name=f"{run}: 11 points",
        marker={"color": shade, "size": 7, "symbol": "circle-open", "line": {"width": 1.5}},
        hovertemplate="recall ≥ %{x:.1f}, best precision %{y:.3f}",
        showlegend=False,
        **where,
    )


def _checked(which: str, recall: ArrayLike, precision: ArrayLike) -> tuple[Floats, Floats]:
    x, y = np.asarray(recall, dtype=np.float64), np.asarray(precision, dtype=np.float64)
    if x.ndim != 1 or len(x) == 0 or x.shape != y.shape:
        raise ValueError(
            f"precision_recall_curves: {which}: expected recall and precision of shape (ranks,), "
            f"got {x.shape} and {y.shape}"
        )
    # Means over queries may pass 1 by a rounding.
    within = all(((a >= 0) & (a <= 1 + 1e-6)).all() for a in (x, y))
    if not within or (np.diff(x) < -1e-6).any() or x[-1] < 1 - 1e-6:
        raise ValueError(
            f"precision_recall_curves: {which}: expected numbers from 0 to 1, recall that does not "
            f"fall and ends at 1, got recall {x[0]:.3g} to {x[-1]:.3g}"
        )
    return x, y
