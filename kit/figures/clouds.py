"""Two clouds of points and the discriminator between them, with a slider (Figures 1 and 2)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray

from kit.arguments import checked
from kit.figures.look import COLOURS, float32, lay_out, play_button, slider

Floats = NDArray[np.float32]
IMAGE, TEXT = COLOURS[0], COLOURS[1]
SCALE = ((0.0, "#F2C6A0"), (0.5, "#FFFFFF"), (1.0, "#A9CCE3"))


@checked
def discriminated_clouds(
    image_points: ArrayLike,
    text_points: ArrayLike,
    image_probability: ArrayLike,
    *,
    reach: float,
    labels: Sequence[str],
    title: str,
) -> go.Figure:
    """Draw image and text features in the plane, on what a discriminator says of every place.

    The ground is blue where it says "image", orange where it says "text", white where it cannot
    tell. The first frame is shown first.

    Args:
        image_points: (frames, points, 2).
        text_points: (frames, points, 2).
        image_probability: (frames, height, width) from 0 to 1, on a grid from -reach to reach in
            both axes, from the bottom left.
        reach: half the side of the square that is shown.
        labels: what the slider says at each frame.
        title: what one sees.

    Raises:
        ValueError: arrays that do not fit each other or are not finite, probabilities outside of 0
            and 1, a label twice, a reach that is not positive.

    """
    image, text, ground = map(float32, (image_points, text_points, image_probability))
    _check(image, text, ground, labels, reach)
    frames = [
        go.Frame(name=label, data=_moved(image[at], text[at], ground[at]), traces=[0, 1, 2])
        for at, label in enumerate(labels)
    ]
    traces = _moved(image[0], text[0], ground[0])
    axis = np.linspace(-reach, reach, ground.shape[2], dtype=np.float32)
    traces[0].update(
        x=axis,
        y=np.linspace(-reach, reach, ground.shape[1], dtype=np.float32),
        zmin=0,
        zmax=1,
        colorscale=SCALE,
        colorbar={"title": "P(image)", "thickness": 12, "outlinewidth": 0},
        hovertemplate="P(image) %{z:.3f}<extra></extra>",
    )
    for trace, name, symbol, shade in (
        (traces[1], "image", "triangle-up", IMAGE),
        (traces[2], "sentence", "circle", TEXT),
    ):
        trace.update(
            mode="markers",
            name=name,
            marker={"symbol": symbol, "size": 8, "color": shade}
            | {"line": {"color": "white", "width": 0.5}},
            hoverinfo="skip",
        )
    figure = go.Figure(data=traces, frames=frames)
    bare = {"showticklabels": False, "ticks": "", "showgrid": False, "range": [-reach, reach]}
    figure.update_xaxes(**bare)
    figure.update_yaxes(scaleanchor="x", **bare)
    lay_out(figure, title, 528, (64, 48), subtitle="▲ image   ● sentence")
    figure.update_layout(
        width=620,
        showlegend=False,
        sliders=[slider(labels, redraw=True)],
        updatemenus=[play_button(redraw=True)],
    )
    return figure


def _moved(image: Floats, text: Floats, ground: Floats) -> list[go.Heatmap | go.Scatter]:
    """Only what changes between frames."""
    clouds = (go.Scatter(x=points[:, 0], y=points[:, 1]) for points in (image, text))
    return [go.Heatmap(z=ground), *clouds]


def _check(
    image: Floats, text: Floats, ground: Floats, labels: Sequence[str], reach: float
) -> None:
    name = "discriminated_clouds"
    fits = image.ndim == 3 and image.shape[2] == 2 and image.shape == text.shape
    if not fits or ground.ndim != 3 or not len(image) == len(ground) == len(labels) > 0:
        raise ValueError(
            f"{name}: expected image_points and text_points of one shape (frames, points, 2), "
            "image_probability (frames, height, width) and a label per frame, got "
            f"{image.shape}, {text.shape}, {ground.shape} and {len(labels)} labels"
        )
    if len(set(labels)) != len(labels) or not 0 < reach < 1e30:
        raise ValueError(
            f"{name}: expected labels that differ and a positive reach below 1e30, got "
            f"{list(labels)} and {reach}"
        )
    if not all(np.isfinite(values).all() for values in (image, text)):
        raise ValueError(f"{name}: image_points and text_points must be finite")
    if not ((ground >= 0) & (ground <= 1)).all():
        raise ValueError(f"{name}: image_probability must lie between 0 and 1")
