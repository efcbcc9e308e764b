"""Files that are whole or not there: written beside their place, then moved into it.

That holds when the power fails too: contents are on the disk before the move, the move before
`atomic` returns. It costs some 10 ms a file on an ordinary disk, which a run pays a few times an
epoch.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

Json = Any


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary path in the same folder; what is written there is moved to `path` at the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
        _flush_folder(path.parent)
    finally:
        part.unlink(missing_ok=True)


def _flush_folder(folder: Path) -> None:
    """Have the disk know a folder's names; Windows and some network disks cannot be asked to."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_json(path: Path, value: Json) -> None:
    """Write `value` as indented JSON, atomically."""
    with atomic(path) as part:
        part.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_json(path: Path) -> Json:
    """What `write_json` wrote.

    Raises:
        ValueError: contents that are not JSON.
        OSError: no such file, or one that cannot be read.

    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"read_json: {path} is damaged, put a copy back: {error}") from None


def file_hash(function: str, path: Path | str) -> str:
    """What tells a file's contents from others', in 16 hexadecimal digits.

    Raises:
        ValueError: a file that cannot be read; it begins with `function`.

    """
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except OSError as error:
        raise ValueError(f"{function}: cannot read {path}: {error.strerror}") from None


@contextlib.contextmanager
def locked(function: str, folder: Path) -> Iterator[None]:
    """Hold a folder against every other process, and against a second use in this one.

    The lock is the operating system's, on the file `lock`: it ends with its process, however that
    ends, so nothing stale can stay. (A file system without such locks gets a marker file instead.)

    Raises:
        RuntimeError: somebody else holds it; it begins with `function`.

    """
    # Not of one thread: a generator that holds it may be closed by another.
    lock = FileLock(folder / "lock", blocking=False, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        raise RuntimeError(f"{function}: {folder} is being written by another process") from None
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # Windows keeps an open file
            (folder / "lock").unlink()  # while held: whoever opened it meanwhile looks again
        lock.release()
