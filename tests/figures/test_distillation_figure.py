"""Gap curves and adversary curves: every number at its epoch, nothing where nothing was."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from kit.figures import adversary_curves, gap_curves
from kit.figures.distillation import FEW, GAP, WEIGHTS
from kit.figures.look import COLOURS

GAPS = {"AMID": [[4.0, 2.0, 1.0], [6.0, 4.0, -1.0]], "L_MIs": [5.0, 4.0, 3.0]}
NONE = [None, None]
OUTPUTS = {
    "D1": {"of the teacher": [*NONE, 0.9, 0.6], "of the student": [*NONE, 0.1, 0.4]},
    "D2": {"of the teacher": [*NONE, 0.8, 0.7], "of the student": [*NONE, np.nan, 0.25]},
}
LAMBDAS = {"λ₁": [*NONE, 0.5, 0.58], "λ₂": [*NONE, 0.5, 0.42]}


def panel_names(figure: go.Figure) -> list[str]:
    return [a.text[3:-4] for a in figure.layout.annotations if a.text.startswith("<b>")]


def lines(figure: go.Figure) -> list[go.Scatter]:
    return [trace for trace in figure.data if trace.fill is None]


def shades(figure: go.Figure) -> set[tuple[float, float]]:
    return {(shape.x0, shape.x1) for shape in figure.layout.shapes if shape.type == "rect"}


def dashed(figure: go.Figure) -> set[tuple[str, float]]:
    return {(shape.yref, shape.y0) for shape in figure.layout.shapes if shape.type == "line"}


def test_gaps_are_means_over_seeds_above_a_line_at_no_gap() -> None:
    figure = gap_curves(GAPS, warm_up=1)
    ours, other = lines(figure)
    assert (ours.name, other.name) == ("AMID", "L_MIs")
    np.testing.assert_array_equal(ours.y, [5, 3, 0])
    np.testing.assert_array_equal(other.y, [5, 4, 3])
    np.testing.assert_array_equal(ours.x, [0, 1, 2])
    assert ours.text == ("4 to 6", "2 to 4", "-1 to 1")
    assert "mean of 2 seeds" in figure.layout.title.subtitle.text
    assert panel_names(figure) == [GAP]
    assert dashed(figure) == {("y", 0.0)}
    assert "no gap" in [a.text for a in figure.layout.annotations]
    assert shades(figure) == {(0.0, 0.5)}
    assert figure.layout.showlegend
    assert "http" not in figure.to_json()


def test_a_single_run_is_named_by_its_panel() -> None:
    figure = gap_curves({"AMID": [3.0, 2.0]})
    assert panel_names(figure) == ["AMID: teacher minus student, in points of accuracy"]
    assert dashed(figure) == {("y", 0.0)}
    assert len(figure.data) == 1


@pytest.mark.parametrize(
    ("warm_up", "shaded"),
    [
        (0, set()),
        (1, {(0.0, 0.5)}),
        (2, {(0.0, 1.5)}),
        (20, {(0.0, 2.5)}),  # never past the last epoch
    ],
)
def test_the_warm_up_is_shaded_up_to_the_first_epoch_after_it(
    warm_up: int, shaded: set[tuple[float, float]]
) -> None:
    figure = gap_curves(GAPS, warm_up=warm_up)
    assert shades(figure) == shaded
    np.testing.assert_array_equal(figure.data[1].x, [0, 1, 2])


@pytest.mark.parametrize(("epochs", "mode"), [(FEW, "lines+markers"), (FEW + 1, "lines")])
def test_few_epochs_are_points_that_are_seen_alone(epochs: int, mode: str) -> None:
    assert {trace.mode for trace in gap_curves({"a": np.ones(epochs)}).data} == {mode}
    outputs = {"D1": {"of the teacher": np.full(epochs, 0.5)}}
    assert {trace.mode for trace in adversary_curves(outputs).data} == {mode}


def test_each_discriminator_has_a_panel_and_the_warm_up_is_a_gap() -> None:
    figure = adversary_curves(OUTPUTS, LAMBDAS, warm_up=2)
    assert panel_names(figure) == ["D1", "D2", WEIGHTS]
    expected = [*OUTPUTS["D1"].items(), *OUTPUTS["D2"].items(), *LAMBDAS.items()]
    axes = ["y", "y", "y2", "y2", "y3", "y3"]
    for trace, axis, (name, values) in zip(figure.data, axes, expected, strict=True):
        assert (trace.name, trace.yaxis) == (name, axis)
        np.testing.assert_array_equal(trace.y, np.array(values, dtype=np.float32))
        assert not trace.connectgaps
    assert dashed(figure) == {("y", 0.5), ("y2", 0.5), ("y3", 0.5)}
    assert shades(figure) == {(0.0, 1.5)}
    said = sorted(a.text for a in figure.layout.annotations if "<b>" not in a.text)
    assert said == ["cannot tell", "cannot tell", "equal", *["warm-up"] * 3]
    shown = [(trace.name, trace.line.color) for trace in figure.data if trace.showlegend]
    assert shown == [*zip(("of the teacher", "of the student", *LAMBDAS), COLOURS, strict=False)]
    assert "http" not in figure.to_json()


def test_probabilities_are_seen_from_0_to_1_and_weights_around_one_half() -> None:
    layout = adversary_curves(OUTPUTS, LAMBDAS).layout
    assert layout.yaxis.range == layout.yaxis2.range == (-0.03, 1.03)
    assert layout.yaxis3.range == pytest.approx((0.5 - 1.15 * 0.08, 0.5 + 1.15 * 0.08))
    still = adversary_curves(OUTPUTS, {"λ₁": [None, None, 0.5, 0.5]}).layout.yaxis3
    assert still.range == pytest.approx((0.5 - 1.15 * 0.05, 0.5 + 1.15 * 0.05))
    unmeasured = adversary_curves(OUTPUTS, {"λ₁": [None] * 4}).layout.yaxis3
    assert unmeasured.range == still.range
    assert "yaxis3" not in adversary_curves(OUTPUTS).layout


def test_a_mean_that_passes_1_by_a_rounding_is_drawn() -> None:
    (trace,) = adversary_curves({"D1": {"of the teacher": [1 + 2e-7, 0.0]}}).data
    np.testing.assert_allclose(trace.y, [1, 0], atol=1e-6)


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ({}, r"gap_curves: expected at least one run"),
        ({"a": [1.0, 101.0]}, r"gap_curves: 'a': expected values from -100 to 100, got 1 to"),
        ({"a": [[1.0, -101.0]]}, r"gap_curves: 'a': expected values .* got -101 to 1"),
        ({"a": [1.0], "b": [1.0, 2.0]}, r"gap_curves: .* same epochs .* got \[1, 2\] epochs"),
        ({"a": 1.0}, r"gap_curves: expected values over the same epochs"),
        ({"a": [[1.0], [1.0, 2.0]]}, r"gap_curves: runs must be a mapping to .*numbers, got"),
        ({"a": ["x"]}, r"gap_curves: runs must be a mapping to .*numbers, got"),
        ({"a": [[1.0, 2.0], [None, 2.0]]}, r"all seeds or none have a point, not so .*\[0\]"),
    ],
)
def test_errors_of_gaps_are_named(runs: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        gap_curves(runs)


@pytest.mark.parametrize(
    ("outputs", "weights", "message"),
    [
        ({}, None, r"adversary_curves: expected a discriminator and what it says"),
        ({"D1": {}}, None, r"adversary_curves: expected a discriminator and what it says"),
        ({"D1": {"t": [0.5, 1.2]}}, None, r"'D1', 't': expected values from 0 to 1, got 0.5 to 1"),
        ({"D1": {"t": [0.5]}}, {"λ₁": [-0.1]}, r"Equation 14\)', 'λ₁': expected values from 0 to"),
        ({"D1": {"t": [0.5]}}, {"λ₁": [0.1, 0.2]}, r"adversary_curves: .* got \[1, 2\] epochs"),
    ],
)
def test_errors_of_adversaries_are_named(outputs: Any, weights: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        adversary_curves(outputs, weights)
