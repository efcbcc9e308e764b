"""Pictures: opened from a folder, checked, and turned into what a network takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np
import torch
from PIL import Image
from torch import Tensor

# What Pillow's decoders raise on broken files, from a cut JPEG to a bad PNG chunk.
DECODING_ERRORS = (OSError, SyntaxError, ValueError, EOFError)


@dataclass(frozen=True)
class ImageTransform:
    """A picture as a network takes it: the whole image resized to a square, scaled and normalised.

    The aspect is not kept and nothing is cropped; resizing is bilinear and antialiased. Grey
    pictures are replicated to three channels. Plain numbers only: what
    ``json.dumps(dataclasses.asdict(transform))`` wrote, ``ImageTransform(**json.loads(text))``
    brings back.

    Args:
        size: height and width of the result, in pixels.
        mean: subtracted from each channel after scaling to [0, 1].
        std: divides each channel after that; 0.5 and 0.5 give [-1, 1].

    Raises:
        ValueError: a size below 1, not three means or deviations, a deviation that is not positive.

    >>> white = Image.new("L", (3, 5), 255)
    >>> ImageTransform(2, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))(white)[0]
    tensor([[1., 1.],
            [1., 1.]])

    """

    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"ImageTransform: size must be at least 1 pixel, got {self.size}")
        for name in ("mean", "std"):
            values = tuple(float(value) for value in getattr(self, name))
            if len(values) != 3:
                raise ValueError(f"ImageTransform: {name} must be three numbers, got {values}")
            object.__setattr__(self, name, values)  # a list, as JSON gives it, becomes a tuple
        if min(self.std) <= 0:
            raise ValueError(f"ImageTransform: std must be positive, got {self.std}")

    def __call__(self, image: Image.Image) -> Tensor:
        """The picture as (3, size, size) float32."""
        square = image.convert("RGB").resize((self.size, self.size), Image.Resampling.BILINEAR)
        pixels = torch.from_numpy(np.array(square, dtype=np.float32)).permute(2, 0, 1) / 255
        mean, std = (torch.tensor(values).view(3, 1, 1) for values in (self.mean, self.std))
        return ((pixels - mean) / std).contiguous()


@dataclass(frozen=True)
class FolderImages:
    """The pictures of a folder by index, as RGB: what `CaptionedImages.open_image` asks for.

    Raises:
        ValueError: on opening, a file that is missing or no picture, by its path.

    """

    folder: Path
    names: tuple[str, ...] = field(repr=False)

    def __call__(self, index: int) -> Image.Image:
        """Open picture `index`."""
        path = self.folder / self.names[index]
        try:
            with Image.open(path) as image:
                return image.convert("RGB")
        except DECODING_ERRORS as error:
            raise ValueError(f"FolderImages: {path}: expected a picture, got {error}") from error


@dataclass(frozen=True)
class TransformedImages:
    """Pixels for `TrainingPairs`: a split's pictures through a transform, mirrored when asked."""

    open_image: Callable[[int], Image.Image]
    transform: ImageTransform

    def __call__(self, index: int, *, flipped: bool) -> Tensor:
        """Picture `index` as (3, size, size) float32, its left and right exchanged if `flipped`."""
        pixels = self.transform(self.open_image(index))
        return pixels.flip(-1) if flipped else pixels


def why_unreadable(source: Path | IO[bytes]) -> str | None:
    """Why a picture cannot be decoded, in the decoder's words; None if it can.

    The whole file is read, but JPEGs are decoded at an eighth of their size, which is twice as fast
    and still finds a file that was cut short.
    """
    try:
        with Image.open(source) as image:
            image.draft(None, (1, 1))
            image.load()
    except DECODING_ERRORS as error:
        words = str(error).replace(repr(str(source)), "").replace(repr(source), "")
        return words.strip(" :") or type(error).__name__
    return None
