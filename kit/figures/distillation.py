"""Teacher and student over the epochs: their gap (AMID's Figure 4) and their two adversaries."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from kit.arguments import checked
from kit.figures.curves import Values, curves, numbers

Floats = NDArray[np.float64]

GAP = "Teacher minus student, in points of accuracy"
WEIGHTS = "Weights λ (Equation 14)"
FEW = 15  # epochs whose points are drawn: a line of one point is invisible
ROUNDING = 1e-6
NARROWEST = 0.05  # how far the axis of the weights reaches from 1/2 at least


@checked
def gap_curves(runs: Mapping[str, Values], *, warm_up: int = 0) -> go.Figure:
    """Draw how the gap in accuracy closes, a line a configuration, a band over its seeds.

    Above 0 the teacher is better. The band reaches from the lowest seed to the highest.

    Args:
        runs: configuration -> (seeds, epochs) teacher's accuracy minus student's, in percentage
            points, or (epochs,) of one seed; nan where nothing was measured.
        warm_up: so many epochs are shaded: there nothing is distilled yet.

    Raises:
        ValueError: no run, a gap outside of -100 and 100, runs of different lengths, and what
            `curves` refuses.

    """
    if not runs:
        raise ValueError("gap_curves: expected at least one run")
    arrays = {
        name: _within(f"gap_curves: {name!r}", values, -100, 100) for name, values in runs.items()
    }
    # Of one run there is no legend: its panel says its name.
    panel = GAP if len(runs) > 1 else f"{next(iter(runs))}: {GAP[0].lower()}{GAP[1:]}"
    title = "How far the student is behind its teacher"
    return _over_epochs("gap_curves", title, {panel: arrays}, {panel: {"no gap": 0.0}}, warm_up)


@checked
def adversary_curves(
    outputs: Mapping[str, Mapping[str, Values]],
    weights: Mapping[str, Values] | None = None,
    *,
    warm_up: int = 0,
) -> go.Figure:
    """Draw what each discriminator says of teacher and student, and the weights of Equation 14.

    At 1/2 a discriminator cannot tell them apart; one that always can says 1 of the teacher and 0
    of the student.

    Args:
        outputs: discriminator -> whose features, such as "of the teacher" -> (epochs,) mean
            probability that they are the teacher's; None or nan in epochs without a value.
        weights: name, such as "λ₁" -> (epochs,) from 0 to 1, likewise; no panel if not given.
        warm_up: so many epochs are shaded: there the discriminators rest.

    Raises:
        ValueError: no discriminator, a value outside of 0 and 1, curves of different lengths, and
            what `curves` refuses.

    """
    if not outputs or not all(outputs.values()):
        raise ValueError("adversary_curves: expected a discriminator and what it says")
    arrays = {
        panel: {
            name: _within(f"adversary_curves: {panel!r}, {name!r}", values, 0, 1)
            for name, values in by_name.items()
        }
        for panel, by_name in {**outputs, **({WEIGHTS: weights} if weights else {})}.items()
    }
    references = {panel: {"cannot tell": 0.5} for panel in outputs} | (
        {WEIGHTS: {"equal": 0.5}} if weights else {}
    )
    title = "Can the discriminators tell teacher from student?"
    figure = _over_epochs("adversary_curves", title, arrays, references, warm_up)
    figure.update_yaxes(range=[-0.03, 1.03], dtick=0.25)
    if weights:
        # The weights move by a few percent: drawn from 0 to 1, they would be two straight lines.
        heights = np.concatenate([np.ravel(values) for values in arrays[WEIGHTS].values()])
        away = np.abs(heights[np.isfinite(heights)] - 0.5)
        reach = 1.15 * max([NARROWEST, *away.tolist()])
        figure.update_yaxes(range=[0.5 - reach, 0.5 + reach], dtick=None, col=len(arrays))
    return figure


def _within(which: str, values: Values, low: float, high: float) -> Floats:
    """Numbers with nan for None, or refuse what lies outside."""
    array = numbers(which, values)
    known = array[~np.isnan(array)]
    # A mean over batches may pass an end by a rounding.
    if ((known < low - ROUNDING) | (known > high + ROUNDING)).any():
        raise ValueError(
            f"{which}: expected values from {low} to {high}, "
            f"got {known.min():.4g} to {known.max():.4g}"
        )
    return array


def _over_epochs(
    where: str,
    title: str,
    panels: Mapping[str, Mapping[str, Floats]],
    references: Mapping[str, Mapping[str, float]],
    warm_up: int,
) -> go.Figure:
    """Curves over epochs 0, 1, ..., the warm-up shaded up to half-way to the first one after it."""
    lengths = {values.shape[-1:] for by_name in panels.values() for values in by_name.values()}
    if len(lengths) != 1 or () in lengths:
        raise ValueError(
            f"{where}: expected values over the same epochs in every curve, "
            f"got {sorted(length[0] if length else 0 for length in lengths)} epochs"
        )
    (count,) = lengths.pop()
    return curves(
        range(count),
        panels,
        references=references,
        shaded={"warm-up": (0.0, min(warm_up, count) - 0.5)} if warm_up > 0 else {},
        title=title,
        x_title="Epoch",
        markers=count <= FEW,
    )
