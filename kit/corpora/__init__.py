"""Corpora: a layout on disk becomes a `Corpus` of captioned images or a `ClipCorpus`."""

from collections.abc import Iterator
from contextlib import contextmanager


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
