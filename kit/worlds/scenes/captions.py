"""What is said of a scene: each caption mentions another part of it, and leaves things unsaid."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from kit.worlds.dials import check_dials
from kit.worlds.scenes.world import Scene, Thing, relations

_NUMBERS = {1: "one", 2: "two", 3: "three"}
_EVERY = {2: "both", 3: "all"}

# Several ways to say the same; every word here is true wherever it is used. No colour word is said
# of a background, so that each one in a caption is the colour of a thing.
_SAYINGS: dict[str, tuple[str, ...]] = {
    "small": ("small", "little"),
    "large": ("large", "big"),
    "dotted": ("dotted", "spotted"),
    "top left": ("in the top left corner",),
    "top": ("at the top",),
    "top right": ("in the top right corner",),
    "left": ("on the left",),
    "centre": ("in the middle", "in the centre"),
    "right": ("on the right",),
    "bottom left": ("in the bottom left corner",),
    "bottom": ("at the bottom",),
    "bottom right": ("in the bottom right corner",),
    "left of": ("to the left of", "left of"),
    "right of": ("to the right of", "right of"),
    "sky": ("in a cloudy sky", "among clouds"),
    "grass": ("on short grass", "on a meadow"),
    "sand": ("on fine sand", "on a beach"),
    "night": ("at night", "in the dark"),
    "paper": ("on squared paper",),
    "wood": ("on a wooden table", "on wooden planks"),
}


@dataclass(frozen=True)
class _Speaker:
    """Someone who mentions each attribute with probability `told` and varies their words."""

    rng: np.random.Generator
    told: float

    def says(self) -> bool:
        return bool(self.rng.random() < self.told)

    def one_of(self, choices: Sequence[str]) -> str:
        return choices[int(self.rng.integers(len(choices)))]

    def word(self, meaning: str) -> str:
        return self.one_of(_SAYINGS.get(meaning, (meaning,)))

    def maybe(self, meaning: str) -> list[str]:
        """Give the words for it, or none."""
        return [self.word(meaning)] if self.says() else []

    def phrase(self, thing: Thing) -> str:
        """As much of "a small striped red star" as is told: "a thing" at least."""
        adjectives = [
            word
            for attribute in (thing.size, thing.texture, thing.colour)
            for word in self.maybe(attribute)
        ]
        noun = thing.shape if self.says() else "thing"
        return _with_article(" ".join([*adjectives, noun]))


def describe(
    scene: Scene, *, captions: int = 5, told: float = 0.7, seed: int | tuple[int, ...] = 0
) -> tuple[str, ...]:
    """Say something true of a scene in several captions; the same arguments give the same words.

    The first mentions one thing and its place, the second a relation between two, the third the
    colours and the background, the fourth how many there are and how many of one kind, the fifth
    all things and the background; from the sixth on the round begins anew in other words.

    Args:
        scene: what is described.
        captions: how many.
        told: probability, 0 to 1, with which each attribute (size, texture, colour, shape, place,
            relation, number, background) is mentioned, each time independently. At 0 the captions
            tell no more than how many things there are.
        seed: of what is mentioned, and of the choice of words.

    Returns:
        `captions` sentences.

    Raises:
        ValueError: captions below 1, or told outside 0..1.

    >>> scene = Scene((Thing("small", "striped", "red", "star", "left"),), "paper")
    >>> describe(scene, told=1, seed=1)[2]
    'On squared paper there is something red.'

    """
    check_dials("describe", 1, captions=captions)
    check_dials("describe", 0, 1, told=told)
    speaker = _Speaker(np.random.default_rng(seed), told)
    said = [_PARTS[index % len(_PARTS)](scene, speaker) for index in range(captions)]
    return tuple(caption[0].upper() + caption[1:] + "." for caption in said)


def _one_thing(scene: Scene, speaker: _Speaker) -> str:
    thing = scene.things[int(speaker.rng.integers(len(scene.things)))]
    start = speaker.one_of(("", "there is ", "we see "))
    return start + " ".join([speaker.phrase(thing), *speaker.maybe(thing.place)])


def _relation(scene: Scene, speaker: _Speaker) -> str:
    if len(scene.things) == 1:
        thing = scene.things[0]
        return " ".join([speaker.phrase(thing), "all alone", *speaker.maybe(thing.place)])
    pairs = list(permutations(scene.things, 2))
    thing, other = pairs[int(speaker.rng.integers(len(pairs)))]
    link = speaker.maybe(speaker.one_of(relations(thing, other))) or ["together with"]
    first, second = _apart([speaker.phrase(thing), speaker.phrase(other)])
    return speaker.one_of(("", "there is ", "we see ")) + " ".join([first, *link, second])


def _colours(scene: Scene, speaker: _Speaker) -> str:
    colours = sorted({thing.colour for thing in scene.things})
    told = [f"something {colour}" for colour in colours if speaker.says()] or ["something"]
    ground = speaker.maybe(scene.background)
    if ground and speaker.one_of(("first", "last")) == "first":
        return f"{ground[0]} there is {_listed(told)}"
    return " ".join([_listed(told), *ground])


def _numbers(scene: Scene, speaker: _Speaker) -> str:
    """Count the things, and those of each size, texture, colour or shape."""
    total = len(scene.things)
    attribute = speaker.one_of(("size", "texture", "colour", "shape"))
    kinds = Counter(getattr(thing, attribute) for thing in scene.things)
    told = [(kind, times) for kind, times in kinds.items() if speaker.says()]
    if total == 1:
        start = "only one thing" if speaker.says() else "something"
        words = [_as_noun(kind) if attribute == "shape" else speaker.word(kind) for kind, _ in told]
        return ", ".join([start, *(f"and it is {word}" for word in words)])
    start = f"{_NUMBERS[total]} things" if speaker.says() else "some things"
    parts = []
    for kind, times in told:
        many = _EVERY[total] if times == total else _NUMBERS[times]
        word = _as_noun(kind, times) if attribute == "shape" else speaker.word(kind)
        parts.append(f"{many} of them {word}")
    return ", ".join([start, *([_listed(parts)] if parts else [])])


def _everything(scene: Scene, speaker: _Speaker) -> str:
    order = speaker.rng.permutation(len(scene.things))
    phrases = _apart([speaker.phrase(scene.things[index]) for index in order])
    start = speaker.one_of(("", "there is ", "we see "))
    return start + " ".join([_listed(phrases), *speaker.maybe(scene.background)])


_PARTS = (_one_thing, _relation, _colours, _numbers, _everything)


def _as_noun(shape: str, times: int = 1) -> str:
    if times == 1:
        return _with_article(shape)
    return shape + ("es" if shape.endswith("s") else "s")


def _with_article(phrase: str) -> str:
    return ("an " if phrase[0] in "aeiou" else "a ") + phrase


def _apart(phrases: Sequence[str]) -> list[str]:
    """Say "another" of what sounds like something said before: it is another thing."""
    return [
        f"another {phrase.split(' ', 1)[1]}" if phrase in phrases[:at] else phrase
        for at, phrase in enumerate(phrases)
    ]


def _listed(phrases: Sequence[str]) -> str:
    """Join as English does: "a, b and c"."""
    *before, last = phrases
    return f"{', '.join(before)} and {last}" if before else last
