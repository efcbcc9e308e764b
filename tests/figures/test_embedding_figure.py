"""The embedding map: pairs of an image and a sentence, epoch by epoch or run by run."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from kit.figures import embedding_map, embedding_maps
from kit.figures.look import pair_colours, play_button, slider

EPOCHS, PAIRS = 10, 40
NAMES = [f"pair {at}" for at in range(PAIRS)]


def points(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(EPOCHS, PAIRS, 2)).astype(np.float32)


@pytest.fixture
def figure() -> go.Figure:
    return embedding_map(points(0), points(1), NAMES)


def test_shape_is_the_modality_and_colour_the_pair(figure: go.Figure) -> None:
    lines, images, texts = figure.data
    assert lines.mode == "lines"
    assert (images.marker.symbol, texts.marker.symbol) == ("triangle-up", "circle")
    assert list(images.marker.color) == list(texts.marker.color)
    assert len(set(images.marker.color)) == PAIRS
    assert list(images.text) == list(texts.text) == NAMES


def test_each_frame_holds_its_epoch_and_the_last_is_shown(figure: go.Figure) -> None:
    assert [frame.name for frame in figure.frames] == [str(epoch) for epoch in range(EPOCHS)]
    for epoch, frame in enumerate(figure.frames):
        _, images, texts = frame.data
        np.testing.assert_array_equal(images.x, points(0)[epoch, :, 0])
        np.testing.assert_array_equal(texts.y, points(1)[epoch, :, 1])
        assert list(frame.traces) == [0, 1, 2]
    np.testing.assert_array_equal(figure.data[1].y, points(0)[-1, :, 1])
    assert figure.data[1].x.dtype == np.float32


def test_lines_join_the_pairs_and_only_them(figure: go.Figure) -> None:
    for trace, epoch in ((figure.data[0], EPOCHS - 1), (figure.frames[3].data[0], 3)):
        x = np.reshape(trace.x, (PAIRS, 3))
        np.testing.assert_array_equal(x[:, 0], points(0)[epoch, :, 0])
        np.testing.assert_array_equal(x[:, 1], points(1)[epoch, :, 0])
        assert np.isnan(x[:, 2]).all()


def test_the_slider_has_a_step_per_epoch_and_stands_at_the_last(figure: go.Figure) -> None:
    (slider,) = figure.layout.sliders
    assert slider.active == EPOCHS - 1
    assert [step.args[0] for step in slider.steps] == [(frame.name,) for frame in figure.frames]
    assert {step.method for step in slider.steps} == {"animate"}


def test_axes_hold_every_epoch_and_keep_their_scale() -> None:
    wide = 2 * points(1)  # the sentences lie around the images
    figure = embedding_map(points(0), wide, NAMES)
    both = np.concatenate([points(0), wide]).reshape(-1, 2)
    for axis, column in ((figure.layout.xaxis, 0), (figure.layout.yaxis, 1)):
        assert axis.range[0] < both[:, column].min()
        assert axis.range[1] > both[:, column].max()
    assert figure.layout.yaxis.scaleanchor == "x"
    assert all(frame.layout.xaxis.range is None for frame in figure.frames)


def test_given_epochs_name_the_steps_and_one_epoch_needs_no_slider() -> None:
    figure = embedding_map(points(0)[:2], points(1)[:2], NAMES, epochs=[5, 9])
    assert [step.label for step in figure.layout.sliders[0].steps] == ["5", "9"]
    assert not embedding_map(points(0)[:1], points(1)[:1], NAMES).layout.sliders


def test_hover_texts_are_escaped_and_broken_at_words() -> None:
    caption = "<b>bold</b> & " + "word " * 20
    figure = embedding_map(points(0)[:, :1], points(1)[:, :1], [caption])
    text = figure.data[1].text[0]
    assert text.startswith("&lt;b>bold&lt;/b> &amp; word")
    assert max(len(line) for line in text.split("<br>")) <= 75
    assert text.count("word") == 20


def test_it_is_small_and_asks_for_nothing_from_a_network(figure: go.Figure) -> None:
    text = figure.to_json()
    assert "http" not in text
    assert len(text) < 60_000  # ten epochs of forty pairs as float32, not as lists


def test_errors_are_named() -> None:
    a, b = points(0), points(1)
    with pytest.raises(ValueError, match=r"must have the same shape .* \(10, 40, 2\) and \(10, 39"):
        embedding_map(a, b[:, :39], NAMES)
    with pytest.raises(ValueError, match=r"must have the same shape"):
        embedding_map(a[0], b[0], NAMES)
    with pytest.raises(
        ValueError, match=r"embedding_map: expected one name per pair \(40\), got 3"
    ):
        embedding_map(a, b, NAMES[:3])
    with pytest.raises(ValueError, match=r"embedding_map: expected 10 different epochs"):
        embedding_map(a, b, NAMES, epochs=[1, 2])
    with pytest.raises(ValueError, match=r"embedding_map: expected 10 different epochs"):
        embedding_map(a, b, NAMES, epochs=[1] * 10)
    a[3, 4, 0] = np.nan
    with pytest.raises(ValueError, match=r"image points and sentence points must be finite"):
        embedding_map(a, b, NAMES)


def test_colours_of_pairs_differ_and_neighbours_are_far_apart() -> None:
    colours = pair_colours(40)
    assert len(set(colours)) == 40
    rgb = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in colours])
    for apart in (1, 2, 3):
        assert np.linalg.norm(rgb[apart:] - rgb[:-apart], axis=1).min() > 50


# ---- the same pairs, run by run


def maps(count: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    return {f"run {at}": (points(2 * at)[0], points(2 * at + 1)[0]) for at in range(count)}


@pytest.mark.parametrize(("count", "rows"), [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3)])
def test_runs_stand_two_in_a_row_each_with_its_points_and_its_name(count: int, rows: int) -> None:
    figure = embedding_maps(maps(count), NAMES, title="Runs")
    assert len(figure.data) == 3 * count
    for at, (run, (image, text)) in enumerate(maps(count).items()):
        lines, images, texts = figure.data[3 * at : 3 * at + 3]
        for trace, expected in ((images, image), (texts, text)):
            np.testing.assert_array_equal(np.stack([trace.x, trace.y], axis=1), expected)
            assert trace.text == tuple(NAMES)
        joined = np.reshape(lines.y, (PAIRS, 3))
        np.testing.assert_array_equal(joined[:, :2], np.stack([image[:, 1], text[:, 1]], axis=1))
        assert np.isnan(joined[:, 2]).all()
        suffix = str(at + 1) if at else ""
        assert {(t.xaxis, t.yaxis) for t in (lines, images, texts)} == {
            (f"x{suffix}", f"y{suffix}")
        }
        said = figure.layout.annotations[at]
        assert (said.text, said.xref) == (f"<b>{run}</b>", f"x{suffix} domain")
    assert len({axis.domain for axis in figure.select_yaxes()}) == rows
    assert figure.layout.title.text == "Runs"
    assert "http" not in figure.to_json()


def test_a_pair_has_one_colour_in_every_run_and_the_shape_is_the_modality() -> None:
    figure = embedding_maps(maps(3), NAMES)
    marked = [trace for trace in figure.data if trace.mode == "markers"]
    assert {trace.marker.color for trace in marked} == {tuple(pair_colours(PAIRS))}
    assert [trace.marker.symbol for trace in marked] == ["triangle-up", "circle"] * 3


@pytest.mark.parametrize(
    ("wrong", "names", "message"),
    [
        (None, NAMES, r"embedding_maps: expected at least one map"),
        ((points(0)[0], points(1)[0, :39]), NAMES, r"must have the same shape .* 40, 2\) and .*39"),
        ((points(0), points(1)), NAMES, r"must have the same shape"),
        ((points(0)[0], np.full((PAIRS, 2), np.inf)), NAMES, r"sentence points must be finite"),
        ((points(0)[0], points(1)[0]), NAMES[1:], r"expected one name per pair \(40\), got 39"),
    ],
)
def test_errors_of_maps_are_named(wrong: Any, names: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        embedding_maps({} if wrong is None else {"wrong": wrong}, names)


@pytest.mark.parametrize("redraw", [False, True])
def test_slider_and_button_animate_the_frames_that_they_name(redraw: bool) -> None:
    slides = slider(["a", "b"], prefix="Epoch ", active=1, redraw=redraw)
    button = play_button(redraw=redraw)
    go.Layout(sliders=[slides], updatemenus=[button])  # plotly knows every word of them
    assert (slides["active"], slides["currentvalue"]) == (1, {"prefix": "Epoch "})
    assert [(step["label"], step["args"][0]) for step in slides["steps"]] == [
        ("a", ["a"]),
        ("b", ["b"]),
    ]
    (play,) = button["buttons"]
    assert play["args"][0] is None  # all frames
    assert play["args"][1]["fromcurrent"] is False
    for control in (*slides["steps"], play):
        assert control["method"] == "animate"
        move = control["args"][1]
        assert move["frame"]["redraw"] == redraw
        assert (move["transition"]["duration"] == 0) == redraw  # a redrawn frame cannot glide
