"""Pictures: opened in one place, checked, and turned into what a network takes."""

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from kit.data.text import check_several
from kit.encoders.image import ImageTransform
from kit.files import atomic, file_hash

# Pictures only: no plain documents, nothing for which Pillow starts another program.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF", "QOI")


def open_picture(source: Path | str | IO[bytes] | Image.Image, *, where: str = "") -> Image.Image:
    """A picture as RGB, as it is meant to be seen: the one place in which pictures are opened.

    It stands upright (EXIF orientation). What is transparent lies on white. Grey values of 16 bits,
    0 to 65,535, become 0 to 255; 32-bit whole numbers and floats are scaled so from the smallest of
    the ranges 0 to 1 (floats), 0 to 255 and 0 to 65,535 that holds all of the picture, or else from
    its own least to its own greatest value. Of several frames it is the first.

    Args:
        source: a file of one of `FORMATS`, by its path or opened; or a picture that Pillow opened.
        where: what a message calls it; the path if not given.

    Raises:
        ValueError: a file that is missing, no picture, or larger than Pillow's limit, by its name.

    """
    try:
        return _opened(source)
    except Exception as error:
        shown = where or f"open_picture: {source}"
        reason = str(error) or type(error).__name__
        raise ValueError(f"{shown}: expected a picture, got {reason}") from error


def why_unreadable(source: Path | IO[bytes]) -> str:
    """Why `open_picture` refuses a file, in the decoder's words; "" if it does not.

    The whole file is read, but JPEGs are decoded at an eighth of their size, which is twice as fast
    and still finds a file that was cut short.
    """
    try:
        _opened(source, small=True)
    except Exception as error:
        words = str(error).replace(repr(str(source)), "").replace(repr(source), "")
        return words.strip(" :") or type(error).__name__
    return ""


def _opened(source: Path | str | IO[bytes] | Image.Image, *, small: bool = False) -> Image.Image:
    """Upright RGB. Pillow's decoders raise anything on broken files, so whoever calls takes all."""
    if isinstance(source, Image.Image):
        return _rgb(source)
    Image.init()
    path = os.path.expanduser(source) if isinstance(source, str | Path) else source
    with Image.open(path, formats=[one for one in FORMATS if one in Image.OPEN]) as image:
        if small:
            image.draft(None, (1, 1))
        image.load()
        return _rgb(image)


def _rgb(image: Image.Image) -> Image.Image:
    with contextlib.suppress(Exception):  # EXIF that is damaged says nothing
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16"):
        pixels, clear = np.asarray(image), image.info.get("transparency", -1)  # a PNG's grey value
        image = Image.fromarray(_in_bytes(pixels, 0, 65_535))
        image.putalpha(Image.fromarray(255 * (pixels != clear).astype(np.uint8)))
    elif image.mode in ("I", "F"):
        pixels = np.asarray(image)
        low, high = float(pixels.min()), float(pixels.max())
        if not np.isfinite([low, high]).all():
            raise ValueError("pixels that are not finite")
        ranges = (255, 65_535) if image.mode == "I" else (1, 255, 65_535)
        top = next((top for top in ranges if low >= 0 and high <= top), None)
        image = Image.fromarray(_in_bytes(pixels, *((low, high) if top is None else (0, top))))
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return image.convert("RGB")


def _in_bytes(pixels: NDArray[np.generic], low: float, high: float) -> NDArray[np.uint8]:
    """From a range to 0 to 255; in float64, which holds the difference of any two of them."""
    scaled = (pixels.astype(np.float64) - low) / ((high - low) or 1)
    return np.rint(255 * scaled).astype(np.uint8)


@dataclass(frozen=True)
class FolderImages:
    """The pictures of a folder by index, as RGB: what `CaptionedImages.open_image` asks for.

    Raises:
        ValueError: one name in place of several; on opening, a file that is missing or no picture,
            by its path.

    """

    folder: Path
    names: tuple[str, ...] = field(repr=False)
    from_disk: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_several("FolderImages", names=self.names)

    def __call__(self, index: int) -> Image.Image:
        """Open picture `index`."""
        path = Path(self.folder) / self.names[index]
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


KNOWN_FILE = ".known_pictures_2.json"  # 2: of this opener
TICK = 0.02  # seconds; the clock of a local file system is finer


class Known(NamedTuple):
    """A file as it was when it was read: `problem` is why it is no picture, "" if it is one."""

    size: int
    changed: int
    entry_changed: int
    hash: str
    problem: str


def known(folder: Path, names: Sequence[str]) -> list[Known]:
    """What is known of some files of a folder; what is new or was changed is read now.

    It is kept in a file beside the pictures, or in the user's cache where that folder may not be
    written to. A file is believed to be the same as long as its size and its times (of its content
    and of its entry in the file system) are.

    Args:
        folder: holds the files.
        names: of the files, relative to the folder.

    Raises:
        ValueError: one name in place of several; a file that is not there or cannot be read.

    """
    check_several("known", names=names)
    found: dict[str, Known] = {}
    folder = Path(os.path.expanduser(folder))
    for place in reversed(_places(folder)):
        found |= _read_known(place)
    stats = {name: _stat(folder / name) for name in names}
    new = [name for name in stats if name not in found or found[name][:3] != stats[name]]
    if new:
        # What was written within the clock's last tick could be written again with the same time.
        newest = max(max(stats[name][1:]) for name in new) / 1e9
        time.sleep(min(TICK, max(0.0, newest + TICK - time.time())))

        def read(name: str) -> Known:
            path = folder / name
            return Known(*stats[name], file_hash("known", path), why_unreadable(path))

        with ThreadPoolExecutor() as threads:
            found |= zip(new, threads.map(read, new), strict=True)
        _write_known(folder, found)
    return [found[name] for name in names]


def _places(folder: Path) -> tuple[Path, Path]:
    """Where it is kept: beside the pictures, else in the user's cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    named = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:32]
    return folder / KNOWN_FILE, cache / "crossmodal_kit" / f"{named}{KNOWN_FILE}"


def _stat(path: Path) -> tuple[int, int, int]:
    try:
        stat = path.stat()
    except (OSError, ValueError) as error:
        raise ValueError(f"known: {path}: expected a picture, got {error}") from None
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def _read_known(place: Path) -> dict[str, Known]:
    """What was kept there: nothing if it is not there, or no longer whole."""
    try:
        kept = json.loads(place.read_bytes())
        return {name: Known(*entry) for name, entry in kept.items()}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return {}


def _write_known(folder: Path, found: dict[str, Known]) -> None:
    text = json.dumps(found)
    for place in _places(folder):
        with contextlib.suppress(OSError):  # a folder that may only be read
            with atomic(place) as part:
                part.write_text(text, encoding="utf-8")
            return
