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


def as_path(function: str, path: object, what: str = "path") -> Path:
    """A path that was given as text or as a path; `~` is the home folder.

    Raises:
        ValueError: something else, no text, or text that no file system takes; it begins with
            `function`.

    """
    text = os.fspath(path) if isinstance(path, str | os.PathLike) else None
    if not isinstance(text, str):
        raise ValueError(f"{function}: {what} must be a path, got {path!r:.99}")
    if not text or "\0" in text:
        raise ValueError(f"{function}: {what} must be a path without NUL characters, got {text!r}")
    return Path(os.path.expanduser(text))


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
        ValueError: no such file, one that cannot be read, contents that are not JSON.

    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"read_json: cannot read {path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"read_json: {path} is damaged, put a copy back: {error}") from None


def file_hash(function: str, path: Path | str) -> str:
    """What tells a file's contents from others', in 16 hexadecimal digits.

    Raises:
        ValueError: a file that cannot be read; it begins with `function`.

    """
    try:
        with as_path(function, path).open("rb") as file:
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
        ValueError: a folder that cannot be written to.

    """
    # Not of one thread: a generator that holds it may be closed by another.
    lock = FileLock(folder / "lock", blocking=False, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        raise RuntimeError(f"{function}: {folder} is being written by another process") from None
    except OSError as error:
        raise ValueError(f"{function}: cannot write to {folder}: {error.strerror}") from None
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # Windows keeps an open file
            (folder / "lock").unlink()  # while held: whoever opened it meanwhile looks again
        lock.release()
