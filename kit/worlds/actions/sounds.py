"""How an action sounds: strikes, tones and rushes of noise, played from its timeline."""

from __future__ import annotations

from math import pi

import numpy as np
from numpy.typing import NDArray

from kit.worlds.actions.world import STEPS_PER_SECOND, Rush, Strike, Timeline, Tone, Values
from kit.worlds.dials import check_dials

# The second partial of a bar that is struck, which makes a note sound like a thing.
_BAR_PARTIAL = 2.76


def sound_of(
    timeline: Timeline,
    *,
    sample_rate: int = 8000,
    noise: float = 0.0,
    seed: int | tuple[int, ...] = 0,
) -> NDArray[np.float32]:
    """Play a timeline: the same arguments give the same samples.

    Args:
        timeline: what happens, and how it sounds.
        sample_rate: samples a second, 8,000 to 48,000.
        noise: standard deviation of the Gaussian noise on each sample, 0 to 1.
        seed: at least 0; of the pitch (all of the clip up or down by up to three quarters of an
            octave), of the loudness (near or far: the largest sample, before the noise, is 0.1 to
            0.9, evenly in decibels) and of the noise.

    Returns:
        (samples,) between -1 and 1, `seconds` x `sample_rate` of them, rounded; what noise carries
        beyond is cut off.

    Raises:
        ValueError: sample_rate or noise out of range.

    """
    check_dials("sound_of", 8000, 48000, sample_rate=sample_rate)
    check_dials("sound_of", 0, 1, noise=noise)
    rng = np.random.default_rng(seed)
    pitch, loudest = 2 ** rng.uniform(-0.75, 0.75), 0.9 * 9 ** -rng.random()
    played = np.zeros(round(timeline.seconds * sample_rate))
    for sound in timeline.sounds:
        if isinstance(sound, Strike):
            _strike(played, sound, pitch, sample_rate, rng)
        elif isinstance(sound, Tone):
            played += _tone(sound, pitch, sample_rate, len(played))
        else:
            played += _rush(sound, pitch, sample_rate, len(played), rng)
    played *= loudest / max(float(np.abs(played).max()), 1e-9)
    if noise > 0:
        played += rng.normal(0, noise, len(played))
    return played.clip(-1, 1).astype(np.float32)


def _strike(
    played: Values, strike: Strike, pitch: float, sample_rate: int, rng: np.random.Generator
) -> None:
    """Add a strike to what is played, from its instant on."""
    first = int(np.ceil(strike.seconds * sample_rate))
    rest = played[first : first + int(6 * strike.ring * sample_rate)]
    since = np.arange(len(rest)) / sample_rate
    note = np.zeros(len(rest))
    for hertz, strength in ((strike.hertz, 1.0), (strike.hertz * _BAR_PARTIAL, 0.5)):
        if hertz * pitch < sample_rate / 2:
            note += strength * np.sin(2 * pi * hertz * pitch * since)
    grain = rng.normal(0, 0.6, len(rest))
    blend = strike.grain * grain + (1 - strike.grain) * note
    rest += strike.loudness * np.exp(-since / strike.ring) * blend


def _tone(tone: Tone, pitch: float, sample_rate: int, samples: int) -> Values:
    hertz = _by_sample(tone.hertz * pitch, sample_rate, samples)
    phase = 2 * pi * np.cumsum(hertz) / sample_rate
    wave = np.zeros(samples)
    for number, strength in enumerate(tone.partials, start=1):
        if strength > 0:  # partials beyond what the sample rate can hold are left out
            wave += strength * np.sin(number * phase) * (number * hertz < sample_rate / 2)
    return wave * _by_sample(tone.loudness, sample_rate, samples)


def _rush(
    rush: Rush, pitch: float, sample_rate: int, samples: int, rng: np.random.Generator
) -> Values:
    """Slow complex noise, turned at the pitch: noise around it, as wide as the slow one is fast."""
    knots = int(rush.width * samples / sample_rate) + 2
    slow = np.interp(
        np.arange(samples) * rush.width / sample_rate,
        np.arange(knots),
        rng.normal(size=knots) + 1j * rng.normal(size=knots),
    )
    phase = 2 * pi * np.cumsum(_by_sample(rush.hertz * pitch, sample_rate, samples)) / sample_rate
    wave = slow.real * np.cos(phase) - slow.imag * np.sin(phase)
    return wave * _by_sample(rush.loudness, sample_rate, samples)


def _by_sample(steps: Values, sample_rate: int, samples: int) -> Values:
    """What is known by steps, at every sample."""
    at = np.arange(samples) * (STEPS_PER_SECOND / sample_rate)
    between: Values = np.interp(at, np.arange(len(steps)), steps)
    return between
