"""Diagrams of boxes and arrows, SVG files beside this one that shrink with the page.

Black arrows are features, coloured ones gradients. The pictures are white in a dark notebook, too,
and say what they show to those who do not see them. Colours are those of `look`.
"""

from __future__ import annotations

from importlib.resources import files

from kit.arguments import checked
from kit.figures.look import Html

ADVERSARIES = ("unified", "separate")


@checked
def adversary_diagram(adversary: str) -> Html:
    """Draw how ITMeetsAL's adversary is built, and which way its gradients go.

    Args:
        adversary: ``"unified"`` (Figure 4) or ``"separate"`` (Figure 7).

    Raises:
        ValueError: another one.

    """
    if adversary not in ADVERSARIES:
        raise ValueError(
            f"adversary_diagram: adversary must be one of {[*ADVERSARIES]}, got {adversary!r}"
        )
    return _picture(adversary)


@checked
def distillation_diagram() -> Html:
    """Draw AMID whole (its Figure 2): who reads what, which loss lies between whom, whom it moves.

    Arrows are features. The auxiliary extractor is fixed, as it is in the paper unless it says
    otherwise.
    """
    return _picture("distillation")


def _picture(name: str) -> Html:
    """The file as a part of a page, which needs no name space."""
    text = files(__name__).joinpath(f"{name}.svg").read_text(encoding="utf-8")
    return Html(text.replace(' xmlns="http://www.w3.org/2000/svg"', "", 1))
