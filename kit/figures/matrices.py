"""Matrices as pictures, side by side: similarities, probabilities, who moves by what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray
from plotly.subplots import make_subplots

from kit.arguments import checked
from kit.figures.look import GREY, INK, add_panel_title, lay_out

READABLE = 12  # with more rows or columns, numbers in the cells cannot be read
SIGNED = ((0.0, "#D55E00"), (0.5, "#FFFFFF"), (1.0, "#0072B2"))
POSITIVE = ((0.0, "#FFFFFF"), (1.0, "#0072B2"))
SYMBOLS = ("circle-open", "square-open", "x-thin-open", "diamond-open")


@checked
def matrices(
    panels: Mapping[str, ArrayLike],
    *,
    title: str,
    row_names: Sequence[str] | None = None,
    column_names: Sequence[str] | None = None,
    row_title: str = "",
    column_title: str = "",
    marks: Mapping[str, Sequence[tuple[int, int]]] | None = None,
    decimals: int = 2,
) -> go.Figure:
    """Draw matrices of one shape on one colour scale, with their numbers where they can be read.

    Blue is positive, orange negative, white 0.

    Args:
        panels: name -> (rows, columns), finite.
        title: what one sees.
        row_names: a word for each row; 0, 1, ... if not given.
        column_names: a word for each column, likewise.
        row_title: what the rows are.
        column_title: what the columns are.
        marks: what is marked -> its cells as (row, column), in every panel.
        decimals: of the numbers in the cells.

    Raises:
        ValueError: no matrix, matrices of different shapes or not finite, names that do not fit, a
            mark outside.

    """
    arrays = {name: np.asarray(values, dtype=np.float32) for name, values in panels.items()}
    rows, columns = _shape(arrays)
    downs = _names("row_names", row_names, rows)
    acrosses = _names("column_names", column_names, columns)
    outside = [
        cell
        for cells in (marks or {}).values()
        for cell in cells
        if not (0 <= cell[0] < rows and 0 <= cell[1] < columns)
    ]
    if outside:
        raise ValueError(f"matrices: marks outside of {rows} x {columns}: {outside}")
    low = min(float(values.min()) for values in arrays.values())
    high = max(float(np.abs(values).max()) for values in arrays.values())
    figure = make_subplots(cols=len(arrays), horizontal_spacing=0.06, shared_yaxes=True)
    for column, (name, values) in enumerate(arrays.items(), start=1):
        figure.add_heatmap(
            z=values,
            x=list(range(columns)),
            y=list(range(rows)),
            coloraxis="coloraxis",
            xgap=1,
            ygap=1,
            texttemplate=f"%{{z:.{decimals}f}}" if max(rows, columns) <= READABLE else None,
            customdata=[[f"{down}, {across}" for across in acrosses] for down in downs],
            hovertemplate="%{customdata}: %{z:.4g}<extra></extra>",
            row=1,
            col=column,
        )
        _mark(figure, marks or {}, column)
        add_panel_title(figure, name, row=1, col=column)
    _name_axes(figure, downs, acrosses)
    figure.update_xaxes(title={"text": column_title, "standoff": 4})
    figure.update_yaxes(title=row_title, col=1)
    height = 34 * min(rows, 14)
    lay_out(figure, title, height, (84, 86 + (24 if marks else 0)))
    figure.update_layout(
        coloraxis={
            "colorscale": SIGNED if low < 0 else POSITIVE,
            "cmin": -high if low < 0 else 0,
            "cmax": high or 1.0,
            "colorbar": {"thickness": 12, "outlinewidth": 0, "tickfont": {"color": GREY}},
        },
        legend={"orientation": "h", "x": 0, "y": -64 / height, "yanchor": "top"},
    )
    return figure


def _mark(figure: go.Figure, marks: Mapping[str, Sequence[tuple[int, int]]], column: int) -> None:
    """Put an open symbol around each marked cell of one panel."""
    for index, (what, cells) in enumerate(marks.items()):
        line = {"line": {"width": 2.5}}
        figure.add_scatter(
            x=[cell[1] for cell in cells],
            y=[cell[0] for cell in cells],
            mode="markers",
            marker={"symbol": SYMBOLS[index % 4], "size": 26, "color": INK} | line,
            name=what,
            legendgroup=what,
            showlegend=column == 1,
            hoverinfo="skip",
            row=1,
            col=column,
        )


def _name_axes(figure: go.Figure, downs: Sequence[str], acrosses: Sequence[str]) -> None:
    """Write the names at rows and columns, of many only every second or third; row 0 on top."""
    bare = {"showline": False, "ticks": "", "showgrid": False}
    for update, names in ((figure.update_xaxes, acrosses), (figure.update_yaxes, downs)):
        every = max(1, -(-len(names) // 30))
        update(tickvals=list(range(0, len(names), every)), ticktext=names[::every], **bare)
    figure.update_yaxes(autorange="reversed")


def _shape(arrays: Mapping[str, NDArray[np.float32]]) -> tuple[int, int]:
    shapes = {values.shape for values in arrays.values()}
    if len(shapes) != 1 or len(next(iter(shapes))) != 2 or 0 in next(iter(shapes)):
        raise ValueError(
            "matrices: expected at least one matrix, all of one shape (rows, columns), "
            f"got {sorted(shapes)}"
        )
    wrong = [name for name, values in arrays.items() if not np.isfinite(values).all()]
    if wrong:
        raise ValueError(f"matrices: expected finite numbers, not so in {wrong}")
    rows, columns = next(iter(shapes))
    return rows, columns


def _names(which: str, names: Sequence[str] | None, count: int) -> list[str]:
    if names is None:
        return [str(number) for number in range(count)]
    if len(names) != count:
        raise ValueError(f"matrices: expected {count} {which}, got {len(names)}")
    return [str(name) for name in names]
