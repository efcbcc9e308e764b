"""How a scene looks: flat things with an outline and a soft shadow, on quiet ground."""

from __future__ import annotations

from math import cos, pi, sin

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from kit.worlds.dials import check_dials
from kit.worlds.scenes.world import PLACES, RADIUS, Scene, Thing

Point = tuple[float, float]
Colour = tuple[int, int, int]

# Drawn this many times larger, then averaged down: smooth edges at any size.
_OVERSAMPLE = 4

# Of each colour: the fill, the second tone of its textures, the outline.
_TONES: dict[str, tuple[Colour, Colour, Colour]] = {
    "red": ((214, 40, 48), (255, 178, 172), (112, 12, 24)),
    "orange": ((246, 132, 28), (255, 218, 170), (140, 62, 4)),
    "yellow": ((255, 218, 52), (222, 158, 0), (136, 96, 0)),
    "green": ((34, 150, 70), (176, 232, 170), (8, 74, 36)),
    "blue": ((34, 92, 214), (168, 204, 255), (10, 36, 108)),
    "purple": ((124, 58, 176), (218, 184, 244), (58, 18, 96)),
    "pink": ((250, 142, 192), (196, 44, 120), (142, 32, 88)),
    "white": ((252, 252, 250), (172, 180, 194), (84, 90, 104)),
}
_GROUND: dict[str, Colour] = {
    "sky": (166, 210, 238),
    "grass": (150, 192, 112),
    "sand": (234, 212, 168),
    "night": (30, 36, 70),
    "paper": (246, 244, 236),
    "wood": (178, 134, 96),
}


def _arc(start: float, end: float, radius: float = 1.0, x: float = 0.0) -> list[Point]:
    """Points on a circle around (x, 0), from angle `start` to `end` in half turns."""
    angles = np.linspace(start * pi, end * pi, 40)
    return [(x + radius * cos(angle), radius * sin(angle)) for angle in angles]


def _star() -> list[Point]:
    spokes = [(r, pi * (index / 5 - 0.5)) for index, r in enumerate((1.16, 0.54) * 5)]
    return [(r * cos(angle), 0.06 + r * sin(angle)) for r, angle in spokes]


def _cross() -> list[Point]:
    arm = [(-0.38, -1.05), (0.38, -1.05), (0.38, -0.38)]
    corners = list(arm)
    for _ in range(3):
        arm = [(-y, x) for x, y in arm]
        corners += arm
    return corners


def _heart() -> list[Point]:
    return [
        (
            1.12 * sin(a) ** 3,
            -0.07 * (13 * cos(a) - 5 * cos(2 * a) - 2 * cos(3 * a) - cos(4 * a)) - 0.08,
        )
        for a in np.linspace(0, 2 * pi, 48)
    ]


# Outlines within a circle of radius about 1, y downwards; a second outline is a hole.
_CONTOURS: dict[str, list[list[Point]]] = {
    "circle": [_arc(0, 2)],
    "square": [[(-0.86, -0.86), (0.86, -0.86), (0.86, 0.86), (-0.86, 0.86)]],
    "triangle": [[(0.0, -1.05), (1.05, 0.8), (-1.05, 0.8)]],
    "star": [_star()],
    "heart": [_heart()],
    "ring": [_arc(0, 2, 1.08), _arc(0, 2, 0.62)],
    "cross": [_cross()],
    # Three quarters of a circle, closed by an arc that bends inwards.
    "moon": [_arc(0.28, 1.72, 1.12, 0.22) + _arc(1.58, 0.42, 0.88, 0.78)],
}


def draw(
    scene: Scene, *, size: int = 64, noise: float = 0.0, seed: int | tuple[int, ...] = 0
) -> Image.Image:
    """Draw a scene: the same arguments give the same pixels.

    Args:
        scene: what is to be seen.
        size: width and height in pixels, 32 to 512.
        noise: standard deviation of the Gaussian noise on each pixel and channel, as a share of
            full brightness, 0 to 1; values are clipped to what a pixel can hold.
        seed: of the jitter (things move by up to 1.5 % of the width, turn by up to 9 degrees, grow
            or shrink by up to 6 %), of the background's details and of the noise.

    Returns:
        An RGB picture of size x size pixels.

    Raises:
        ValueError: size or noise out of range.

    """
    check_dials("draw", 32, 512, size=size)
    check_dials("draw", 0, 1, noise=noise)
    rng = np.random.default_rng(seed)
    width = size * _OVERSAMPLE
    canvas = Image.new("RGB", (width, width), _GROUND[scene.background])
    _DETAILS[scene.background](ImageDraw.Draw(canvas), width, rng)
    for thing in scene.things:
        _put(canvas, thing, rng)
    picture = canvas.reduce(_OVERSAMPLE)
    if noise == 0:
        return picture
    pixels = np.asarray(picture) + rng.normal(0, 255 * noise, (size, size, 3))
    return Image.fromarray(pixels.round().clip(0, 255).astype(np.uint8))


def _put(canvas: Image.Image, thing: Thing, rng: np.random.Generator) -> None:
    """Draw one thing, its shadow first, onto the canvas."""
    width = canvas.width
    fill, tone, edge = _TONES[thing.colour]
    x, y = np.asarray(PLACES[thing.place]) + rng.uniform(-0.015, 0.015, 2)
    radius = RADIUS[thing.size] * rng.uniform(0.94, 1.06) * width
    turn = rng.uniform(-9, 9) * pi / 180
    half = int(1.4 * radius)
    patch = (round(x * width) - half, round(y * width) - half)

    contours = [_placed(contour, radius, turn, half) for contour in _CONTOURS[thing.shape]]
    mask = Image.new("L", (2 * half, 2 * half))
    drawing = ImageDraw.Draw(mask)
    for contour, inside in zip(contours, (255, 0), strict=False):  # a second contour is a hole
        drawing.polygon(contour, fill=inside)

    shadow = mask.filter(ImageFilter.BoxBlur(width / 90)).point(lambda value: value * 0.38)
    drop = round(width / 60)
    canvas.paste((16, 20, 36), (patch[0] + drop, patch[1] + drop), shadow)

    cloth = Image.new("RGB", mask.size, fill)
    pen = ImageDraw.Draw(cloth)
    if thing.texture != "plain":
        _WEAVE[thing.texture](pen, half, width, tone)
    line = round(width / 44)
    for contour in contours:
        pen.line([*contour, contour[0], contour[1]], fill=edge, width=line, joint="curve")
    canvas.paste(cloth, patch, mask)


def _placed(contour: list[Point], radius: float, turn: float, half: int) -> list[Point]:
    """Turn the contour by `turn` radians and put it, in pixels, around (half, half)."""
    c, s = radius * cos(turn), radius * sin(turn)
    return [(half + c * x - s * y, half + s * x + c * y) for x, y in contour]


def _stripes(pen: ImageDraw.ImageDraw, half: int, width: int, tone: Colour) -> None:
    step = width / 11
    for index in range(-8, 9):
        x = half + index * step
        pen.line([(x - half, 2 * half), (x + half, 0)], fill=tone, width=round(0.36 * step))


def _dots(pen: ImageDraw.ImageDraw, half: int, width: int, tone: Colour) -> None:
    step = width / 14
    for row in range(-6, 7):
        for column in range(-6, 7):
            x, y = half + (column + row % 2 / 2) * step, half + row * 0.87 * step
            pen.circle((x, y), 0.29 * step, fill=tone)


def _checks(pen: ImageDraw.ImageDraw, half: int, width: int, tone: Colour) -> None:
    step = width / 16
    for row in range(-6, 7):
        for column in range(-6 + row % 2, 7, 2):
            x, y = half + (column - 0.5) * step, half + (row - 0.5) * step
            pen.rectangle([x, y, x + step, y + step], fill=tone)


def _clouds(pen: ImageDraw.ImageDraw, width: int, rng: np.random.Generator) -> None:
    for x, y in rng.uniform(0, width, (4, 2)):
        for along, up, radius in ((-0.09, 0, 0.05), (0, -0.03, 0.08), (0.09, 0, 0.06)):
            pen.circle((x + along * width, y + up * width), radius * width, fill=(206, 231, 246))


def _blades(pen: ImageDraw.ImageDraw, width: int, rng: np.random.Generator) -> None:
    for x, y, lean in rng.uniform((0, 0, -1), (width, width, 1), (110, 3)):
        colour = (132, 176, 96) if lean < 0 else (168, 207, 130)
        tip = (x + lean * width / 60, y - width / 22)
        pen.line([(x, y), tip], fill=colour, width=round(width / 90))


def _grains(pen: ImageDraw.ImageDraw, width: int, rng: np.random.Generator) -> None:
    for x, y, tint in rng.uniform((0, 0, -1), (width, width, 1), (150, 3)):
        colour = (214, 188, 140) if tint < 0 else (245, 230, 196)
        pen.circle((x, y), width / 110, fill=colour)


def _stars(pen: ImageDraw.ImageDraw, width: int, rng: np.random.Generator) -> None:
    for x, y, glow in rng.uniform((0, 0, 0.5), (width, width, 1), (45, 3)):
        pen.circle((x, y), glow * width / 110, fill=(150, 158, 200))


def _squares(pen: ImageDraw.ImageDraw, width: int, rng: np.random.Generator) -> None:
    step = width / 8
    start_x, start_y = rng.uniform(0, step, 2)
    for index in range(8):
        x, y = start_x + index * step, start_y + index * step
        pen.line([(x, 0), (x, width)], fill=(208, 218, 230), width=round(width / 64))
        pen.line([(0, y), (width, y)], fill=(208, 218, 230), width=round(width / 64))


def _planks(pen: ImageDraw.ImageDraw, width: int, rng: np.random.Generator) -> None:
    step = width / 5
    start = -rng.uniform(0, step)
    for index in range(6):
        top = start + index * step
        light = int(rng.integers(-9, 10))
        red, green, blue = _GROUND["wood"]
        pen.rectangle([0, top, width, top + step], fill=(red + light, green + light, blue + light))
        for y in top + rng.uniform(0.1, 0.9, 3) * step:
            pen.line([(0, y), (width, y)], fill=(164, 121, 84), width=round(width / 128))
        pen.line([(0, top), (width, top)], fill=(134, 96, 64), width=round(width / 64))


_WEAVE = {"striped": _stripes, "dotted": _dots, "checked": _checks}
_DETAILS = {
    "sky": _clouds,
    "grass": _blades,
    "sand": _grains,
    "night": _stars,
    "paper": _squares,
    "wood": _planks,
}
