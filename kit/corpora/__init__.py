"""Corpora: a layout on disk becomes a `Corpus` of captioned images or a `ClipCorpus`."""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from kit.checks import first_few

Name = TypeVar("Name", int, str)


@contextmanager
def refused_by(reader: str) -> Iterator[None]:
    """Name who reads, and perhaps what, in front of whatever is refused: a block or a decorator.

    >>> with refused_by("read_clip_folder: mine"):
    ...     raise ValueError("items.csv: expected the columns id, label, got none")
    Traceback (most recent call last):
    ValueError: read_clip_folder: mine: items.csv: expected the columns id, label, got none
    """
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{reader}: {error}") from error


def local_path(path: str | Path) -> Path:
    """A path on this machine; `~` is the user's home.

    >>> local_path(None)
    Traceback (most recent call last):
    ValueError: expected the path of a file or folder, got None
    """
    if not isinstance(path, str | os.PathLike) or str(path) == "" or "\0" in str(path):
        raise ValueError(f"expected the path of a file or folder, got {path!r}")
    return Path(os.path.expanduser(path))


def equal_within(
    what: str, splits: Mapping[str, Iterable[Name]], content: Mapping[Name, object]
) -> list[list[Name]]:
    """The names of equal content, where there are several of one split.

    >>> equal_within("pictures", {"train": [0, 1], "test": [2]}, {0: "a", 1: "a", 2: "a"})
    Traceback (most recent call last):
    ValueError: 1 pictures are in two splits: 0 (train) and 2 (test)
    """
    places: dict[object, list[tuple[Name, str]]] = {}
    for split, names in splits.items():
        for name in names:
            places.setdefault(content[name], []).append((name, split))
    torn = []
    for found in places.values():
        one_of_each = {split: name for name, split in reversed(found)}
        if len(one_of_each) > 1:
            torn.append(
                " and ".join(f"{name} ({split})" for split, name in reversed(one_of_each.items()))
            )
    if torn:
        raise ValueError(f"{len(torn)} {what} are in two splits: {first_few(torn)}")
    return [[name for name, _ in found] for found in places.values() if len(found) > 1]
