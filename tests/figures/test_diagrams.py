"""The two adversaries as diagrams: arrows lead from box to box, and gradients where they should."""

from __future__ import annotations

import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from kit.figures import adversary_diagram
from kit.figures.look import COLOURS, INK

BLUE, ORANGE, GREEN = COLOURS[:3]
WIDTH, HEIGHT = 860, 330
FEATURES = {("images", "CNN"), ("sentences", "Bi-LSTM"), ("CNN", "Zi, Zt"), ("Bi-LSTM", "Zi, Zt")}
FORWARD = {
    "unified": {("Zi, Zt", "D"), ("D", "Ls"), ("D", "Lc")},
    "separate": {("Zi, Zt", "U"), ("Zi, Zt", "C"), ("U", "Ls"), ("C", "Ld")},
}
GRADIENTS = {
    "unified": {(BLUE, "Ls", "CNN"), (ORANGE, "Lc", "D")},
    "separate": {(BLUE, "Ls", "CNN"), (ORANGE, "Ld", "C"), (GREEN, "Ld", "Bi-LSTM")},
}
SAID = {
    "unified": {"gradient of Ls: through D, which stays, into both encoders"}
    | {"gradient of Lc: into D alone, every k-th step"},
    "separate": {"gradient of Ls: into U and both encoders", "C descends Ld, every k-th step"}
    | {"reversed, times -1: the encoders climb Ld"},
}
SIDES = ("x", "y", "width", "height")
Places = dict[str, tuple[float, float, float, float]]
BOTH = pytest.mark.parametrize("adversary", ["unified", "separate"])


def parsed(adversary: str) -> ElementTree.Element:
    return ElementTree.fromstring(adversary_diagram(adversary).html)


def boxes(svg: ElementTree.Element) -> Places:
    """Each box, by the name that its words begin with: left, top, right, bottom."""
    found: Places = {}
    for rectangle, words in pairwise(svg):
        if rectangle.tag == "rect":
            name = re.match(r"[\w-]+(, \w+)?", "".join(words.itertext()))
            x, y, width, height = (float(rectangle.get(k, "")) for k in SIDES)
            assert name
            found[name[0]] = (x, y, x + width, y + height)
    return found


def beside(point: str, places: Places) -> str:
    """The one box at whose edge a point lies."""
    x, y = map(float, point.split(","))
    near = [
        name
        for name, (left, top, right, bottom) in places.items()
        if left - 3 <= x <= right + 3 and top - 3 <= y <= bottom + 3
        if not (left < x < right and top < y < bottom)
    ]
    assert len(near) == 1, (point, near)
    return near[0]


@BOTH
def test_arrows_join_the_boxes_and_gradients_go_where_the_paper_sends_them(adversary: str) -> None:
    svg = parsed(adversary)
    places = boxes(svg)
    forward, gradients = set(), set()
    heads = {marker.get("id"): marker[0].get("fill") for marker in svg.iter("marker")}
    for line in svg.iter("polyline"):
        points, shade = line.get("points", "").split(), line.get("stroke", "")
        ends = beside(points[0], places), beside(points[-1], places)
        assert heads[line.get("marker-end", "")[len("url(#") : -1]] == shade
        if shade == INK:
            forward.add(ends)
            assert line.get("stroke-dasharray") is None
        else:
            gradients.add((shade, *ends))
            assert line.get("stroke-dasharray")
    assert forward == FEATURES | FORWARD[adversary]
    assert gradients == GRADIENTS[adversary]


@BOTH
def test_gradients_say_what_they_do_in_their_colour(adversary: str) -> None:
    texts = [*parsed(adversary).iter("text")]
    said = {"".join(text.itertext()) for text in texts if text.get("fill") != INK}
    assert said == SAID[adversary]
    assert {text.get("fill") for text in texts} - {INK} == {g[0] for g in GRADIENTS[adversary]}


@BOTH
def test_subscripts_are_lowered_superscripts_raised_and_punctuation_is_neither(
    adversary: str,
) -> None:
    svg = parsed(adversary)
    shifts = {(part.text, part.get("baseline-shift")) for part in svg.iter("tspan")}
    lowered = {part for part, shift in shifts if shift == "sub"}
    assert {part for part, shift in shifts if shift == "super"} == {"i", "t"}
    assert lowered == {"E1", "E2", "s"} | (
        {"D", "c"} if adversary == "unified" else {"U", "c", "d"}
    )
    assert not set("_^") & set("".join(svg.itertext()))


@BOTH
def test_everything_lies_in_the_picture_and_comes_from_no_network(adversary: str) -> None:
    svg = parsed(adversary)
    assert svg.get("viewBox") == f"0 0 {WIDTH} {HEIGHT}"
    corners = [corner for place in boxes(svg).values() for corner in (place[:2], place[2:])]
    corners += [(float(text.get("x", "")), float(text.get("y", ""))) for text in svg.iter("text")]
    for line in svg.iter("polyline"):
        x_y = [point.split(",") for point in line.get("points", "").split()]
        corners += [(float(x), float(y)) for x, y in x_y]
    assert all(0 < x < WIDTH and 0 < y < HEIGHT for x, y in corners)
    assert "http" not in ElementTree.tostring(svg, encoding="unicode")


def test_another_adversary_is_refused() -> None:
    with pytest.raises(
        ValueError,
        match=r"adversary_diagram: adversary must be one of \['unified', 'separate'\], got 'none'",
    ):
        adversary_diagram("none")
