"""Two clouds and their discriminator: each frame its points and its ground, the scale of one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import ImageColor

from kit.figures import discriminated_clouds
from kit.figures.look import COLOURS

FRAMES, POINTS = 4, 30
LABELS = ["step 0", "step 5", "step 10", "step 15"]


def draw(**other: Any) -> tuple[Any, dict[str, Any]]:
    """The figure, and what it was drawn from."""
    rng = np.random.default_rng(0)
    given = {
        "image_points": rng.normal(size=(FRAMES, POINTS, 2)),
        "text_points": rng.normal(size=(FRAMES, POINTS, 2)),
        "image_probability": rng.random((FRAMES, 6, 9)),
        **{"reach": 2.5, "labels": LABELS, "title": "Apart"},
        **other,
    }
    return discriminated_clouds(**given), given


def test_each_frame_holds_its_points_and_its_ground_and_the_first_is_shown() -> None:
    figure, given = draw()
    assert [frame.name for frame in figure.frames] == LABELS
    shown: list[Any] = [figure.data, *(frame.data for frame in figure.frames)]
    for at, (heat, images, texts) in zip((0, *range(FRAMES)), shown, strict=True):
        np.testing.assert_array_equal(heat.z, np.float32(given["image_probability"][at]))
        for trace, name in ((images, "image_points"), (texts, "text_points")):
            points = given[name][at]
            np.testing.assert_array_equal(np.stack([trace.x, trace.y], axis=1), np.float32(points))
            assert trace.x.dtype == np.float32
    assert all(list(frame.traces) == [0, 1, 2] for frame in figure.frames)
    json = figure.to_json()
    assert "http" not in json
    assert len(json) < 16_000  # float32, not lists


def test_the_ground_is_blue_for_images_orange_for_sentences_and_as_wide_as_the_axes() -> None:
    figure, _ = draw()
    heat, images, texts = figure.data
    assert (heat.zmin, heat.zmax) == (0, 1)
    (_, orange), (half, white), (_, blue) = heat.colorscale
    assert (half, white) == (0.5, "#FFFFFF")
    for pale, points, name in ((blue, images, "image"), (orange, texts, "sentence")):
        assert points.name == name
        shades = [ImageColor.getrgb(shade) for shade in (pale, points.marker.color)]
        assert len({shade[0] > shade[2] for shade in shades}) == 1, "pale is of the points' hue"
    assert (images.marker.color, texts.marker.color) == COLOURS[:2]
    assert images.marker.symbol != texts.marker.symbol
    np.testing.assert_allclose(heat.x, np.linspace(-2.5, 2.5, 9), rtol=1e-6)
    np.testing.assert_allclose(heat.y, np.linspace(-2.5, 2.5, 6), rtol=1e-6)
    assert figure.layout.xaxis.range == figure.layout.yaxis.range == (-2.5, 2.5)
    assert figure.layout.yaxis.scaleanchor == "x"


def test_slider_and_button_go_through_the_frames_and_redraw_the_ground() -> None:
    layout = draw()[0].layout
    (slider,), (menu,) = layout.sliders, layout.updatemenus
    assert slider.active == 0
    assert [step.label for step in slider.steps] == LABELS
    assert [step.args[0] for step in slider.steps] == [(label,) for label in LABELS]
    moves = [step.args[1] for step in slider.steps] + [menu.buttons[0].args[1]]
    assert all(move["frame"]["redraw"] for move in moves)  # a heat map does not move without


WRONG_SHAPES = (
    r"discriminated_clouds: expected image_points and text_points of one shape "
    r"\(frames, points, 2\), image_probability \(frames, height, width\) "
    r"and a label per frame, got "
)
NOTHING = dict.fromkeys(("image_points", "text_points"), np.zeros((0, 30, 2)))
NOTHING["image_probability"] = np.zeros((0, 6, 9))


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"text_points": np.zeros((4, 29, 2))}, WRONG_SHAPES + r".* \(4, 29, 2\), \(4, 6, 9\)"),
        (dict.fromkeys(NOTHING, np.zeros((4, 30, 3))), WRONG_SHAPES + r"\(4, 30, 3\)"),
        ({"image_points": np.zeros((4, 30, 3))}, WRONG_SHAPES + r"\(4, 30, 3\)"),
        ({"image_probability": np.zeros((4, 6))}, WRONG_SHAPES + r".* \(4, 6\) and 4 labels"),
        ({"image_probability": np.zeros((3, 6, 9))}, WRONG_SHAPES + r".* \(3, 6, 9\) and 4 la"),
        ({"labels": LABELS[1:]}, WRONG_SHAPES + r".* and 3 labels"),
        ({**NOTHING, "labels": []}, WRONG_SHAPES + r".* \(0, 6, 9\) and 0 labels"),
        ({"image_points": np.full((4, 30, 2), np.nan)}, r"and text_points must be finite"),
        ({"text_points": np.full((4, 30, 2), np.inf)}, r"and text_points must be finite"),
        ({"image_probability": np.full((4, 6, 9), 1.01)}, r"must lie between 0 and 1"),
        ({"image_probability": np.full((4, 6, 9), -0.01)}, r"must lie between 0 and 1"),
        ({"image_probability": np.full((4, 6, 9), np.nan)}, r"image_probability must lie betw"),
        ({"labels": [LABELS[0]] * FRAMES}, r"expected labels that differ and a positive reach"),
        ({"reach": 0.0}, r"a positive reach below 1e30, got .* and 0\.0"),
        ({"reach": np.inf}, r"a positive reach below 1e30, got .* and inf"),
    ],
)
def test_errors_are_named(other: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw(**other)
