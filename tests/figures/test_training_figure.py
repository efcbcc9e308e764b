from __future__ import annotations

import math
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from kit.figures import training_curves
from kit.figures.training import spread


def history(epochs: int = 10) -> list[dict[str, Any]]:
    """Records as a run folder keeps them."""
    return [
        {
            "kind": "epoch",
            "epoch": epoch,
            "means": {
                "image_norm": 20.0 + epoch,
                "text_norm": 10.0 + 2 * epoch,
                "discriminator_accuracy": 0.6,
                "modality_entropy": 0.65 - 0.01 * epoch,
                "triplet": 2.0 / (epoch + 1),
                "kl": 20.0 - epoch,
                "share/triplet": 0.2 + 0.01 * epoch,
                "share/kl": 0.8 - 0.01 * epoch,
            },
            "scores": {
                "image_to_text R@1": 10.0 + epoch,
                "image_to_text R@5": 30.0 + epoch,
                "image_to_text mAP": 12.0,
            },
            "alarms": [],
            "seconds": 12.5,
        }
        for epoch in range(epochs)
    ]


def titles(figure: go.Figure) -> list[str]:
    return [a.text[3:-4] for a in figure.layout.annotations if a.text.startswith("<b>")]


def curve(figure: go.Figure, name: str) -> go.Scatter:
    (found,) = [trace for trace in figure.data if trace.name == name]
    return found


def test_panels_are_named_grouped_and_ordered() -> None:
    assert titles(training_curves(history())) == [
        "Loss: triplet",
        "Loss: kl",
        "Discriminator accuracy",
        "Modality entropy",
        "Norm of the features",
        "Share of the gradient norm",
        "Image to text, recall in %",
    ]


def test_curves_hold_the_numbers_of_the_history() -> None:
    figure = training_curves(history())
    assert len(figure.data) == 10
    triplet = curve(figure, "Loss: triplet")
    np.testing.assert_array_equal(triplet.x, np.arange(10))
    np.testing.assert_allclose(triplet.y, [2.0 / (e + 1) for e in range(10)], rtol=1e-6)
    np.testing.assert_allclose(curve(figure, "R@5").y, 30.0 + np.arange(10))
    assert triplet.y.dtype == np.float32
    assert triplet.x.dtype == np.int32


def test_shares_are_stacked_in_one_panel_and_nothing_else_is() -> None:
    figure = training_curves(history())
    stacked = [trace for trace in figure.data if trace.stackgroup]
    assert [trace.name for trace in stacked] == ["triplet", "kl"]
    assert stacked[0].stackgroup == stacked[1].stackgroup
    assert stacked[0].xaxis == stacked[1].xaxis


def test_names_choose_and_labels_rename() -> None:
    figure = training_curves(history(), ["kl", "image_to_text mAP"], labels={"kl": "L_kl, Eq. 9"})
    assert titles(figure) == ["L_kl, Eq. 9", "Image to text mAP"]
    assert len(figure.data) == 2


def test_a_reference_is_a_dashed_labelled_line_inside_the_range() -> None:
    figure = training_curves(
        history(), ["modality_entropy"], references={"modality_entropy": {"ln 2": math.log(2)}}
    )
    (line,) = figure.layout.shapes
    assert (line.y0, line.y1) == (math.log(2), math.log(2))
    assert line.line.dash == "dash"
    (label,) = [a for a in figure.layout.annotations if a.text == "ln 2"]
    assert label.y == math.log(2)
    assert figure.layout.yaxis.range[0] < 0.56 < math.log(2) < figure.layout.yaxis.range[1]


def test_direct_labels_stand_at_the_last_epoch_in_the_colour_of_their_line() -> None:
    figure = training_curves(history(), ["image_norm", "text_norm"])
    labels = {a.text: a for a in figure.layout.annotations if not a.text.startswith("<b>")}
    assert set(labels) == {"image", "text"}
    for name, label in labels.items():
        assert label.x == 9
        assert label.font.color == curve(figure, name).line.color
    assert labels["image"].y != labels["text"].y  # both lines end near each other


def test_a_value_missing_in_an_epoch_is_a_gap() -> None:
    records = history(3)
    del records[0]["means"]["kl"]
    y = curve(training_curves(records), "Loss: kl").y
    assert np.isnan(y[0])
    np.testing.assert_allclose(y[1:], [19.0, 18.0])


def test_flat_records_and_a_single_epoch_work() -> None:
    figure = training_curves([{"epoch": 3, "loss": 1.5}])
    assert titles(figure) == ["Loss"]
    assert figure.data[0].y.tolist() == [1.5]
    assert list(figure.layout.xaxis.tickvals) == [3]
    one = training_curves(history(1))
    assert all("markers" in trace.mode for trace in one.data)  # a line of one point is invisible


def test_rows_at_the_bottom_are_wider_and_panels_do_not_overlap() -> None:
    figure = training_curves(history())  # seven panels: 3 + 2 + 2
    domains = [axis.domain for axis in figure.select_xaxes()]
    widths = [round(high - low, 3) for low, high in domains]
    assert len(widths) == 7
    assert widths[0] == widths[1] == widths[2] < widths[3] == widths[6]
    assert domains[0][1] < domains[1][0] < domains[1][1] < domains[2][0]


def test_labels_are_spread_without_leaving_the_panel() -> None:
    placed = spread([5.0, 0.0, 5.1, 4.9], 1.0, (0.0, 6.0))
    assert placed[3] < placed[0] < placed[2] <= 6.0
    assert min(np.diff(sorted(placed))) >= 1.0 - 1e-9
    assert placed[1] == 0.0


def test_errors_are_named() -> None:
    with pytest.raises(ValueError, match=r"training_curves: expected at least one epoch"):
        training_curves([])
    with pytest.raises(ValueError, match=r"training_curves: expected names .* got \['klx'\]"):
        training_curves(history(), ["klx"])
    with pytest.raises(ValueError, match=r"training_curves: expected names .* got \['ln'\]"):
        training_curves(history(), references={"ln": {"ln 2": 0.7}})
    with pytest.raises(ValueError, match=r"training_curves: expected names .* got \['eq'\]"):
        training_curves(history(), labels={"eq": "Eq. 1"})
    with pytest.raises(ValueError, match=r"training_curves: record 0 has no epoch number"):
        training_curves([{"loss": 1.0}])
    with pytest.raises(ValueError, match=r"training_curves: 'loss' is nan in epoch 2"):
        training_curves([{"epoch": 2, "loss": math.nan}])
