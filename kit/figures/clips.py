"""Clips to look at and to listen to: moving, frame by frame, their sound drawn below."""

from __future__ import annotations

import base64
import html
import io
import wave
from collections.abc import Sequence, Sized

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kit.arguments import checked
from kit.figures.look import COLOURS, Html, beside, page, png

Video = NDArray[np.uint8]
Floats = NDArray[np.floating]

HEIGHT = 64  # of a frame in the strip, in pixels of the screen
SHOWN = 10  # frames side by side at most
ENLARGED = 1.5  # how much taller the moving picture is than those in the strip
COLUMNS = 200  # of a drawn wave
QUIET, LOUD = (255, 255, 255), (0, 65, 106)


@checked
def clip_strip(
    videos: Sequence[Video] | Video,
    titles: Sequence[str],
    *,
    frames_per_second: float,
    sounds: Sequence[Floats] | Floats | None = None,
    sample_rate: int | None = None,
    spectrograms: Sequence[Floats] | Floats | None = None,
    title: str = "Clips",
) -> Html:
    """Show clips: each moves on the left, stands frame by frame on the right, and can be heard.

    At most ten frames of a clip, evenly spaced, stand side by side; all of them move, in a loop
    apart from the sound. Small pictures keep their pixels, large ones are made smaller. A browser
    that is asked for less motion shows the middle frame. Below the frames, stretched to their
    width, lie the sound's wave and its spectrogram, each kind on one scale for all clips.

    Args:
        videos: (frames, height, width, 3) uint8 each; 1 instead of 3 is grey.
        titles: what each clip is.
        frames_per_second: how fast they move.
        sounds: (samples,) float from -1 to 1 each, which a player plays with 16 bits a sample.
        sample_rate: samples of the sounds per second.
        spectrograms: (frames, bands) finite each, the lowest band first, such as log-mel.
        title: what one sees.

    Raises:
        ValueError: no clip, lengths that disagree, a video, sound or spectrogram that is none,
            sounds without a rate or a rate without sounds, a rate that is not in 0.001..1e9.

    """
    _check_counts(videos=videos, titles=titles, sounds=sounds, spectrograms=spectrograms)
    rates = [frames_per_second] if sample_rate is None else [frames_per_second, sample_rate]
    if (sounds is None) != (sample_rate is None) or not all(1e-3 <= rate <= 1e9 for rate in rates):
        raise ValueError(
            "clip_strip: expected positive frames_per_second, and a positive sample_rate exactly "
            f"where there are sounds, got {frames_per_second} and {sample_rate}"
        )
    waves = [_checked_sound(sound, at) for at, sound in enumerate(() if sounds is None else sounds)]
    spectra = () if spectrograms is None else spectrograms
    bands = [_checked_bands(spectrum, at) for at, spectrum in enumerate(spectra)]
    loudest = max([float(np.abs(sound).max()) for sound in waves], default=1.0) or 1.0
    scale = (
        min((float(one.min()) for one in bands), default=0.0),
        max((float(one.max()) for one in bands), default=1.0),
    )
    rows = []
    for at, (video, said) in enumerate(zip(videos, titles, strict=True)):
        frames = _frames(video, at)
        left, right = _moving(frames, frames_per_second, said), ""
        width = _width(frames)
        right += _strip(frames, frames_per_second, said)
        if waves and sample_rate is not None:
            left += _player(waves[at], sample_rate, said)
            right += _drawn_wave(waves[at] / loudest, said)
        if bands:
            right += _drawn_bands(bands[at], scale, said)
        left = f'<div style="margin-bottom:4px">{html.escape(said)}</div>{left}'
        where = f"flex:0 1 {width}px;min-width:0;align-self:center"
        rows.append(beside(left, f'<div style="{where}">{right}</div>', 190, "stretch"))
    return page(title, *rows, width=940)


def _frames(video: Video, at: int) -> list[Image.Image]:
    """A video's frames, none larger than it is shown."""
    pictures = np.asarray(video)
    if (
        pictures.dtype != np.uint8
        or pictures.ndim != 4
        or pictures.shape[3] not in (1, 3)
        or 0 in pictures.shape
    ):
        raise ValueError(
            f"clip_strip: video {at}: expected shape (frames, height, width, 3 or 1) and dtype "
            f"uint8, got {pictures.shape} and {pictures.dtype}"
        )
    frames = [Image.fromarray(one[..., 0] if one.shape[2] == 1 else one) for one in pictures]
    for frame in frames:
        frame.thumbnail((100 * HEIGHT, round(ENLARGED * HEIGHT)))
    return frames


def _chosen(frames: Sequence[Image.Image]) -> list[Image.Image]:
    """Some of the frames, evenly spaced, the first and the last among them."""
    rows = np.linspace(0, len(frames) - 1, min(SHOWN, len(frames))).round().astype(int)
    return [frames[row] for row in rows]


def _width(frames: Sequence[Image.Image]) -> int:
    """Pixels of the screen that a strip takes where there is room."""
    across, height = frames[0].size
    shown = len(_chosen(frames))
    return round((shown * across + shown - 1) * HEIGHT / height)


def _strip(frames: Sequence[Image.Image], frames_per_second: float, said: str) -> str:
    chosen = _chosen(frames)
    across, height = chosen[0].size
    strip = Image.new(chosen[0].mode, (len(chosen) * (across + 1) - 1, height), "white")
    for place, frame in enumerate(chosen):
        strip.paste(frame, (place * (across + 1), 0))
    seconds = len(frames) / frames_per_second
    told = f"{said}: {len(chosen)} of {len(frames)} frames, {seconds:.2f} s"
    return (
        f'<img alt="{html.escape(told)}" title="{html.escape(told)}" src="{png(strip)}" '
        'style="display:block;width:100%;image-rendering:pixelated">'
    )


def _moving(frames: Sequence[Image.Image], frames_per_second: float, said: str) -> str:
    """All frames in a loop; the middle one where motion is not wanted."""
    loop = png(*frames, milliseconds=round(1000 / frames_per_second))
    return (
        '<picture><source media="(prefers-reduced-motion: reduce)" '
        f'srcset="{png(frames[len(frames) // 2])}">'
        f'<img alt="{html.escape(said)}, moving" src="{loop}" '
        f'style="display:block;height:{round(ENLARGED * HEIGHT)}px;max-width:100%;'
        'object-fit:contain;object-position:left;image-rendering:pixelated"></picture>'
    )


def _player(sound: Floats, sample_rate: int, said: str) -> str:
    file = io.BytesIO()
    with wave.open(file, "wb") as recording:
        recording.setnchannels(1)
        recording.setsampwidth(2)
        recording.setframerate(sample_rate)
        recording.writeframes((32767 * sound).round().astype("<i2").tobytes())
    data = base64.b64encode(file.getvalue()).decode("ascii")
    return (
        f'<audio controls preload="metadata" aria-label="{html.escape(said)}, sound" '
        f'src="data:audio/wav;base64,{data}" '
        'style="display:block;width:190px;height:32px;margin-top:6px"></audio>'
    )


def _drawn_wave(sound: Floats, said: str) -> str:
    """The highest and the lowest sample of each column, joined to a shape."""
    parts = np.array_split(sound, min(COLUMNS, len(sound)))
    top = [f"{x},{50 - 48 * part.max():.0f}" for x, part in enumerate(parts)]
    bottom = [f"{x},{50 - 48 * part.min():.0f}" for x, part in enumerate(parts)]
    shape = " ".join([*top, *reversed(bottom)])
    return (
        f'<svg role="img" aria-label="{html.escape(said)}, wave of the sound" '
        f'viewBox="0 0 {max(1, len(parts) - 1)} 100" preserveAspectRatio="none" '
        'style="display:block;width:100%;height:36px;margin-top:4px">'
        f'<polygon points="{shape}" fill="{COLOURS[0]}" stroke="{COLOURS[0]}" '
        'vector-effect="non-scaling-stroke"/></svg>'
    )


def _drawn_bands(spectrum: Floats, scale: tuple[float, float], said: str) -> str:
    """Time to the right, pitch upwards, the louder the darker."""
    quiet, loud = scale
    tones = (255 * (spectrum - quiet) / ((loud - quiet) or 1.0)).round().astype(np.uint8)
    picture = Image.fromarray(np.ascontiguousarray(tones.T[::-1]))
    picture.putpalette(np.linspace(QUIET, LOUD, 256).round().astype(np.uint8).tobytes())
    return (
        f'<img alt="{html.escape(said)}, spectrogram" src="{png(picture)}" '
        'style="display:block;width:100%;height:48px;margin-top:4px;image-rendering:pixelated">'
    )


def _check_counts(**given: Sized | None) -> None:
    counts = {name: len(things) for name, things in given.items() if things is not None}
    if 0 in counts.values() or len(set(counts.values())) != 1:
        said = ", ".join(f"{count} {name}" for name, count in counts.items())
        raise ValueError(f"clip_strip: expected at least one clip and all of each, got {said}")


def _checked_sound(sound: Floats, at: int) -> Floats:
    samples = np.asarray(sound)
    if samples.ndim != 1 or len(samples) == 0 or samples.dtype.kind != "f":
        raise ValueError(
            f"clip_strip: sound {at}: expected shape (samples,) and floats, "
            f"got {samples.shape} and {samples.dtype}"
        )
    if not (np.abs(samples) <= 1).all():
        raise ValueError(
            f"clip_strip: sound {at}: expected samples from -1 to 1, "
            f"got {samples.min():.4g} to {samples.max():.4g}"
        )
    return samples


def _checked_bands(spectrum: Floats, at: int) -> Floats:
    values = np.asarray(spectrum)
    if values.ndim != 2 or values.size == 0 or not np.isfinite(values).all():
        raise ValueError(
            f"clip_strip: spectrogram {at}: expected shape (frames, bands) and finite numbers, "
            f"got {values.shape} and {values.dtype}"
        )
    return values.astype(np.float64)
