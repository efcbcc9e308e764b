"""The one look of all figures: colours, template, and how JupyterLab shows them."""

from __future__ import annotations

import base64
import colorsys
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
import plotly.io as pio
from numpy.typing import ArrayLike, NDArray
from PIL import Image

# Okabe and Ito's colours, told apart by colour-blind eyes; their yellow is lost on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
INK, GREY, GRID = "#222222", "#767676", "#E6E6E6"
ABOVE = {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom"}  # a legend over its plots
HIT, MISS = "#008A65", "#D04A10"  # legible as text on white and on JupyterLab's dark background

_AXIS = {
    "automargin": True,
    "gridcolor": GRID,
    "linecolor": GREY,
    "showline": True,
    "tickcolor": GREY,
    "ticks": "outside",
    "ticklen": 4,
    "zeroline": False,
}
TEMPLATE = go.layout.Template(
    layout={
        "colorway": COLOURS,
        "font": {"family": "Helvetica, Arial, sans-serif", "size": 12, "color": INK},
        "hoverlabel": {"bgcolor": "white", "font": {"color": INK}},
        "margin": {"l": 56, "r": 24, "t": 64, "b": 48},
        "paper_bgcolor": "white",
        "plot_bgcolor": "white",
        "title": {"x": 0, "xref": "paper", "xanchor": "left", "font": {"size": 16}},
        "xaxis": _AXIS,
        "yaxis": _AXIS,
    }
)


@dataclass(frozen=True)
class Html:
    """A picture made of text: a notebook shows it, and it is whole without a network."""

    html: str

    def _repr_html_(self) -> str:
        return self.html


def page(title: str, *parts: str, width: int = 900) -> Html:
    """HTML below a title, at most so many pixels wide."""
    return Html(
        '<div style="font-family:Helvetica,Arial,sans-serif;font-size:13px;line-height:1.35;'
        f'max-width:{width}px"><div style="font-size:16px;margin-bottom:6px">{html.escape(title)}'
        f"</div>{''.join(parts)}</div>"
    )


def beside(left: str, right: str, width: int, place: str = "center") -> str:
    """A row of a page: what stands on the left takes so many pixels, a line above parts rows."""
    return (
        f'<div style="display:flex;gap:20px;align-items:{place};padding:10px 0;'
        f'border-top:1px solid rgba(128,128,128,0.4)"><div style="flex:0 0 {width}px">{left}</div>'
        f"{right}</div>"
    )


def png(first: Image.Image, *others: Image.Image, milliseconds: int = 0) -> str:
    """A picture, or several in an endless loop, as an address that is part of the page."""
    file = io.BytesIO()
    loop = {"append_images": others, "duration": milliseconds, "loop": 0} if others else {}
    first.save(file, format="PNG", save_all=bool(others), **loop)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def use_in_notebooks() -> None:
    """Show figures in JupyterLab without trust and without plotly.js in every notebook.

    Called once, when `kit.figures` is imported.
    """
    pio.renderers.default = "plotly_mimetype"
    # plotly's own default offers to upload the figure.
    pio.renderers["plotly_mimetype"].config = {"showSendToCloud": False, "displaylogo": False}


def float32(values: ArrayLike) -> NDArray[np.float32]:
    """An array in float32; what that cannot hold is infinite, to be refused as such."""
    with np.errstate(over="ignore"):
        return np.asarray(values, dtype=np.float32)


def colour(index: int) -> str:
    """The colour of the index-th thing; they repeat after seven."""
    return COLOURS[index % len(COLOURS)]


def pair_colours(count: int) -> list[str]:
    """As many colours as there are pairs; neighbours in the list are far apart.

    Hues go round by the golden angle, and every other one is darker.
    """
    colours = []
    for index in range(count):
        parts = colorsys.hls_to_rgb(index * 0.381966 % 1, 0.34 if index % 2 else 0.52, 0.75)
        colours.append("#" + "".join(f"{round(255 * part):02x}" for part in parts))
    return colours


def lay_out(
    figure: go.Figure, title: str, plot: int, margin: tuple[int, int], *, subtitle: str = ""
) -> None:
    """Give plots their height, and room above and below them, all in pixels; and their words."""
    figure.update_layout(
        template=TEMPLATE,
        title={"text": title, "subtitle": {"text": subtitle}} if subtitle else title,
        height=plot + sum(margin),
        margin=dict(zip("tb", margin, strict=True)),
    )


def add_panel_title(figure: go.Figure, title: str, **where: int) -> None:
    """Write a title above the left end of one of several panels, by its `row` and `col`."""
    figure.add_annotation(
        text=f"<b>{title}</b>",
        showarrow=False,
        xref="x domain",
        yref="y domain",
        x=0,
        y=1,
        xanchor="left",
        yanchor="bottom",
        **where,
    )


def add_reference(figure: go.Figure, label: str, height: float, **where: int) -> None:
    """Draw a dashed line to compare with, its label at its left end."""
    figure.add_hline(
        y=height,
        line={"dash": "dash", "width": 1, "color": GREY},
        annotation={"text": label, "font": {"size": 11, "color": GREY}},
        annotation_position="top left",
        **where,
    )


def plain(name: str) -> str:
    """A name from a history as words.

    >>> plain("discriminator_accuracy")
    'Discriminator accuracy'
    """
    words = name.replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def slider(
    labels: Sequence[str], *, prefix: str = "", active: int = 0, redraw: bool = False
) -> dict[str, Any]:
    """A slider over frames of these names; `redraw` where more than points and lines changes."""
    glide = _motion(300, 300, redraw)
    return {
        "active": active,
        "currentvalue": {"prefix": prefix},
        "pad": {"l": 70, "t": 12},
        "steps": [
            {"label": label, "method": "animate", "args": [[label], glide]} for label in labels
        ],
    }


def play_button(*, redraw: bool = False) -> dict[str, Any]:
    """A button that runs through the frames from the first on."""
    run = _motion(700, 500, redraw) | {"fromcurrent": False}
    return {
        "type": "buttons",
        "x": 0,
        "y": 0,
        "xanchor": "left",
        "yanchor": "top",
        "pad": {"t": 30},
        "showactive": False,
        "buttons": [{"label": "▶", "method": "animate", "args": [None, run]}],
    }


def _motion(milliseconds: int, transition: int, redraw: bool) -> dict[str, Any]:
    """From frame to frame; what is drawn anew cannot glide."""
    frame = {"duration": milliseconds, "redraw": redraw}
    glide = {"duration": 0 if redraw else transition}
    return {"mode": "immediate", "frame": frame, "transition": glide}
