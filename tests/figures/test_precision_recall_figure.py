from __future__ import annotations

import numpy as np
import pytest

from kit.figures import precision_recall_curves

# One query, four items, relevant ones at ranks 1 and 3.
RECALL, PRECISION = [0.5, 0.5, 1.0, 1.0], [1.0, 0.5, 2 / 3, 0.5]


def interpolated_by_loop(recall: list[float], precision: list[float]) -> list[float]:
    points = []
    for level in range(11):
        reached = [p for r, p in zip(recall, precision, strict=True) if r >= level / 10 - 1e-6]
        points.append(max(reached))
    return points


def area_by_loop(recall: list[float], precision: list[float]) -> float:
    area, last_r, last_p = 0.0, 0.0, precision[0]
    for r, p in zip(recall, precision, strict=True):
        area += (r - last_r) * (p + last_p) / 2
        last_r, last_p = r, p
    return area


def random_curve(seed: int, ranks: int) -> tuple[list[float], list[float]]:
    draw = np.random.default_rng(seed)
    hits = np.cumsum(draw.random(ranks) < 0.3) + 1
    return (hits / hits[-1]).tolist(), (hits / np.arange(2, ranks + 2)).tolist()


def test_a_hand_worked_ranking() -> None:
    figure = precision_recall_curves({"Image to text": {"ours": (RECALL, PRECISION)}})
    line, points = figure.data
    np.testing.assert_allclose(line.x, RECALL)
    np.testing.assert_allclose(line.y, PRECISION, rtol=1e-6)
    assert points.y[:6].tolist() == [1.0] * 6
    np.testing.assert_allclose(points.y[6:], 2 / 3, rtol=1e-6)
    # 0.5 x 1, then from (0.5, 0.5) to (1, 2/3): 0.5 x 7/12
    assert line.name == f"ours: area {0.5 + 7 / 24:.3f}"
    assert not points.showlegend
    assert line.x.dtype == points.y.dtype == np.float32


@pytest.mark.parametrize("seed", range(3))
def test_points_and_area_equal_loops(seed: int) -> None:
    recall, precision = random_curve(seed, 40)
    line, points = precision_recall_curves({"d": {"r": (recall, precision)}}).data
    np.testing.assert_allclose(points.y, interpolated_by_loop(recall, precision), rtol=1e-6)
    np.testing.assert_allclose(points.x, np.arange(11) / 10, rtol=1e-6)
    assert line.name == f"r: area {area_by_loop(recall, precision):.3f}"


def test_directions_stand_side_by_side_with_a_legend_each() -> None:
    runs = {"a": random_curve(0, 30), "b": random_curve(1, 30)}
    figure = precision_recall_curves({"Image to text": runs, "Text to image": {"b": runs["b"]}})
    assert len(figure.data) == 6
    assert [trace.xaxis for trace in figure.data] == ["x"] * 4 + ["x2"] * 2
    assert {trace.legend for trace in figure.data[:4]} == {"legend"}
    assert {trace.legend for trace in figure.data[4:]} == {"legend2"}
    assert figure.data[2].line.color == figure.data[4].line.color != figure.data[0].line.color
    assert figure.layout.legend2.x == figure.layout.xaxis2.domain[0] > figure.layout.xaxis.domain[1]
    assert figure.layout.legend.y < 0  # below the curves, never over them
    assert [a.text for a in figure.layout.annotations] == [
        "<b>Image to text</b>",
        "<b>Text to image</b>",
    ]


def test_the_numbers_agree_with_the_metrics_room() -> None:
    from kit.metrics.retrieval import evaluate_retrieval

    draw = np.random.default_rng(0)
    labels = np.arange(12)
    scores = evaluate_retrieval(
        draw.normal(size=(12, 4)), draw.normal(size=(36, 4)), labels, np.repeat(labels, 3), ks=(1,)
    )
    curve = (scores.curve.recall, scores.curve.precision)
    line, points = precision_recall_curves({"d": {"r": curve}}).data
    np.testing.assert_allclose(points.y, scores.interpolated, rtol=1e-6)
    assert line.name == f"r: area {scores.area:.3f}"


def test_errors_are_named() -> None:
    name = "precision_recall_curves"
    with pytest.raises(ValueError, match=rf"{name}: expected at least one run"):
        precision_recall_curves({})
    with pytest.raises(ValueError, match=rf"{name}: expected at least one run"):
        precision_recall_curves({"Image to text": {}})
    with pytest.raises(ValueError, match=rf"{name}: 'd', 'r': .* got \(2,\) and \(3,\)"):
        precision_recall_curves({"d": {"r": ([0.5, 1.0], [1.0, 0.5, 0.2])}})
    for recall, precision in (
        ([0.5, 0.9], [1.0, 0.5]),  # does not reach 1
        ([0.5, 0.4, 1.0], [1.0, 0.5, 0.5]),  # falls
        ([50.0, 100.0], [1.0, 0.5]),  # percent
        ([0.5, 1.0], [np.nan, 0.5]),
    ):
        with pytest.raises(ValueError, match=rf"{name}: 'd', 'r': expected numbers from 0 to 1"):
            precision_recall_curves({"d": {"r": (recall, precision)}})
