"""Dialogues, an embedded world of utterances that are seen, heard and read, each with an emotion.

Five sessions of two speakers, each with a face, a voice and a way with words of their own. A random
split has every speaker on both sides and so flatters; leave a session out instead:

    >>> clips = dialogues(utterances=50)
    >>> clips.ids[0], EMOTIONS[clips.labels[0]], clips.groups[0]
    ('session_1/speaker_b/utterance_000', 'neutral', 'session_1')
    >>> [clips.modalities[name][0].shape for name in ("visual", "acoustic", "textual")]
    [(51, 24), (128, 32), (11, 20)]
    >>> from kit.data.splits import group_folds
    >>> [session for session, _ in group_folds(clips, EMOTIONS, name="dialogues")]
    ['session_1', 'session_2', 'session_3', 'session_4', 'session_5']

Who speaks is what an id says before its last stroke: ``session_1/speaker_b``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kit.data.clips import Clips
from kit.data.ragged import Ragged
from kit.worlds.dials import check_dials

Floats = NDArray[np.float64]

EMOTIONS = ("angry", "happy", "sad", "neutral")
SESSIONS = tuple(f"session_{number}" for number in range(1, 6))

# Independent streams of chance, so that turning one dial leaves the rest as it was.
_HABITS, _TURNS, _DIRECTIONS, _SPEAKERS, _STEPS = range(5)

# How often each of `EMOTIONS` occurs: as in IEMOCAP.
_SHARES = np.array([1103, 1636, 1084, 1708]) / 5531
# How aroused and how pleased somebody is who feels so; each utterance differs by the spread.
_PLACES = np.array([[1.0, -1.0], [1.0, 1.0], [-1.0, -1.0], [-0.5, 0.5]])
_SPREAD = 0.5


@dataclass(frozen=True)
class _Sense:
    """How a modality is sampled, and how far arousal and pleasure move its numbers."""

    dim: int
    rate: tuple[float, float]  # steps a second, of the slowest and of the fastest utterance
    arousal: float
    pleasure: float
    telling: float = 1.0  # share of the steps that show anything


# A face tells little of either, a voice how aroused somebody is, most words how pleased.
_SENSES = {
    "visual": _Sense(dim=24, rate=(10, 10), arousal=1.4, pleasure=1.4),
    "acoustic": _Sense(dim=32, rate=(25, 25), arousal=2.6, pleasure=1.8),
    "textual": _Sense(dim=20, rate=(2, 4), arousal=3.2, pleasure=4.6, telling=0.6),
}

# How much speakers differ: standard deviations of a number's offset, against 1 from utterance to
# utterance and 1 from step to step; of the logarithm of the scale; of the logarithm of the odds
# that it is the first of two who speaks when an emotion comes up.
_OFFSET, _SCALE, _HABIT = 0.7, 0.2, 1.5


def dialogues(
    *,
    utterances: int = 600,
    visual_clarity: float = 1.0,
    acoustic_clarity: float = 1.0,
    textual_clarity: float = 1.0,
    speaker_effect: float = 1.0,
    seed: int = 0,
) -> Clips:
    """Make the utterances of five sessions, a pure function of its arguments.

    An utterance lasts 1.5 to 6 seconds. Its emotion sets in within the first half, in all
    modalities at once, and takes its course: anger bursts out and fades, joy swings, sadness comes
    slowly, and somebody neutral stays as they are.

    Args:
        utterances: of all sessions together, at least 5, spread evenly over them.
        visual_clarity: how clearly a face shows the emotion, 0 (not at all) to 10.
        acoustic_clarity: the same of the voice.
        textual_clarity: the same of the words.
        speaker_effect: how much speakers differ, 0 (not at all) to 10: in where the numbers of a
            modality lie, in how far they move, and in who of a session's two speaks when it is
            about anger, joy, sadness or nothing of the kind.
        seed: at least 0; another seed, other utterances, speakers and meanings of the numbers.

    Returns:
        All utterances, to be split by session; labels are places in `EMOTIONS`, which occur as
        often as in IEMOCAP, groups are `SESSIONS`. Ragged float32 modalities: ``visual`` (10 steps
        a second, 24), ``acoustic`` (25 a second, 32), ``textual`` (2 to 4 words a second, 20).

    Raises:
        ValueError: a dial outside its range.

    """
    clarity = {"visual": visual_clarity, "acoustic": acoustic_clarity, "textual": textual_clarity}
    dials = {f"{name}_clarity": dial for name, dial in clarity.items()}
    check_dials("dialogues", 0, 10, **dials, speaker_effect=speaker_effect)
    check_dials("dialogues", len(SESSIONS), utterances=utterances)
    check_dials("dialogues", 0, seed=seed)
    turns = [
        turn
        for session in range(len(SESSIONS))
        for turn in _turns(session, utterances, speaker_effect, seed)
    ]
    return Clips(
        name="dialogues",
        ids=[
            f"{SESSIONS[turn.session]}/speaker_{'ab'[turn.speaker]}/utterance_{turn.number:03d}"
            for turn in turns
        ],
        labels=[turn.emotion for turn in turns],
        modalities={
            name: _sequences(turns, name, clarity[name], speaker_effect, seed) for name in _SENSES
        },
        groups=[SESSIONS[turn.session] for turn in turns],
    )


@dataclass(frozen=True)
class _Turn:
    """Who says something in a session, what they feel, and when."""

    session: int
    number: int
    speaker: int
    emotion: int
    felt: Floats  # arousal and pleasure
    seconds: float
    onset: float  # of the emotion, in seconds
    pace: float  # 0 (slowest) to 1


def _turns(session: int, utterances: int, speaker_effect: float, seed: int) -> list[_Turn]:
    """Who of a session's two speaks depends on the emotion; the emotion on nothing."""
    habits = np.random.default_rng((seed, _HABITS, session)).standard_normal(len(EMOTIONS))
    first_speaks = 1 / (1 + np.exp(-speaker_effect * _HABIT * habits))
    turns = []
    for number in range(utterances // len(SESSIONS) + (session < utterances % len(SESSIONS))):
        rng = np.random.default_rng((seed, _TURNS, session, number))
        emotion = int(rng.choice(len(EMOTIONS), p=_SHARES))
        chance, lasting, onset, pace = rng.random(4)
        seconds = 1.5 + 4.5 * lasting
        turns.append(
            _Turn(
                session=session,
                number=number,
                speaker=int(chance > first_speaks[emotion]),
                emotion=emotion,
                felt=_PLACES[emotion] + _SPREAD * rng.standard_normal(2),
                seconds=seconds,
                onset=0.5 * onset * seconds,
                pace=pace,
            )
        )
    return turns


def _sequences(
    turns: list[_Turn], name: str, clarity: float, speaker_effect: float, seed: int
) -> Ragged:
    """One modality of all utterances; two directions among its numbers show the emotion."""
    sense, stream = _SENSES[name], tuple(_SENSES).index(name)
    rng = np.random.default_rng((seed, _DIRECTIONS, stream))
    directions, _ = np.linalg.qr(rng.standard_normal((sense.dim, 2)))
    shows = clarity * np.array([[sense.arousal], [sense.pleasure]]) * directions.T
    manners = {
        (session, speaker): np.random.default_rng(
            (seed, _SPEAKERS, stream, session, speaker)
        ).standard_normal(sense.dim + 1)
        for session in range(len(SESSIONS))
        for speaker in range(2)
    }
    parts = []
    for turn in turns:
        rng = np.random.default_rng((seed, _STEPS, stream, turn.session, turn.number))
        course = _course(turn, sense, rng)
        numbers = course[:, None] * (turn.felt @ shows)
        numbers += rng.standard_normal(sense.dim) + rng.standard_normal(numbers.shape)
        manner = speaker_effect * manners[turn.session, turn.speaker]
        numbers = math.exp(_SCALE * manner[-1]) * numbers + _OFFSET * manner[:-1]
        parts.append(numbers.astype(np.float32))
    return Ragged.of(parts)


def _course(turn: _Turn, sense: _Sense, rng: np.random.Generator) -> Floats:
    """How far the emotion shows in each step: 0 before its onset, about 1 on average after it."""
    slowest, fastest = sense.rate
    rate = slowest + turn.pace * (fastest - slowest)
    since = np.arange(round(turn.seconds * rate)) / rate - turn.onset
    after = since.clip(0)
    courses = {
        "angry": 0.5 + 1.5 * np.exp(-2 * after),
        "happy": 1 + 0.8 * np.sin(2 * np.pi * after),
        "sad": 1.4 * (1 - np.exp(-after)),
        "neutral": np.ones_like(after),
    }
    tells = (since >= 0) & (rng.random(len(since)) < sense.telling)
    return np.where(tells, courses[EMOTIONS[turn.emotion]], 0.0)
