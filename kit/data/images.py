"""Pictures: opened in one place, checked, and turned into what a network takes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from kit.data.picture_files import known
from kit.encoders.image import ImageTransform

# What Pillow's decoders raise on broken files, from a cut JPEG to a bad PNG chunk.
DECODING_ERRORS = (OSError, SyntaxError, ValueError, EOFError)


def open_picture(source: Path | str | IO[bytes], *, where: str = "") -> Image.Image:
    """A picture as RGB: the one place in which pictures are opened.

    Args:
        source: a file, by its path or opened.
        where: what a message calls it; the path if not given.

    Raises:
        ValueError: a file that is missing or no picture, by its name.

    """
    try:
        with Image.open(source) as image:
            return image.convert("RGB")
    except DECODING_ERRORS as error:
        where = where or f"open_picture: {source}"
        raise ValueError(f"{where}: expected a picture, got {error}") from error


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


@dataclass(frozen=True)
class FolderImages:
    """The pictures of a folder by index, as RGB: what `CaptionedImages.open_image` asks for.

    Raises:
        ValueError: on opening, a file that is missing or no picture, by its path.

    """

    folder: Path
    names: tuple[str, ...] = field(repr=False)
    from_disk: ClassVar[bool] = True

    def __call__(self, index: int) -> Image.Image:
        """Open picture `index`."""
        path = self.folder / self.names[index]
        return open_picture(path, where=f"FolderImages: {path}")

    def content_hash(self) -> str:
        """What tells these files from others; only those that are new or were changed are read."""
        files = known(self.folder, self.names)
        return hashlib.sha256("".join(file.hash for file in files).encode()).hexdigest()


@dataclass(frozen=True)
class TransformedImages:
    """Pixels for `TrainingPairs`: a split's pictures through a transform, mirrored when asked."""

    open_image: Callable[[int], Image.Image]
    transform: ImageTransform
    mirrors: ClassVar[bool] = True
    in_memory: ClassVar[bool] = False

    def __call__(
        self, rows: Sequence[int] | NDArray[np.int64], flipped: NDArray[np.bool_] | None = None
    ) -> Tensor:
        """Pictures as (rows, 3, size, size) float32, left and right exchanged where `flipped`."""
        pixels = [self.transform(self.open_image(int(row))) for row in rows]
        if flipped is not None:
            pixels = [one.flip(-1) if f else one for one, f in zip(pixels, flipped, strict=True)]
        return torch.stack(pixels)

    def __getitem__(self, rows: Sequence[int]) -> Tensor:
        """Plain views: what an `EpochLoader` asks for by rows."""
        return self(rows)
