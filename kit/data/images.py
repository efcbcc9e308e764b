"""Pictures: opened from a folder, checked, and turned into what a network takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from PIL import Image
from torch import Tensor

from kit.encoders.transform import ImageTransform

# What Pillow's decoders raise on broken files, from a cut JPEG to a bad PNG chunk.
DECODING_ERRORS = (OSError, SyntaxError, ValueError, EOFError)


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
