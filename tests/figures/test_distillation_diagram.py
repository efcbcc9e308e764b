"""AMID as a diagram: arrows lead from box to box, each loss says whom it moves."""

from __future__ import annotations

from itertools import pairwise
from xml.etree import ElementTree

import pytest

from kit.figures import distillation_diagram
from kit.figures.look import COLOURS, GREY, INK

BLUE, ORANGE, GREEN = COLOURS[:3]
WIDTH, HEIGHT = 860, 442
SIDES = ("x", "y", "width", "height")
TARGET, STUDENT, TEACHER = "targetmodalities", "S, student", "M, teacher"
OTHERS, AUXILIARY = "auxiliarymodalities", "A, auxiliary"
MI_S, MI_A = "mutual informationLMIs (8)", "mutual informationLMIa (9)"
JUDGES, CLASSIFIER = "two discriminators", "one classifier"
READS = {
    (TARGET, STUDENT),
    (OTHERS, AUXILIARY),
    (STUDENT, TEACHER),
    (AUXILIARY, TEACHER),
    *((side, loss) for side in (STUDENT, TEACHER) for loss in (MI_S, JUDGES, CLASSIFIER)),
    (TEACHER, MI_A),
    (AUXILIARY, MI_A),
}
COLOURED = {
    STUDENT: BLUE,
    CLASSIFIER: BLUE,  # what is kept after the training
    TEACHER: GREEN,
    AUXILIARY: GREY,
    JUDGES: ORANGE,
}
MOVES = {
    MI_S: "moves S and M",
    MI_A: "moves M",
    JUDGES: "Ladv (12) moves only S,LD (13) only D1 and D2",
    CLASSIFIER: "Lcls (15), LJSD (16)move it, S and M",
}


@pytest.fixture(scope="module")
def svg() -> ElementTree.Element:
    return ElementTree.fromstring(distillation_diagram().html)


def boxes(svg: ElementTree.Element) -> dict[str, tuple[float, float, float, float]]:
    """Each box by the words in it: left, top, right, bottom."""
    found = {}
    children = [*svg]
    for at, child in enumerate(children):
        if child.tag == "rect":
            x, y, width, height = (float(child.get(side, "")) for side in SIDES)
            words = ""
            for text in children[at + 1 :]:
                if text.tag != "text":
                    break
                words += "".join(text.itertext())
            found[words] = (x, y, x + width, y + height)
    return found


def beside(point: str, places: dict[str, tuple[float, float, float, float]]) -> str:
    x, y = map(float, point.split(","))
    near = [
        words
        for words, (left, top, right, bottom) in places.items()
        if left - 3 <= x <= right + 3 and top - 3 <= y <= bottom + 3
        if not (left < x < right and top < y < bottom)
    ]
    assert len(near) == 1, (point, near)
    return near[0]


def test_features_go_where_the_paper_sends_them(svg: ElementTree.Element) -> None:
    places = boxes(svg)
    arrows = set()
    for line in svg.iter("polyline"):
        points = line.get("points", "").split()
        ends = beside(points[0], places), beside(points[-1], places)
        arrows.add(ends)
        assert line.get("marker-end") == f"url(#head-{INK.lstrip('#')})"
        for one, other in pairwise(tuple(map(float, point.split(","))) for point in points):
            assert one[0] == other[0] or one[1] == other[1]  # across or down, never slanted
    names = {words: name for words in places for name in NAMED if words.startswith(name)}
    assert {(names[start], names[end]) for start, end in arrows} == READS


NAMED = {name for ends in READS for name in ends}


def test_losses_say_whom_they_move_and_colours_who_is_kept(svg: ElementTree.Element) -> None:
    for words in boxes(svg):
        for name, moved in MOVES.items():
            assert not words.startswith(name) or words.endswith(moved)
    strokes = {}
    for rectangle, place in zip(svg.iter("rect"), boxes(svg), strict=True):
        strokes[place] = rectangle.get("stroke")
    for name, shade in COLOURED.items():
        (found,) = [stroke for words, stroke in strokes.items() if words.startswith(name)]
        assert found == shade


def test_words_have_subscripts_and_lie_in_the_picture(svg: ElementTree.Element) -> None:
    assert svg.get("viewBox") == f"0 0 {WIDTH} {HEIGHT}"
    assert "teacher M" in svg.get("aria-label", "")
    assert not set("_^") & set("".join(svg.itertext()))
    said = "".join(svg.itertext())
    for equation in (8, 9, 12, 13, 15, 16, 17):
        assert f"({equation})" in said
    assert "L = Lcls + LJSD + α1 LMIs + α2 LMIa + α3 Ladv (17)" in said
    for text in svg.iter("text"):
        x, y = float(text.get("x", "")), float(text.get("y", ""))
        wide = 6.4 * len("".join(text.itertext()))
        left = x - wide / 2 if text.get("text-anchor") == "middle" else x
        assert left > 0, "".join(text.itertext())
        assert left + wide < WIDTH, "".join(text.itertext())
        assert 0 < y < HEIGHT
    assert "http" not in ElementTree.tostring(svg, encoding="unicode")


def test_words_stay_inside_their_box_and_boxes_apart(svg: ElementTree.Element) -> None:
    places = [*boxes(svg).values()]
    for at, (left, top, right, bottom) in enumerate(places):
        assert 0 < left < right < WIDTH
        assert 0 < top < bottom < HEIGHT
        for other in places[at + 1 :]:
            apart = right <= other[0] or other[2] <= left or bottom <= other[1] or other[3] <= top
            assert apart
    at = -1
    for child in svg:
        if child.tag == "rect":
            at += 1
        elif child.tag == "text" and child.get("text-anchor") == "middle":
            top, bottom = places[at][1], places[at][3]
            assert top + 12 <= float(child.get("y", "")) <= bottom - 6
