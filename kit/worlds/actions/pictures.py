"""How an action looks: things with an outline and a spot, by daylight or at night, on a floor."""

from __future__ import annotations

from colorsys import hsv_to_rgb
from math import cos, pi, sin

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from kit.worlds.actions.world import STEPS_PER_SECOND, Mover, Timeline
from kit.worlds.dials import check_dials

Colour = tuple[int, int, int]
Outline = NDArray[np.float64]

# Drawn this many times larger, then averaged down: smooth edges at any size.
_OVERSAMPLE = 4


def _spokes(*radii: float, turns: int) -> Outline:
    """Corners around (0, 0) at these distances, again and again, the first one on top."""
    angles = 2 * pi * np.arange(turns * len(radii)) / (turns * len(radii))
    away = np.tile(radii, turns)
    return np.stack([away * np.sin(angles), -away * np.cos(angles)], axis=1)


# Corners within a circle of radius about 1, y downwards.
_OUTLINES: dict[str, Outline] = {
    "disc": _spokes(1.0, turns=28),
    "square": np.array([(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)]),
    "triangle": _spokes(1.15, turns=3),
    "hexagon": _spokes(1.03, turns=6),
    "star": _spokes(1.15, 0.62, turns=5),
}
# Off the centre, so that every thing can be seen to turn.
_SPOT = 0.3 * _spokes(1.0, turns=14) + np.array([0.42, -0.1])


def draw_frames(
    timeline: Timeline,
    *,
    frames: int = 8,
    size: int = 32,
    noise: float = 0.0,
    occlusion: float = 0.0,
    seed: int | tuple[int, ...] = 0,
) -> NDArray[np.uint8]:
    """Draw a timeline: the same arguments give the same pixels.

    Args:
        timeline: what happens; each frame shows the middle of its share of the time.
        frames: number of frames, 2 to 64.
        size: width and height in pixels, 16 to 256.
        noise: standard deviation of the Gaussian noise on each pixel and channel, as a share of
            full brightness, 0 to 1; values are clipped to what a pixel can hold.
        occlusion: share of every frame, 0 to 1, behind one grey box that stands still somewhere.
        seed: at least 0; of colours, outlines, bystanders (up to two things that do nothing), of
            the box's place and of the noise. None of these knows the action.

    Returns:
        (frames, size, size, 3) RGB.

    Raises:
        ValueError: a number out of range.

    """
    check_dials("draw_frames", 2, 64, frames=frames)
    check_dials("draw_frames", 16, 256, size=size)
    check_dials("draw_frames", 0, 1, noise=noise, occlusion=occlusion)
    rng = np.random.default_rng(seed)
    stage, outlines, dresses = _costumes(timeline.floor, size * _OVERSAMPLE, rng)
    steps = ((np.arange(frames) + 0.5) * timeline.seconds / frames * STEPS_PER_SECOND).astype(int)
    pictures = []
    for step in steps.tolist():
        canvas = stage.copy()
        pen = ImageDraw.Draw(canvas, "RGBA")
        for mover in timeline.movers:
            _put(pen, canvas.width, mover, step, outlines[mover.dress], dresses[mover.dress])
        pictures.append(np.asarray(canvas.reduce(_OVERSAMPLE)))
    video = np.stack(pictures)
    _hide(video, occlusion, rng)
    if noise == 0:
        return video
    grain = rng.standard_normal(video.shape, dtype=np.float32)
    noisy: NDArray[np.float32] = video + np.float32(255 * noise) * grain
    return noisy.round().clip(0, 255).astype(np.uint8)


def _costumes(
    floor: float, width: int, rng: np.random.Generator
) -> tuple[Image.Image, list[str], list[tuple[Colour, Colour, Colour]]]:
    """Choose what the clip looks like: the empty stage, and outline and colours of both things."""
    hue, night = rng.random(), rng.random() < 0.4
    air, ground = ((0.55, 0.3), (0.6, 0.2)) if night else ((0.25, 0.92), (0.3, 0.76))
    stage = Image.new("RGB", (width, width), _colour(hue, *air))
    pen = ImageDraw.Draw(stage, "RGBA")
    floor_colour = _colour(hue + rng.uniform(-0.1, 0.1), *ground)
    pen.rectangle((0, round(floor * width), width, width), fill=floor_colour)
    hues = hue + 0.5 + np.array([-0.13, 0.13]) + rng.uniform(-0.14, 0.14, 2)
    names = list(_OUTLINES)
    outlines = [names[number] for number in rng.integers(len(names), size=2)]
    dresses = [
        (_colour(h, 0.82, 0.95), _colour(h, 0.8, 0.4), _colour(h + 0.08, 0.25, 1.0)) for h in hues
    ]
    for place in rng.uniform((0.1, 0.1), (0.9, 0.75), (2, 2))[: rng.integers(3)]:
        corners = place + rng.uniform(0.06, 0.11) * _OUTLINES[names[rng.integers(len(names))]]
        paint = _colour(rng.random(), 0.35, 0.5 if night else 0.8)
        pen.polygon([(x, y) for x, y in (corners * width).tolist()], fill=paint)
    return stage, outlines, dresses


def _put(
    pen: ImageDraw.ImageDraw,
    width: int,
    mover: Mover,
    step: int,
    outline: str,
    dress: tuple[Colour, Colour, Colour],
) -> None:
    """Draw one mover as it is at a step, its shadow first."""
    alpha = round(255 * float(mover.opacity[step]))
    if alpha == 0:
        return
    own = mover.form == "own"
    turn = float(mover.turn[step])
    turned = np.array([(cos(turn), sin(turn)), (-sin(turn), cos(turn))])
    half = np.array([mover.wide[step], mover.tall[step]])
    centre = np.array([mover.x[step], mover.y[step]])

    def placed(corners: Outline, aside: float = 0.0) -> list[tuple[float, float]]:
        at = (corners * half @ turned + centre + aside) * width
        return [(x, y) for x, y in at.tolist()]

    fill, edge, spot = dress
    body = _OUTLINES[outline if own else mover.form]
    if own:
        pen.polygon(placed(body, 0.018), fill=(0, 0, 0, alpha // 4))
    line = max(1, round(width / 70))
    pen.polygon(placed(body), fill=(*fill, alpha), outline=(*edge, alpha), width=line)
    if own:
        pen.polygon(placed(_SPOT), fill=(*spot, alpha))


def _hide(video: NDArray[np.uint8], share: float, rng: np.random.Generator) -> None:
    """Put a box of about this share of the area in front of all frames; its place is always drawn.

    The box is as high as it is wide, or up to twice, or half; where that would not fit, it is cut
    to the picture's height and made wider.
    """
    size = video.shape[1]
    shape, across, down, grey = rng.uniform((0.5, 0, 0, 70), (2, 1, 1, 180))
    tall = min(size, round(size * (share * shape) ** 0.5))
    wide = min(size, round(size * size * share / max(tall, 1)))
    tall = min(size, round(size * size * share / max(wide, 1)))
    top, left = round(down * (size - tall)), round(across * (size - wide))
    video[:, top : top + tall, left : left + wide] = round(grey)


def _colour(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = hsv_to_rgb(float(hue) % 1, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)
