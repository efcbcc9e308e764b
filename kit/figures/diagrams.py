"""Diagrams of boxes and arrows; ITMeetsAL's Figures 4 and 7: which way the gradients go."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import NamedTuple

from kit.figures.look import COLOURS, GRID, INK, Html

BLUE, ORANGE, GREEN = COLOURS[0], COLOURS[1], COLOURS[2]
WIDTH, HEIGHT = 860, 330


class Arrow(NamedTuple):
    """A line through points, with a head at its end; dashed where it is a gradient."""

    points: tuple[tuple[int, int], ...]
    colour: str = INK
    says: str = ""
    at: tuple[int, int] = (0, 0)  # where it says it


class Box(NamedTuple):
    """A network or a loss."""

    x: int
    y: int
    width: int
    lines: tuple[str, ...]
    colour: str = INK
    height: int = 50


class Words(NamedTuple):
    """A line of words beside the boxes."""

    x: int
    y: int
    says: str


_ENCODERS = (
    Box(20, 60, 96, ("images",), GRID),
    Box(20, 200, 96, ("sentences",), GRID),
    Box(150, 60, 110, ("CNN", "θ_E1"), BLUE),
    Box(150, 200, 110, ("Bi-LSTM", "θ_E2"), BLUE),
    Box(300, 130, 110, ("Z^i, Z^t", "shared space"), GRID),
)
_FORWARD = (
    Arrow(((116, 85), (148, 85))),
    Arrow(((116, 225), (148, 225))),
    Arrow(((260, 85), (298, 140))),
    Arrow(((260, 225), (298, 170))),
)
_UNIFIED = (
    (
        *_ENCODERS,
        Box(470, 130, 110, ("D", "θ_D"), ORANGE),
        Box(650, 60, 180, ("L_s: minus its entropy", "Equation 4"), GRID),
        Box(650, 200, 180, ("L_c: its cross-entropy", "Equation 5"), GRID),
    ),
    (
        *_FORWARD,
        Arrow(((410, 155), (468, 155))),
        Arrow(((580, 145), (648, 85))),
        Arrow(((580, 165), (648, 225))),
        Arrow(
            ((740, 58), (740, 26), (205, 26), (205, 58)),
            BLUE,
            "gradient of L_s: through D, which stays, into both encoders",
            (300, 18),
        ),
        Arrow(
            ((740, 252), (740, 290), (525, 290), (525, 182)),
            ORANGE,
            "gradient of L_c: into D alone, every k-th step",
            (470, 312),
        ),
    ),
)
_SEPARATE = (
    (
        *_ENCODERS,
        Box(470, 60, 120, ("U", "θ_U, uncertainty"), BLUE),
        Box(470, 200, 120, ("C", "θ_c, modality"), ORANGE),
        Box(660, 60, 170, ("L_s: minus U's entropy", "Equation 4"), GRID),
        Box(660, 200, 170, ("L_d = L_c of C", "Equation 5"), GRID),
    ),
    (
        *_FORWARD,
        Arrow(((410, 145), (468, 95))),
        Arrow(((410, 165), (468, 215))),
        Arrow(((590, 85), (658, 85))),
        Arrow(((590, 225), (658, 225))),
        Arrow(
            ((745, 58), (745, 26), (205, 26), (205, 58)),
            BLUE,
            "gradient of L_s: into U and both encoders",
            (360, 18),
        ),
        Arrow(
            ((690, 252), (690, 282), (500, 282), (500, 252)),
            ORANGE,
            "C descends L_d, every k-th step",
            (508, 275),
        ),
        Arrow(
            ((800, 252), (800, 312), (205, 312), (205, 252)),
            GREEN,
            "reversed, times -1: the encoders climb L_d",
            (230, 305),
        ),
    ),
)


def adversary_diagram(adversary: str) -> Html:
    """Draw how the adversary is built: black arrows are features, coloured ones gradients.

    Args:
        adversary: ``"unified"`` (Figure 4) or ``"separate"`` (Figure 7).

    Raises:
        ValueError: another one.

    """
    drawings = {"unified": _UNIFIED, "separate": _SEPARATE}
    if adversary not in drawings:
        raise ValueError(
            f"adversary_diagram: adversary must be one of {list(drawings)}, got {adversary!r}"
        )
    boxes, arrows = drawings[adversary]
    return drawing(boxes, arrows, height=HEIGHT, says=f"adversary: {adversary}")


def drawing(
    boxes: Sequence[Box],
    arrows: Sequence[Arrow],
    words: Sequence[Words] = (),
    *,
    height: int,
    says: str,
) -> Html:
    """Boxes, arrows and words as one picture of `WIDTH`, which shrinks with the page.

    Args:
        boxes: networks and losses.
        arrows: over the boxes.
        words: what is said beside them.
        height: in the units of the boxes.
        says: what the picture is, for those who do not see it.

    """
    shapes = "".join([*map(_box, boxes), *map(_arrow, arrows), *map(_words, words)])
    shades = dict.fromkeys([INK, BLUE, ORANGE, GREEN, *(arrow.colour for arrow in arrows)])
    heads = "".join(
        f'<marker id="head-{name}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        f'markerHeight="7" orient="auto"><path d="M0 0 L8 4 L0 8 z" fill="#{name}"/></marker>'
        for name in (shade.lstrip("#") for shade in shades)
    )
    return Html(
        f'<svg viewBox="0 0 {WIDTH} {height}" style="max-width:{WIDTH}px;width:100%;'
        'background:white;font-family:Helvetica,Arial,sans-serif" role="img" '
        f'aria-label="{html.escape(says)}"><defs>{heads}</defs>{shapes}</svg>'
    )


def _box(box: Box) -> str:
    middle = box.x + box.width / 2
    first = box.y + box.height / 2 + 5 - 8 * (len(box.lines) - 1)
    words = "".join(
        f'<text x="{middle}" y="{first + 17 * row:g}" '
        f'text-anchor="middle" font-size="{14 if row == 0 else 12}" fill="{INK}">'
        f"{_subscripts(line)}</text>"
        for row, line in enumerate(box.lines)
    )
    return (
        f'<rect x="{box.x}" y="{box.y}" width="{box.width}" height="{box.height}" rx="6" '
        f'fill="white" stroke="{box.colour}" stroke-width="2"/>{words}'
    )


def _arrow(arrow: Arrow) -> str:
    path = " ".join(f"{x},{y}" for x, y in arrow.points)
    dash = "" if arrow.colour == INK else ' stroke-dasharray="6 4"'
    line = (
        f'<polyline points="{path}" fill="none" stroke="{arrow.colour}" stroke-width="2"{dash} '
        f'marker-end="url(#head-{arrow.colour.lstrip("#")})"/>'
    )
    if not arrow.says:
        return line
    x, y = arrow.at
    return (
        f'{line}<text x="{x}" y="{y}" font-size="12.5" fill="{arrow.colour}">'
        f"{_subscripts(arrow.says)}</text>"
    )


def _words(words: Words) -> str:
    return (
        f'<text x="{words.x}" y="{words.y}" font-size="12.5" fill="{INK}">'
        f"{_subscripts(words.says)}</text>"
    )


def _subscripts(words: str) -> str:
    """`L_s` and `Z^i` with their letters lowered and raised."""
    done = []
    for word in html.escape(words).split(" "):
        for sign, shift in (("_", "sub"), ("^", "super")):
            base, there, rest = word.partition(sign)
            if there:
                end = len(rest.rstrip(":,"))
                word = (
                    f'{base}<tspan baseline-shift="{shift}" font-size="75%">{rest[:end]}</tspan>'
                    f"{rest[end:]}"
                )
        done.append(word)
    return " ".join(done)
