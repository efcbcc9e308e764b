"""Sounding actions, an embedded corpus of short clips in which things move and are heard to move.

    >>> corpus = sounding_actions(clips_per_class=5, classes=4, seed=7)
    >>> corpus.counts, corpus.classes
    ({'train': 12, 'validation': 4, 'test': 4}, ('bounce', 'bob', 'spin', 'tick'))

A class is an action. The answer is known: every clip can be made again, with all that happens in
it, from the action and the number in its id, and the dials of the corpus.

    >>> clip = make_clip("bounce", number=3, classes=4, seed=7)
    >>> clip.id, clip.events[0].what, clip.heard
    ('bounce_0003', 'touches the floor', 'bounce')
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kit.checks import first_few
from kit.data.clips import ClipCorpus, Clips
from kit.data.splits import stratified_split
from kit.worlds.actions.pictures import draw_frames
from kit.worlds.actions.sounds import sound_of
from kit.worlds.actions.world import ACTIONS, Event, timeline
from kit.worlds.dials import check_dials, check_held_out

__all__ = ["ACTIONS", "ActionClip", "Event", "make_clip", "sounding_actions"]

# Independent streams of chance, so that turning one dial leaves the rest as it was.
_MOTION, _PICTURE, _SOUND, _RELEVANCE, _OTHER_MOTION = range(5)


@dataclass(frozen=True, eq=False)
class ActionClip:
    """One clip and the answer: what is seen to happen when, and what is heard.

    Attributes:
        id: the action and the clip's number.
        action: what is seen; the class.
        heard: the action that is heard.
        follows: whether the sound follows from the picture; else from some other performance.
        events: what is seen to happen, in order.
        heard_events: what the sound follows; the same as `events` where it follows the picture.
        video: (frames, size, size, 3) uint8.
        sound: (samples,) float32 between -1 and 1.
        sample_rate: samples a second.

    """

    id: str
    action: str
    heard: str
    follows: bool
    events: tuple[Event, ...]
    heard_events: tuple[Event, ...]
    video: NDArray[np.uint8] = field(repr=False)
    sound: NDArray[np.float32] = field(repr=False)
    sample_rate: int


def make_clip(
    action: str,
    *,
    number: int = 0,
    classes: int = 16,
    frames: int = 8,
    size: int = 32,
    seconds: float = 1.0,
    sample_rate: int = 8000,
    relevance: float = 1.0,
    picture_noise: float = 0.1,
    occlusion: float = 0.15,
    sound_noise: float = 0.08,
    seed: int = 0,
) -> ActionClip:
    """Make one clip, a pure function of its arguments: the one that the corpus of these dials has.

    `action` is one of the first `classes` of `ACTIONS`, `number` says which clip of it, from 0 on.
    `relevance` is that of this action; all other dials are those of `sounding_actions`.

    Raises:
        ValueError: an action that is not in use, a dial outside its range.

    """
    known = _classes("make_clip", classes)
    if action not in known:
        raise ValueError(
            f"make_clip: expected action to be one of {', '.join(known)}, got {action!r}"
        )
    check_dials("make_clip", 0, number=number, seed=seed)
    check_dials("make_clip", 0, 1, relevance=relevance)

    def stream(purpose: int) -> tuple[int, ...]:
        return (seed, purpose, ACTIONS.index(action), number)

    seen = heard = timeline(action, seconds=seconds, seed=stream(_MOTION))
    chance = np.random.default_rng(stream(_RELEVANCE))
    follows = bool(chance.random() < relevance)
    if not follows:
        other = known[chance.integers(classes)]
        heard = timeline(other, seconds=seconds, seed=stream(_OTHER_MOTION))
    return ActionClip(
        id=f"{action}_{number:04d}",
        action=action,
        heard=heard.action,
        follows=follows,
        events=seen.events,
        heard_events=heard.events,
        video=draw_frames(
            seen,
            frames=frames,
            size=size,
            noise=picture_noise,
            occlusion=occlusion,
            seed=stream(_PICTURE),
        ),
        sound=sound_of(heard, sample_rate=sample_rate, noise=sound_noise, seed=stream(_SOUND)),
        sample_rate=sample_rate,
    )


def sounding_actions(
    *,
    clips_per_class: int = 50,
    classes: int = 16,
    frames: int = 8,
    size: int = 32,
    seconds: float = 1.0,
    sample_rate: int = 8000,
    relevance: float | Mapping[str, float] = 1.0,
    picture_noise: float = 0.1,
    occlusion: float = 0.15,
    sound_noise: float = 0.08,
    held_out: float = 0.2,
    seed: int = 0,
) -> ClipCorpus:
    """Make a corpus of clips that are seen and heard, a pure function of its arguments.

    Args:
        clips_per_class: at least 3.
        classes: how many of `ACTIONS` are used, from the first on; 2 to 16. They come in pairs that
            look alike in small noisy pictures and sound different: bounce and bob, spin and tick,
            roll and slide, collide and pass.
        frames: frames of a clip, 2 to 64.
        size: width and height of a frame in pixels, 16 to 256.
        seconds: length of a clip, 0.5 to 10.
        sample_rate: samples of sound a second, 8,000 to 48,000.
        relevance: probability, 0 to 1, that a clip's sound follows from what happens in its
            picture; otherwise it is that of another performance, of an action drawn from all
            `classes` alike, and tells nothing of the class. A number for all, or one for each
            action named; 1 for those that are not named.
        picture_noise: standard deviation of the pixel noise as a share of full brightness, 0 to 1.
        occlusion: share of every frame, 0 to 1, behind a box that stands still.
        sound_noise: standard deviation of the noise on each sample, 0 to 1.
        held_out: share of each class in the validation split, and as much in the test split, above
            0 and below 0.5; at least one clip each.
        seed: at least 0; another seed, other clips.

    Returns:
        A corpus with splits ``train``, ``validation`` and ``test``; `video` is (clips, frames,
        size, size, 3) uint8, `sound` (clips, samples) float32 between -1 and 1. An id names action
        and number, from which `make_clip` makes the clip again.

    Raises:
        ValueError: a dial outside its range, relevance of an action that is not in use.

    """
    known = _classes("sounding_actions", classes)
    check_dials("sounding_actions", 3, clips_per_class=clips_per_class)
    check_held_out("sounding_actions", held_out)
    of_action = _relevance_of(relevance, known)
    made = [
        make_clip(
            action,
            number=number,
            classes=classes,
            frames=frames,
            size=size,
            seconds=seconds,
            sample_rate=sample_rate,
            relevance=of_action[action],
            picture_noise=picture_noise,
            occlusion=occlusion,
            sound_noise=sound_noise,
            seed=seed,
        )
        for action in known
        for number in range(clips_per_class)
    ]
    clips = Clips(
        "all",
        ids=[clip.id for clip in made],
        labels=[known.index(clip.action) for clip in made],
        modalities={
            "video": np.stack([clip.video for clip in made]),
            "sound": np.stack([clip.sound for clip in made]),
        },
    )
    shares = (1 - 2 * held_out, held_out, held_out)
    return stratified_split(clips, known, name="sounding_actions", shares=shares, seed=seed)


def _relevance_of(
    relevance: float | Mapping[str, float], known: tuple[str, ...]
) -> dict[str, float]:
    """The relevance of each action in use."""
    if not isinstance(relevance, Mapping):
        relevance = dict.fromkeys(known, relevance)
    strangers = [action for action in relevance if action not in known]
    if strangers:
        raise ValueError(
            "sounding_actions: expected relevance of actions in use "
            f"({', '.join(known)}), got {first_few(strangers)}"
        )
    for action, share in relevance.items():
        check_dials("sounding_actions", 0, 1, **{f"relevance of {action!r}": share})
    return {action: relevance.get(action, 1.0) for action in known}


def _classes(function: str, classes: int) -> tuple[str, ...]:
    check_dials(function, 2, len(ACTIONS), classes=classes)
    return ACTIONS[:classes]
