"""Teacher and student over the epochs: their gap (AMID's Figure 4) and their two adversaries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from kit.figures.curves import Values, curves, numbers

Floats = NDArray[np.float64]

GAP = "Teacher minus student, in points of accuracy"
WEIGHTS = "Weights λ (Equation 14)"
FEW = 15  # epochs whose points are drawn: a line of one point is invisible
ROUNDING = 1e-6
NARROWEST = 0.05  # how far the axis of the weights reaches from 1/2 at least


def gap_curves(
    runs: Mapping[str, Values],
    *,
    epochs: Sequence[int] | None = None,
    warm_up: int = 0,
    title: str = "How far the student is behind its teacher",
) -> go.Figure:
    """Draw how the gap in accuracy closes, a line a configuration, a band over its seeds.

    Above 0 the teacher is better. The band reaches from the lowest seed to the highest.

    Args:
        runs: configuration -> (seeds, epochs) teacher's accuracy minus student's, in percentage
            points, or (epochs,) of one seed; nan where nothing was measured.
        epochs: the number of each epoch; 0, 1, ... if not given.
        warm_up: epochs with a smaller number are shaded: there nothing is distilled yet.
        title: what one sees.

    Raises:
        ValueError: no run, a gap outside of -100 and 100, epochs that do not ascend, and what
            `curves` refuses.

    """
    if not runs:
        raise ValueError("gap_curves: expected at least one run")
    arrays = {
        name: _within(f"gap_curves: {name!r}", values, -100, 100) for name, values in runs.items()
    }
    lengths = {values.shape[-1:] for values in arrays.values()}
    steps = _steps("gap_curves", epochs, lengths)
    # Of one run there is no legend: its panel says its name.
    panel = GAP if len(runs) > 1 else f"{next(iter(runs))}: {GAP[0].lower()}{GAP[1:]}"
    return curves(
        steps,
        {panel: arrays},
        references={panel: {"no gap": 0.0}},
        shaded=_warm_up(steps, warm_up),
        title=title,
        x_title="Epoch",
        markers=len(steps) <= FEW,
    )


def adversary_curves(
    outputs: Mapping[str, Mapping[str, Values]],
    weights: Mapping[str, Values] | None = None,
    *,
    epochs: Sequence[int] | None = None,
    warm_up: int = 0,
    title: str = "Can the discriminators tell teacher from student?",
) -> go.Figure:
    """Draw what each discriminator says of teacher and student, and the weights of Equation 14.

    At 1/2 a discriminator cannot tell them apart; one that always can says 1 of the teacher and 0
    of the student.

    Args:
        outputs: discriminator -> whose features, such as "of the teacher" -> (epochs,) mean
            probability that they are the teacher's; None or nan in epochs without a value.
        weights: name, such as "λ₁" -> (epochs,) from 0 to 1, likewise; no panel if not given.
        epochs: the number of each epoch; 0, 1, ... if not given.
        warm_up: epochs with a smaller number are shaded: there the discriminators rest.
        title: what one sees.

    Raises:
        ValueError: no discriminator, a value outside of 0 and 1, epochs that do not ascend, and
            what `curves` refuses.

    """
    if not outputs or not all(outputs.values()):
        raise ValueError("adversary_curves: expected a discriminator and what it says")
    panels = {name: dict(by_side) for name, by_side in outputs.items()}
    if weights:
        panels[WEIGHTS] = dict(weights)
    arrays = {
        panel: {
            name: _within(f"adversary_curves: {panel!r}, {name!r}", values, 0, 1)
            for name, values in by_name.items()
        }
        for panel, by_name in panels.items()
    }
    lengths = {values.shape[-1:] for by_name in arrays.values() for values in by_name.values()}
    steps = _steps("adversary_curves", epochs, lengths)
    said = {name: {"cannot tell": 0.5} for name in outputs}
    figure = curves(
        steps,
        arrays,
        references=said | ({WEIGHTS: {"equal": 0.5}} if weights else {}),
        shaded=_warm_up(steps, warm_up),
        title=title,
        x_title="Epoch",
        markers=len(steps) <= FEW,
    )
    figure.update_yaxes(range=[-0.03, 1.03], dtick=0.25)
    if weights:
        # The weights move by a few percent: drawn from 0 to 1, they would be two straight lines.
        heights = np.concatenate([np.ravel(values) for values in arrays[WEIGHTS].values()])
        away = np.abs(heights[np.isfinite(heights)] - 0.5)
        reach = 1.15 * max([NARROWEST, *away.tolist()])
        limits = [0.5 - reach, 0.5 + reach]
        figure.update_yaxes(range=limits, dtick=None, col=len(arrays))
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


def _steps(where: str, epochs: Sequence[int] | None, lengths: set[tuple[int, ...]]) -> list[int]:
    if len(lengths) != 1 or () in lengths:
        raise ValueError(
            f"{where}: expected values over the same epochs in every curve, "
            f"got {sorted(length[0] if length else 0 for length in lengths)} epochs"
        )
    (count,) = next(iter(lengths))
    steps = list(range(count)) if epochs is None else [int(epoch) for epoch in epochs]
    if len(steps) != count or any(b <= a for a, b in pairwise(steps)):
        raise ValueError(f"{where}: expected {count} ascending epochs, one per value, got {steps}")
    return steps


def _warm_up(steps: Sequence[int], first: int) -> dict[str, tuple[float, float]]:
    """The epochs before `first`, up to half-way between the last of them and the next."""
    if not steps or first <= steps[0]:
        return {}
    return {"warm-up": (float(steps[0]), min(first, steps[-1] + 1) - 0.5)}
