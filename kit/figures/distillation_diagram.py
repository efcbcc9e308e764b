"""AMID's Figure 2 as a diagram: three networks, the losses between them, who moves by what."""

from __future__ import annotations

from kit.figures.diagrams import BLUE, GREEN, ORANGE, Arrow, Box, Words, drawing
from kit.figures.look import GREY, GRID, Html

HEIGHT = 442

_STUDENT, _TEACHER, _AUXILIARY = 65, 265, 401  # the heights of the three rows
_LOSSES = (430, 601, 775)  # where the losses between S and M lie
_LD = "L_D (13) only D_1 and D_2"

_BOXES = (
    Box(16, 40, 126, ("target", "modalities"), GRID),
    Box(190, 40, 130, ("S, student", "trained extractor"), BLUE),
    Box(190, 240, 130, ("M, teacher", "MLP on [S; A]"), GREEN),
    Box(16, 376, 126, ("auxiliary", "modalities"), GRID),
    Box(190, 376, 130, ("A, auxiliary", "fixed extractor"), GREY),
    Box(360, 130, 140, ("mutual information", "L_MIs (8)", "moves S and M"), GRID, 74),
    Box(522, 130, 158, ("two discriminators", "L_adv (12) moves only S,", _LD), ORANGE, 74),
    Box(702, 130, 146, ("one classifier", "L_cls (15), L_JSD (16)", "move it, S and M"), BLUE, 74),
    Box(360, 296, 140, ("mutual information", "L_MIa (9)", "moves M"), GRID, 74),
)
_ARROWS = (
    Arrow(((142, _STUDENT), (188, _STUDENT))),
    Arrow(((142, _AUXILIARY), (188, _AUXILIARY))),
    Arrow(((255, 90), (255, 238))),
    Arrow(((255, 376), (255, 292))),
    *(Arrow(((320, _STUDENT), (x, _STUDENT), (x, 128))) for x in _LOSSES),
    *(Arrow(((320, _TEACHER), (x, _TEACHER), (x, 206))) for x in _LOSSES),
    Arrow(((320, _TEACHER), (430, _TEACHER), (430, 294))),
    Arrow(((320, _AUXILIARY), (430, _AUXILIARY), (430, 372))),
)
_WORDS = (
    Words(522, 306, "L = L_cls + L_JSD + α_1 L_MIs + α_2 L_MIa + α_3 L_adv (17)"),
    Words(522, 328, "and L_D in a turn of its own; in the warm-up"),
    Words(522, 346, "L_cls + L_JSD alone. In brackets: equations"),
    Words(522, 376, "M reads S with its gradient: what moves M"),
    Words(522, 394, "moves the extractor of S too, through M"),
    Words(522, 424, "Blue is what is kept after the training"),
)


def distillation_diagram() -> Html:
    """Draw AMID whole: who reads what, which loss lies between whom, and what it moves.

    Arrows are features. The auxiliary extractor is fixed, as it is in the paper unless it says
    otherwise.
    """
    says = (
        "AMID: the student S reads the target modalities, the auxiliary A the others, the teacher "
        "M both features; losses between M and S, between M and A, two discriminators, a classifier"
    )
    return drawing(_BOXES, _ARROWS, _WORDS, height=HEIGHT, says=says)
