"""What a sounding action is: things that move on a stage, and sounds that follow from it.

A `Timeline` says both, so that picture and sound cannot disagree: ``pictures`` draws its movers,
``sounds`` plays its sounds, and its events are the known answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import cos, pi, sin
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kit.worlds.dials import check_dials

Values = NDArray[np.float64]

# Steps a second of what changes continuously: 2.5 ms is finer than any frame and any beat.
STEPS_PER_SECOND = 400

_FULL_TURN = 2 * pi
_LEAST_SPEED = 0.4


class Event(NamedTuple):
    """Something that happens at an instant, such as (0.31, "touches the floor")."""

    seconds: float
    what: str


@dataclass(frozen=True)
class Mover:
    """A thing, or a piece of one, at every step; arrays are (steps,), lengths shares of the width.

    Attributes:
        form: ``own`` is the outline that the picture chooses; a drop is a ``disc``, a splinter a
            ``triangle``, water a ``square``.
        dress: which of the picture's colours it wears; 0 or 1.
        x: of its centre, from the left edge.
        y: of its centre, from the top edge.
        wide: half its width before it is turned.
        tall: half its height before it is turned.
        turn: in radians, clockwise.
        opacity: 0 (not to be seen) to 1.

    """

    form: str
    dress: int
    x: Values
    y: Values
    wide: Values
    tall: Values
    turn: Values
    opacity: Values


@dataclass(frozen=True)
class Strike:
    """A sound that begins at an instant and dies away within a few times `ring` seconds."""

    seconds: float
    loudness: float
    hertz: float
    ring: float
    grain: float  # share of noise in it, 0 to 1; the rest is a note


@dataclass(frozen=True)
class Tone:
    """A sound with a pitch: `hertz` and `loudness` at every step; how strong each partial is."""

    hertz: Values
    loudness: Values
    partials: tuple[float, ...]


@dataclass(frozen=True)
class Rush:
    """Noise around `hertz`, about `width` hertz wide, with a `loudness` at every step."""

    hertz: Values
    loudness: Values
    width: float


@dataclass(frozen=True)
class Timeline:
    """What happens in one clip: movers and sounds by steps of 1 / `STEPS_PER_SECOND`, and events.

    `floor` is where the floor begins, as a share of the height from the top edge.
    """

    action: str
    seconds: float
    floor: float
    events: tuple[Event, ...]
    movers: tuple[Mover, ...] = field(repr=False)
    sounds: tuple[Strike | Tone | Rush, ...] = field(repr=False)


def timeline(action: str, *, seconds: float = 1.0, seed: int | tuple[int, ...] = 0) -> Timeline:
    """Perform an action: size, place, tempo, direction and phase are drawn from the seed.

    Args:
        action: one of `ACTIONS`.
        seconds: length, 0.5 to 10.
        seed: at least 0; another seed, another performance of the same action.

    Raises:
        ValueError: no such action, a length out of range.

    >>> [event.what for event in timeline("collide").events]
    ['hit each other']

    """
    if action not in _PERFORM:
        raise ValueError(
            f"timeline: expected action to be one of {', '.join(ACTIONS)}, got {action!r}"
        )
    check_dials("timeline", 0.5, 10, seconds=seconds)
    stage = _Stage(seconds, np.random.default_rng(seed))
    _PERFORM[action](stage)
    events = sorted(event for event in stage.events if 0 <= event.seconds < seconds)
    return Timeline(
        action, seconds, stage.floor, tuple(events), tuple(stage.movers), tuple(stage.sounds)
    )


class _Stage:
    """Where an action is performed: the clock, the floor, the thing's size, and the record."""

    def __init__(self, seconds: float, rng: np.random.Generator) -> None:
        self.seconds, self.rng = seconds, rng
        self.t = np.arange(round(seconds * STEPS_PER_SECOND) + 1) / STEPS_PER_SECOND
        self.floor = self.some(0.78, 0.92)
        self.radius = self.some(0.1, 0.16)
        self.movers: list[Mover] = []
        self.sounds: list[Strike | Tone | Rush] = []
        self.events: list[Event] = []

    def some(self, low: float, high: float) -> float:
        """A number between the two."""
        return float(self.rng.uniform(low, high))

    def either_way(self) -> float:
        """-1 or 1."""
        return float(self.rng.choice((-1.0, 1.0)))

    def drift(self, speed: float = 0.12) -> tuple[Values, Values]:
        """A place somewhere in the middle that moves on slowly: nothing here stands quite still."""
        x, y = self.rng.uniform(0.3, 0.7, 2)
        along, down = self.rng.uniform(-speed, speed, 2) / self.seconds
        return x + along * self.t, y - 0.08 + down * self.t

    def move(
        self,
        x: Values | float,
        y: Values | float,
        *,
        radius: float | None = None,
        wide: Values | float | None = None,
        tall: Values | float | None = None,
        turn: Values | float | None = None,
        opacity: Values | float = 1.0,
        form: str = "own",
        dress: int = 0,
    ) -> None:
        """Record a mover; what is not said is round, of the thing's size, upright and visible."""
        radius = self.radius if radius is None else radius
        turn = self.some(0, _FULL_TURN) if turn is None else turn
        wide, tall = (radius if half is None else half for half in (wide, tall))
        states = (np.broadcast_to(v, self.t.shape) for v in (x, y, wide, tall, turn, opacity))
        self.movers.append(Mover(form, dress, *states))

    def strike(
        self, seconds: float, what: str, loudness: float, hertz: float, ring: float, grain: float
    ) -> None:
        """Record something that is seen to happen, and is heard at that instant."""
        self.events.append(Event(float(seconds), what))
        self.sounds.append(Strike(float(seconds), loudness, hertz, ring, grain))

    def tone(self, hertz: Values | float, loudness: Values, *partials: float) -> None:
        """Record a sound with a pitch."""
        self.sounds.append(Tone(np.broadcast_to(hertz, self.t.shape), loudness, partials))

    def rush(self, hertz: Values | float, loudness: Values, width: float) -> None:
        """Record a noise."""
        self.sounds.append(Rush(np.broadcast_to(hertz, self.t.shape), loudness, width))

    def each_round(self, rounds: Values, what: str) -> None:
        """Record an event wherever `rounds` passes a whole number."""
        at = np.flatnonzero(np.diff(np.floor(rounds))) + 1
        self.events += [Event(float(seconds), what) for seconds in self.t[at]]

    def beats(self, period: float) -> Values:
        """Instants `period` apart, the first within the first period."""
        return np.arange(self.some(0.1, 0.9) * period, self.seconds, period)


def _bounce(stage: _Stage) -> None:
    """Falls, and leaves the floor with a share of its speed: a thud at each contact."""
    gap, rebound, radius = stage.some(0.35, 0.6), stage.some(0.84, 0.94), stage.radius
    # The speed of each arc as a share of the first one's; it never comes to rest in a long clip.
    speed = np.maximum(rebound ** np.arange(20 * stage.seconds), _LEAST_SPEED)
    contacts = np.append(0, np.cumsum(gap * speed)) - stage.some(0.1, 0.9) * gap
    arc = np.searchsorted(contacts, stage.t, side="right") - 1
    phase = (stage.t - contacts[arc]) / (gap * speed[arc])
    height = (stage.floor - radius - stage.some(0.14, 0.26)) * speed[arc] ** 2
    stage.move(stage.drift()[0], stage.floor - radius - height * 4 * phase * (1 - phase))
    for seconds, fallen in zip(contacts[1:], speed, strict=True):
        if seconds < stage.seconds:
            stage.strike(seconds, "touches the floor", float(fallen), 20 / radius, 0.05, 0.1)


def _bob(stage: _Stage) -> None:
    """Goes up and down smoothly, a little less each time: a whistle that follows the height."""
    gap, rebound = stage.some(0.35, 0.6), stage.some(0.84, 0.94)
    rounds = stage.t / gap + stage.some(0, 1)
    speed = np.maximum(rebound ** (stage.t / gap), _LEAST_SPEED)
    height = (0.5 + 0.5 * np.cos(_FULL_TURN * rounds)) * speed**2
    low = stage.floor - stage.radius
    stage.move(stage.drift()[0], low - (low - stage.some(0.14, 0.26)) * height)
    stage.tone(400 * 2 ** (1.2 * height), 0.7 + 0.3 * height, 1, 0.15)
    stage.each_round(rounds, "is at the top")


def _spin(stage: _Stage) -> None:
    """Turns evenly, faster or slower in the end: a whirr that follows the speed."""
    x, y = stage.drift()
    gain = stage.some(-0.4, 0.7) / stage.seconds
    speed = stage.some(0.7, 1.3) * (1 + gain * stage.t)
    rounds = stage.some(0, 1) + np.cumsum(speed) / STEPS_PER_SECOND
    stage.move(x, y, turn=stage.either_way() * _FULL_TURN * rounds)
    swish = 0.6 + 0.4 * np.cos(2 * _FULL_TURN * rounds)
    stage.tone(140 * speed, swish, 1, 0.8, 0.65, 0.5, 0.4, 0.3)
    stage.each_round(2 * rounds, "has turned half round")


def _tick(stage: _Stage) -> None:
    """Turns by jerks, as a hand of a clock does: a tick at each."""
    x, y = stage.drift()
    period = stage.some(0.17, 0.34)
    beats = stage.beats(period)
    jerks = ((stage.t - beats[:, None]) / 0.05).clip(0, 1).sum(0)
    step = stage.either_way() * _FULL_TURN * stage.some(0.7, 1.3) * period
    stage.move(x, y, turn=stage.some(0, _FULL_TURN) + step * jerks)
    for seconds in beats:
        stage.strike(seconds, "jerks on", 1.0, 2300, 0.008, 0.5)


def _roll(stage: _Stage) -> None:
    """Crosses the stage, turning as it goes: a rumble that follows speed and turn."""
    x, way, speed = _crossing(stage)
    rounds = stage.some(0, 1) + way * x / (_FULL_TURN * stage.radius)
    stage.move(x, stage.floor - stage.radius, turn=way * _FULL_TURN * rounds)
    stage.rush(150, speed * (0.6 + 0.4 * np.cos(2 * _FULL_TURN * rounds)), 110)
    stage.each_round(2 * rounds, "has turned half round")


def _slide(stage: _Stage) -> None:
    """Crosses the stage without turning: a hiss that follows the speed."""
    x, _, speed = _crossing(stage)
    stage.move(x, stage.floor - stage.radius)
    stage.rush(1500 + 600 * speed, speed, 600)


def _crossing(stage: _Stage) -> tuple[Values, float, Values]:
    """From one side to the other, slowing down: place, direction, speed as a share of the first."""
    way, ends = stage.either_way(), stage.rng.uniform(0.14, 0.24, 2)
    left = (1 - stage.t / (stage.seconds * stage.some(1.0, 1.4))) ** stage.some(1.1, 2.2)
    speed = -np.gradient(left)
    x = 0.5 + way * (0.5 - ends[1] - (1 - ends.sum()) * left)
    stage.events.append(Event(float(stage.t[np.abs(x - 0.5).argmin()]), "is half across"))
    return x, way, speed / speed.max()


def _meeting(stage: _Stage) -> tuple[float, float, float, list[tuple[int, float, float]]]:
    """Two things on one line: when they meet and where; side, speed and radius of each."""
    when = stage.seconds * stage.some(0.35, 0.65)
    x, y = stage.some(0.42, 0.58), stage.some(0.3, 0.6)
    pair = [
        (side, stage.some(0.45, 0.75) / stage.seconds, stage.some(0.09, 0.13)) for side in (-1, 1)
    ]
    return when, x, y, pair


def _collide(stage: _Stage) -> None:
    """Two things hit each other and go back: one clack."""
    when, x, y, pair = _meeting(stage)
    since, kept = stage.t - when, stage.some(0.75, 1.0)
    for dress, (side, speed, radius) in enumerate(pair):
        away = speed * np.where(since < 0, -since, kept * since)
        stage.move(x + side * (radius + away), y, radius=radius, dress=dress)
    stage.strike(when, "hit each other", 1.0, 850, 0.06, 0.15)


def _pass(stage: _Stage) -> None:
    """Two things pass each other: each has a tone that falls as it goes by."""
    when, x, y, pair = _meeting(stage)
    for dress, (side, speed, radius) in enumerate(pair):
        gone = speed * (stage.t - when)
        stage.move(x - side * gone, y, radius=radius, dress=dress)
        doppler, nearness = 1 - 0.22 * np.tanh(gone / 0.08), 1 / (1 + (gone / 0.12) ** 2)
        stage.tone((260 + 130 * dress) * doppler, nearness, 1, 0.6, 0.4, 0.25)
    stage.events.append(Event(when, "pass each other"))


def _swing(stage: _Stage) -> None:
    """Swings to and fro as a pendulum: a whoosh each time that it is fast."""
    period, length = stage.some(0.7, 1.1), stage.some(0.45, 0.6)
    rounds = 2 * stage.t / period + stage.some(0, 1)
    angle = stage.either_way() * stage.some(0.5, 0.85) * np.sin(pi * rounds)
    x, top = stage.some(0.4, 0.6), stage.some(0.0, 0.12)
    stage.move(x + length * np.sin(angle), top + length * np.cos(angle), turn=-angle)
    speed = np.abs(np.cos(pi * rounds))
    stage.rush(400 + 600 * speed, speed**2, 200)
    stage.each_round(rounds, "is lowest")


def _whirl(stage: _Stage) -> None:
    """Goes round in a circle: a hum whose pitch rises as it comes and falls as it goes."""
    orbit = stage.some(0.18, 0.28)
    rounds = stage.t / stage.some(0.5, 0.9) + stage.some(0, 1)
    angle = _FULL_TURN * rounds
    x, y = stage.drift(0.04)
    stage.move(x + stage.either_way() * orbit * np.sin(angle), y - orbit * np.cos(angle))
    stage.tone(300 * (1 - 0.2 * np.sin(angle)), 0.6 + 0.4 * np.cos(angle), 1, 0.5, 0.35)
    stage.each_round(rounds, "is at the top")


def _shake(stage: _Stage) -> None:
    """Trembles: a rattle, one knock at each reversal."""
    (x, y), way, rate = stage.drift(), stage.some(0, _FULL_TURN), stage.some(7.0, 11.0)
    rounds = 2 * rate * stage.t + stage.some(0, 1)
    aside = stage.some(0.04, 0.07) * np.cos(pi * rounds)
    stage.move(x + cos(way) * aside, y + sin(way) * aside)
    for at in stage.t[np.flatnonzero(np.diff(np.floor(rounds))) + 1]:
        stage.strike(at, "turns back", stage.some(0.4, 1.0), 1300, 0.014, 0.6)


def _drum(stage: _Stage) -> None:
    """Is struck from above and squashed: a drum stroke each time."""
    beats = stage.beats(stage.some(0.24, 0.42))
    since = stage.t - beats[:, None]
    squash = np.where(since < 0, 0, np.exp(-np.maximum(since, 0) / 0.1)).max(0)
    tall = stage.radius * (1 - 0.5 * squash)
    wide = stage.radius * (1 + 0.4 * squash)
    stage.move(stage.drift()[0], stage.floor - tall, wide=wide, tall=tall, turn=0.0)
    for seconds in beats:
        stage.strike(seconds, "is struck", 1.0, 85, 0.11, 0.3)


def _fade(stage: _Stage) -> None:
    """Grows paler until it is gone: a chord that dies away with it."""
    x, y = stage.drift()
    start, end = stage.seconds * stage.some(0.0, 0.3), stage.seconds * stage.some(0.65, 1.0)
    opacity = ((end - stage.t) / (end - start)).clip(0, 1)
    stage.move(x, y, opacity=opacity)
    for hertz in (330, 495):
        stage.tone(hertz, opacity**1.5, 1, 0, 0.4)
    stage.events += [Event(start, "begins to fade"), Event(end, "is gone")]


def _blink(stage: _Stage) -> None:
    """Comes and goes at once: a beep while it is there."""
    x, y = stage.drift()
    period, share = stage.some(0.28, 0.5), stage.some(0.4, 0.6)
    rounds = stage.t / period + stage.some(0, 1)
    there = (rounds % 1 < share).astype(float)
    stage.move(x, y, opacity=there)
    stage.tone(950, there, 1, 0.1)
    stage.each_round(rounds, "lights up")
    stage.each_round(rounds - share, "goes out")


def _pour(stage: _Stage) -> None:
    """Drops fall into water that rises: noise whose pitch rises with it."""
    x, top, pull = stage.some(0.3, 0.7), stage.some(0.06, 0.16), 7.0
    begins, ends = stage.some(0.03, 0.2), stage.seconds * stage.some(0.75, 0.97)
    full = ((stage.t - begins) / (ends - begins)).clip(0, 1)
    level = stage.floor - 0.04 - stage.some(0.16, 0.28) * full
    wide, tall = stage.some(0.13, 0.2), (stage.floor - level) / 2
    stage.move(x, stage.floor - tall, wide=wide, tall=tall, turn=0.0, form="square")
    fall = (2 * (level - top) / pull) ** 0.5
    for start in np.arange(begins - fall[0], ends - fall[-1], 0.055):
        y = top + pull / 2 * np.maximum(stage.t - start, 0) ** 2
        seen = ((stage.t >= start) & (y < level)).astype(float)
        aside = stage.some(-0.025, 0.025)
        stage.move(x + aside, y, radius=0.035, turn=0.0, opacity=seen, form="disc")
    arriving = (stage.t >= begins) & (stage.t < ends)
    stage.rush(500 + 1100 * full, arriving * (0.8 + 0.2 * np.sin(80 * stage.t)), 160)
    stage.events += [Event(begins, "begins to fill"), Event(ends, "is full")]


def _shatter(stage: _Stage) -> None:
    """Falls, hits the floor and flies apart: a crash, and the clinking of splinters."""
    x, radius, top = stage.some(0.35, 0.65), stage.radius, stage.some(0.14, 0.26)
    when, fall = stage.seconds * stage.some(0.3, 0.6), stage.some(0.3, 0.42)
    share = ((stage.t - when + fall) / fall).clip(0, 1)
    whole = (stage.t < when).astype(float)
    stage.move(x, top + (stage.floor - radius - top) * share**2, opacity=whole)
    since = np.maximum(stage.t - when, 0)
    slid = 0.4 * (1 - np.exp(-since / 0.4))  # they come to rest
    for number in range(7):
        along, up = (number - 3) * 0.2 + stage.some(-0.08, 0.08), stage.some(0.5, 1.1)
        y = np.minimum(stage.floor - radius - up * since + 2.5 * since**2, stage.floor - 0.03)
        half, turn = radius * stage.some(0.3, 0.5), stage.some(-9, 9) * slid
        stage.move(x + along * slid, y, radius=half, turn=turn, opacity=1 - whole, form="triangle")
    stage.strike(when, "breaks", 1.0, 1000, 0.12, 0.85)
    for later in np.cumsum(stage.rng.uniform(0.03, 0.09, 4)):
        stage.sounds.append(Strike(when + later, 0.3, stage.some(1500, 2800), 0.03, 0.2))


_PERFORM: dict[str, Callable[[_Stage], None]] = {
    "bounce": _bounce,
    "bob": _bob,
    "spin": _spin,
    "tick": _tick,
    "roll": _roll,
    "slide": _slide,
    "collide": _collide,
    "pass": _pass,
    "swing": _swing,
    "whirl": _whirl,
    "shake": _shake,
    "drum": _drum,
    "fade": _fade,
    "blink": _blink,
    "pour": _pour,
    "shatter": _shatter,
}
ACTIONS = tuple(_PERFORM)
