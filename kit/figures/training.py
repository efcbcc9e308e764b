"""Training curves: a panel per loss term and meter, small and side by side."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from kit.arguments import checked
from kit.figures.look import add_panel_title, add_reference, colour, lay_out, plain

Floats = NDArray[np.float32]

WIDTH, ROW_HEIGHT, PANELS_IN_A_ROW = 900, 205, 3
_RECALL = re.compile(r"(.+) (R@\d+)")
_NOT_DRAWN = ("epoch", "seconds")


@dataclass
class Panel:
    """What one small picture shows: label -> values over the epochs, lines to compare with."""

    title: str
    stacked: bool
    series: dict[str, Floats] = field(default_factory=dict)
    references: dict[str, float] = field(default_factory=dict)


@checked
def training_curves(
    history: Sequence[Mapping[str, Any]],
    names: Sequence[str] | None = None,
    *,
    labels: Mapping[str, str] | None = None,
    references: Mapping[str, Mapping[str, float]] | None = None,
    title: str = "Training",
) -> go.Figure:
    """Draw every loss term and meter over the epochs, each in its own panel and on its own scale.

    Values that only mean something together share a panel: ``share/...`` (stacked), ``..._norm``,
    and ``<task> R@...``. Panels of one curve come first, loss terms (what has a share) before
    meters. Where a name is missing in an epoch, its curve has a gap.

    Args:
        history: a record per epoch with its number under ``epoch``; other numbers stand in it
            under their name, or one level deeper (``means``, ``scores``), as a run folder keeps
            them. Texts, lists and ``seconds`` are not drawn.
        names: which values; all but the scores that are not a recall if not given.
        labels: name -> title of its panel, for names that have one of their own.
        references: name -> label -> value of a dashed line, such as
            ``{"modality_entropy": {"ln 2": 0.693}}``.
        title: what one sees.

    Raises:
        ValueError: an empty history, a name that no epoch has, a value that is not finite.

    """
    epochs, values = _columns(history)
    if names is None:
        scores = {name for record in history for name in record.get("scores", {})}
        names = [name for name in values if name not in scores or _RECALL.fullmatch(name)]
    references, labels = references or {}, labels or {}
    unknown = sorted({*names, *references, *labels} - set(values))
    if unknown or not names:
        raise ValueError(
            f"training_curves: expected names that the history has ({', '.join(values)}), "
            f"got {unknown}"
        )
    panels = _panels(names, values, references, labels)
    return _sheet(panels, epochs, title)


def _columns(history: Sequence[Mapping[str, Any]]) -> tuple[NDArray[np.int32], dict[str, Floats]]:
    """Turn records into columns over the epochs, nan where a record lacks the name."""
    if not history:
        raise ValueError("training_curves: expected at least one epoch, got an empty history")
    columns: dict[str, Floats] = {}
    for at, record in enumerate(history):
        if not isinstance(record.get("epoch"), int):
            raise ValueError(f"training_curves: record {at} has no epoch number")
        deeper = [value.items() for value in record.values() if isinstance(value, Mapping)]
        for name, value in [*record.items(), *(item for items in deeper for item in items)]:
            if isinstance(value, bool) or not isinstance(value, int | float):
                continue
            if not np.isfinite(value):
                raise ValueError(
                    f"training_curves: {name!r} is {value} in epoch {record['epoch']}, "
                    "expected finite numbers"
                )
            if name not in _NOT_DRAWN:
                empty = np.full(len(history), np.nan, dtype=np.float32)
                columns.setdefault(name, empty)[at] = value
    return np.array([record["epoch"] for record in history], dtype=np.int32), columns


def _panels(
    names: Sequence[str],
    values: Mapping[str, Floats],
    references: Mapping[str, Mapping[str, float]],
    labels: Mapping[str, str],
) -> list[Panel]:
    """Group names that belong together; every other name is a panel of its own."""
    panels: dict[str, Panel] = {}
    for name in sorted(names, key=lambda name: f"share/{name}" not in values):
        if name.startswith("share/"):
            title, label = "Share of the gradient norm", name.removeprefix("share/")
        elif name.endswith("_norm"):
            title, label = "Norm of the features", name.removesuffix("_norm")
        elif match := _RECALL.fullmatch(name):
            title, label = f"{plain(match[1])}, recall in %", match[2]
        elif f"share/{name}" in values:
            title, label = labels.get(name, f"Loss: {plain(name).lower()}"), ""
        else:
            title, label = labels.get(name, plain(name)), ""
        panel = panels.setdefault(title, Panel(title, stacked=name.startswith("share/")))
        panel.series[label] = values[name]
        panel.references |= references.get(name, {})
    # Several labelled lines need width: the rows at the bottom hold fewer panels.
    return sorted(panels.values(), key=lambda panel: len(panel.series) > 1)


def _sheet(panels: Sequence[Panel], epochs: NDArray[np.int32], title: str) -> go.Figure:
    """Lay the panels out, at most three a row; rows at the bottom may have fewer, wider ones."""
    rows = np.array_split(np.arange(len(panels)), -(-len(panels) // PANELS_IN_A_ROW))
    specs: list[list[dict[str, int] | None]] = []
    places = []
    for row, part in enumerate(rows, start=1):
        wide = 6 // len(part)
        specs.append([{"colspan": wide} if at % wide == 0 else None for at in range(6)])
        places += [(row, 1 + at * wide, WIDTH * wide / 6 - 90) for at in range(len(part))]
    height = ROW_HEIGHT * len(rows) + 70
    figure = make_subplots(
        rows=len(rows), cols=6, specs=specs, horizontal_spacing=0.055, vertical_spacing=70 / height
    )
    for panel, (row, column, width) in zip(panels, places, strict=True):
        _draw(figure, panel, epochs, row, column, width)
    figure.update_xaxes(title={"text": "Epoch", "standoff": 4}, row=len(rows))
    lay_out(figure, title, height - 134, (84, 50))
    figure.update_layout(margin={"l": 48, "r": 12}, showlegend=False, hovermode="x unified")
    figure.update_annotations(showarrow=False)
    return figure


def _draw(
    figure: go.Figure, panel: Panel, epochs: NDArray[np.int32], row: int, column: int, width: float
) -> None:
    """Draw one panel with the names of its lines at their right ends."""
    where = {"row": row, "col": column}
    for index, (label, values) in enumerate(panel.series.items()):
        figure.add_scatter(
            x=epochs,
            y=values,
            name=label or panel.title,
            mode="lines" if panel.stacked and len(epochs) > 1 else "lines+markers",
            line={"color": colour(index), "width": 0.5 if panel.stacked else 2},
            marker={"size": 4},
            stackgroup=f"{row} {column}" if panel.stacked else None,
            hovertemplate="%{y:.4g}",
            **where,
        )
    low, high = _range(panel)
    figure.update_yaxes(range=[low, high], nticks=5, **where)
    longest = max(len(label) for label in panel.series)
    share = min(0.45, 7 * (longest + 2) / width) if longest else 0.03
    first, last = int(epochs[0]), int(epochs[-1])
    span = max(last - first, 1)
    figure.update_xaxes(
        range=[first - 0.03 * span, last + span * share / (1 - share)],
        tickvals=list(range(first, last + 1, max(1, -(-(last - first) // 5)))),
        **where,
    )
    add_panel_title(figure, panel.title, **where)
    for reference, height in panel.references.items():
        add_reference(figure, reference, height, **where)
    if longest:
        _end_labels(figure, panel, last, (low, high), where)


def _range(panel: Panel) -> tuple[float, float]:
    """From the lowest to the highest value, lines to compare with included, and a little air."""
    if panel.stacked:
        return 0.0, float(max(1.0, np.nansum([*panel.series.values()], axis=0).max()))
    values = np.concatenate([*panel.series.values(), [*panel.references.values()]])
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    air = 0.12 * (high - low) or 0.1 * abs(high) or 1.0
    return low - air, high + air


def _end_labels(
    figure: go.Figure, panel: Panel, last: int, limits: tuple[float, float], where: dict[str, int]
) -> None:
    ends, below = [], 0.0
    for values in panel.series.values():
        seen = values[np.isfinite(values)]
        end = float(seen[-1]) if len(seen) else limits[0]
        ends.append(below + end / 2 if panel.stacked else end)
        below += end
    gap = 13 / (ROW_HEIGHT - 70) * (limits[1] - limits[0])
    for index, (label, y) in enumerate(zip(panel.series, spread(ends, gap, limits), strict=True)):
        figure.add_annotation(
            text=label,
            x=last,
            y=y,
            xanchor="left",
            xshift=6,
            font={"size": 11, "color": colour(index)},
            **where,
        )


def spread(ends: Sequence[float], gap: float, limits: tuple[float, float]) -> list[float]:
    """Move labels apart until each is `gap` from the next, within `limits` where they fit.

    >>> spread([1.0, 1.0, 5.0], gap=1.0, limits=(0.0, 6.0))
    [1.0, 2.0, 5.0]
    >>> spread([6.0, 6.0], gap=1.0, limits=(0.0, 6.0))
    [5.0, 6.0]
    """
    order = sorted(range(len(ends)), key=lambda at: ends[at])
    placed: list[float] = []
    for at in order:
        placed.append(max(ends[at], placed[-1] + gap) if placed else ends[at])
    ceiling = limits[1]
    for at in reversed(range(len(placed))):
        placed[at] = min(placed[at], ceiling)
        ceiling = placed[at] - gap
    result = [0.0] * len(ends)
    for at, y in zip(order, placed, strict=True):
        result[at] = y
    return result
