"""What a teacher knows of student and auxiliary, in nats (the idea of AMID's Figure 1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from kit.arguments import checked
from kit.figures.look import ABOVE, COLOURS, lay_out

SHARED, LACKING, AUXILIARY = COLOURS[0], COLOURS[1], COLOURS[2]
ROUNDING = 1e-9  # a difference of entropies that is 0 may come out as little below it


@checked
def information_bars(
    teachers: Mapping[str, Sequence[float]], *, title: str = "What each teacher knows"
) -> go.Figure:
    """Draw two bars for each teacher M: its entropy in two parts, and what it shares with A.

    The upper bar is H(M) = I(M;S) + H(M|S): what the student S shares, and what it lacks. The lower
    one is I(M;A). A teacher that forgets what S lacks has an H(M|S) of 0, and loses I(M;A).

    Args:
        teachers: name -> (I(M;S), I(M;A), H(M|S)) in nats, of discrete variables: none is below 0.
        title: what one sees.

    Raises:
        ValueError: no teacher, another number of values than three, a value below 0 or not finite.

    """
    if not teachers:
        raise ValueError("information_bars: expected at least one teacher")
    for name, values in teachers.items():
        if len(values) != 3 or not all(-ROUNDING < value < np.inf for value in values):
            raise ValueError(
                f"information_bars: {name!r}: expected I(M;S), I(M;A) and H(M|S), "
                f"finite and not below 0, got {[*values]}"
            )
    table = np.array([[*values] for values in teachers.values()], dtype=np.float32).clip(min=0)
    figure = go.Figure()
    reach = _add_bars(figure, list(teachers), table)
    figure.update_xaxes(range=[0, 1.3 * max(reach, 0.1)], title={"text": "nats", "standoff": 4})
    figure.update_yaxes(
        range=[len(table) - 0.45, -0.55],
        tickvals=list(range(len(table))),
        ticktext=[*teachers],
        ticks="",
        showgrid=False,
    )
    said = "upper bar: the teacher's entropy H(M) = I(M;S) + H(M|S)   lower bar: I(M;A)"
    lay_out(figure, title, 76 * len(table), (124, 56), subtitle=said)
    figure.update_layout(barmode="overlay", legend=ABOVE)
    return figure


def _add_bars(figure: go.Figure, names: list[str], table: NDArray[np.float32]) -> float:
    """Two bars a teacher with their numbers behind them; the end of the longest."""
    with_student, with_auxiliary, left = table.T
    upper, lower = (np.arange(len(table), dtype=np.float32) + side for side in (-0.18, 0.18))
    for label, values, base, y, tone in (
        ("I(M;S), what S has too", with_student, None, upper, SHARED),
        ("H(M|S), what S lacks", left, with_student, upper, LACKING),
        ("I(M;A), what A has too", with_auxiliary, None, lower, AUXILIARY),
    ):
        figure.add_bar(
            x=values,
            y=y,
            base=base,
            width=0.34,
            orientation="h",
            name=label,
            marker={"color": tone, "line": {"width": 0}},
            text=names,
            textposition="none",
            customdata=values,
            hovertemplate="%{text}: %{customdata:.3f} nats<extra>" + label + "</extra>",
        )
    entropy = with_student + left
    figure.add_scatter(
        x=np.concatenate([entropy, with_auxiliary]),
        y=np.concatenate([upper, lower]),
        mode="text",
        text=[f" {s:.2f} + {h:.2f} = {s + h:.2f}" for s, _, h in table]
        + [f" {a:.2f}" for a in with_auxiliary],
        textposition="middle right",
        hoverinfo="skip",
        showlegend=False,
    )
    return float(max(entropy.max(), with_auxiliary.max()))
