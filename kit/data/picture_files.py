"""What is known of picture files: each is read once, and from then on only asked for its date.

What was found is kept in a file beside the pictures, or in the user's cache where that folder may
not be written to. A file is believed to be the same as long as its size and its times (of its
content and of its entry in the file system) are.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from kit.files import atomic, file_hash

NAME = ".picture_files.json"
TICK = 0.02  # seconds; the clock of a local file system is finer


class Known(NamedTuple):
    """A file as it was when it was read: `problem` is None if nobody asked, "" if there is none."""

    size: int
    changed: int
    entry_changed: int
    hash: str
    problem: str | None


def known(
    folder: Path, names: Sequence[str], *, check: Callable[[Path], str | None] | None = None
) -> list[Known]:
    """What is known of some files of a folder; what is new or was changed is read now.

    Args:
        folder: holds the files.
        names: of the files, relative to the folder.
        check: says what is wrong with a file, asked of each once; not asked for if not given.

    Raises:
        ValueError: a file that is not there or cannot be read.

    """
    found: dict[str, Known] = {}
    for place in reversed(_places(folder)):
        found |= _read(place)
    stats = {name: _stat(folder / name) for name in names}

    def is_new(name: str) -> bool:
        old = found.get(name)
        return old is None or old[:3] != stats[name] or (check is not None and old.problem is None)

    new = [name for name in stats if is_new(name)]
    if new:
        # What was written within the clock's last tick could be written again with the same time.
        newest = max(max(stats[name][1:]) for name in new) / 1e9
        time.sleep(min(TICK, max(0.0, newest + TICK - time.time())))

        def read(name: str) -> Known:
            path = folder / name
            problem = None if check is None else check(path) or ""
            return Known(*stats[name], file_hash("picture_files", path), problem)

        with ThreadPoolExecutor() as threads:
            found |= zip(new, threads.map(read, new), strict=True)
        _write(folder, found)
    return [found[name] for name in names]


def _places(folder: Path) -> tuple[Path, Path]:
    """Where it is kept: beside the pictures, else in the user's cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    named = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:32]
    return folder / NAME, cache / "crossmodal_kit" / f"{named}.json"


def _stat(path: Path) -> tuple[int, int, int]:
    try:
        stat = path.stat()
    except (OSError, ValueError) as error:
        raise ValueError(f"picture_files: {path}: expected a picture, got {error}") from None
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def _read(place: Path) -> dict[str, Known]:
    """What was kept there: nothing if it is not there, or no longer whole."""
    try:
        kept = json.loads(place.read_bytes())
        return {name: Known(*entry) for name, entry in kept.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _write(folder: Path, found: dict[str, Known]) -> None:
    text = json.dumps(found)
    for place in _places(folder):
        try:
            with atomic(place) as part:
                part.write_text(text, encoding="utf-8")
            return
        except OSError:  # a folder that may only be read; without any, files are read again
            continue
