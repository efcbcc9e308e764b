"""What a scene is: one to three things, each with its attributes and its place, on a background.

A scene is a description; ``pictures`` draws it, ``captions`` says it.
Relations are not stored: they follow from the places, so that caption and picture cannot disagree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import combinations
from math import dist

import numpy as np

SIZES = ("small", "large")
TEXTURES = ("plain", "striped", "dotted", "checked")
COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "white")
SHAPES = ("circle", "square", "triangle", "star", "heart", "ring", "cross", "moon")
BACKGROUNDS = ("sky", "grass", "sand", "night", "paper", "wood")

# Centres in shares of the picture's width and height, from the top left corner.
_NEAR, _MIDDLE, _FAR = 0.27, 0.5, 0.73
PLACES = {
    "top left": (_NEAR, _NEAR),
    "top": (_MIDDLE, _NEAR),
    "top right": (_FAR, _NEAR),
    "left": (_NEAR, _MIDDLE),
    "centre": (_MIDDLE, _MIDDLE),
    "right": (_FAR, _MIDDLE),
    "bottom left": (_NEAR, _FAR),
    "bottom": (_MIDDLE, _FAR),
    "bottom right": (_FAR, _FAR),
}
RADIUS = {"small": 0.11, "large": 0.195}
CHOICES = {
    "size": SIZES,
    "texture": TEXTURES,
    "colour": COLOURS,
    "shape": SHAPES,
    "place": tuple(PLACES),
}

# Room between two things, so that neither jitter nor shadow makes them touch.
_GAP = 0.05
# Too little of these is left to be seen behind a small thing.
_SLENDER = ("star", "moon")


@dataclass(frozen=True)
class Thing:
    """One thing, its attributes in the order in which English says them.

    Raises:
        ValueError: a size, texture, colour, shape or place that does not exist here.

    >>> Thing("small", "striped", "red", "star", "top left").colour
    'red'
    """

    size: str
    texture: str
    colour: str
    shape: str
    place: str

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(
                    f"Thing: expected {name} to be one of {', '.join(choices)}, "
                    f"got {getattr(self, name)!r}"
                )


@dataclass(frozen=True)
class Scene:
    """One to three things on a background; the same things in another order are the same scene.

    Two things may share a place only where a small one is in front of a large one of another
    colour (inside it, if that is a ring) that shows around it: no star, no moon. No two things
    agree in both colour and shape.

    Args:
        things: one to three; kept in reading order, from the top left, the large one first.
        background: one of `BACKGROUNDS`.

    Raises:
        ValueError: no things or too many, an unknown background, two things that overlap or cannot
            be told apart in words.
    """

    things: tuple[Thing, ...]
    background: str

    def __post_init__(self) -> None:
        if not 1 <= len(self.things) <= 3:
            raise ValueError(f"Scene: expected one to three things, got {len(self.things)}")
        if self.background not in BACKGROUNDS:
            raise ValueError(
                f"Scene: expected background to be one of {', '.join(BACKGROUNDS)}, "
                f"got {self.background!r}"
            )
        clash = _clash(self.things)
        if clash:
            raise ValueError(f"Scene: {clash}")
        object.__setattr__(self, "things", tuple(sorted(self.things, key=_reading_order)))


def relations(thing: Thing, other: Thing) -> tuple[str, ...]:
    """Every relation in which `thing` stands to `other`: at least one.

    >>> star = Thing("small", "plain", "red", "star", "top left")
    >>> relations(star, Thing("small", "plain", "blue", "ring", "bottom right"))
    ('left of', 'above')
    >>> relations(star, Thing("large", "plain", "blue", "ring", "top left"))
    ('inside',)
    """
    if thing.place == other.place:
        if thing.size == "small":
            return ("inside",) if other.shape == "ring" else ("in front of",)
        return ("around",) if thing.shape == "ring" else ("behind",)
    (x, y), (other_x, other_y) = PLACES[thing.place], PLACES[other.place]
    found = {
        "left of": x < other_x,
        "right of": x > other_x,
        "above": y < other_y,
        "below": y > other_y,
    }
    return tuple(relation for relation, holds in found.items() if holds)


def random_scene(rng: np.random.Generator) -> Scene:
    """Make up a scene: of one thing (1 in 5), of two or three (2 in 5 each).

    Of those with several, 3 in 10 have one thing in front of another: by chance alone that would be
    too rare to be learnt.
    """
    number = int(rng.choice((1, 2, 3), p=(0.2, 0.4, 0.4)))
    stacked = number > 1 and rng.random() < 0.3
    while True:
        things = [
            Thing(**{name: _one_of(choices, rng) for name, choices in CHOICES.items()})
            for _ in range(number)
        ]
        if stacked:
            things[0] = replace(things[0], size="large")
            things[1] = replace(things[1], size="small", place=things[0].place)
        if not _clash(things):
            return Scene(tuple(things), _one_of(BACKGROUNDS, rng))


def near_duplicate(scene: Scene, rng: np.random.Generator) -> Scene:
    """Change exactly one attribute of one thing of the scene, or its background."""
    while True:
        things = list(scene.things)
        at = int(rng.integers(len(things)))
        name = _one_of((*(attribute.name for attribute in fields(Thing)), "background"), rng)
        if name == "background":
            others = [background for background in BACKGROUNDS if background != scene.background]
            return Scene(scene.things, _one_of(others, rng))
        now = getattr(things[at], name)
        others = [choice for choice in CHOICES[name] if choice != now]
        things[at] = replace(things[at], **{name: _one_of(others, rng)})
        if not _clash(things):
            return Scene(tuple(things), scene.background)


def _clash(things: Sequence[Thing]) -> str:
    """Say what keeps these things from being in one scene; nothing if nothing does."""
    for a, b in combinations(things, 2):
        if (a.colour, a.shape) == (b.colour, b.shape):
            return f"expected things of different colour or shape, got {a} and {b}"
        if a.place == b.place:
            behind = a if a.size == "large" else b
            if a.size == b.size or a.colour == b.colour or behind.shape in _SLENDER:
                return (
                    "expected things in one place to differ in size and colour, and the large one "
                    f"to be no {' or '.join(_SLENDER)}, got {a} and {b}"
                )
        elif dist(PLACES[a.place], PLACES[b.place]) < RADIUS[a.size] + RADIUS[b.size] + _GAP:
            return f"expected things that do not touch, got {a} and {b}"
    return ""


def _reading_order(thing: Thing) -> tuple[int, bool]:
    return tuple(PLACES).index(thing.place), thing.size == "small"


def _one_of(choices: Sequence[str], rng: np.random.Generator) -> str:
    return choices[int(rng.integers(len(choices)))]
