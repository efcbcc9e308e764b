"""Arrays of different lengths; what is asked for clip by clip, in memory, on the disk, made then.

Nothing here, and nothing that takes a `Modality`, holds more of it than a few clips, unless it was
in memory already.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kit.checks import first_few
from kit.data.text import check_several

Array = NDArray[Any]


class Modality(Protocol):
    """Clips of one kind by row: an array (clips, ...), also mapped from a file; or anything lazy.

    All clips have one shape and one type of number. Where they differ in the length of the first
    axis, the modality has an attribute `ragged` that is true.
    """

    def __len__(self) -> int: ...

    def __getitem__(self, row: int, /) -> Array: ...


def is_ragged(modality: Modality) -> bool:
    """Whether clips differ in length."""
    return bool(getattr(modality, "ragged", False))


def clip_shape(modality: Modality) -> tuple[int, ...]:
    """The shape of one clip; of a ragged modality without its length."""
    return np.shape(modality[0])[is_ragged(modality) :]


def taken(modality: Modality, rows: Sequence[int]) -> Modality:
    """These rows, in this order: of an array a view if they are one block.

    Other rows are copied of what is in memory, and only of that.
    """
    values = modality.values if isinstance(modality, Ragged) else modality
    if isinstance(modality, np.ndarray) and list(rows) == list(range(rows[0], rows[-1] + 1)):
        return modality[rows[0] : rows[-1] + 1]
    if isinstance(values, np.memmap) or not isinstance(values, np.ndarray):
        return Taken(modality, np.asarray(rows))
    return modality.take(rows) if isinstance(modality, Ragged) else values[list(rows)]


def mean_and_deviation(modality: Modality) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of each value of the last axis (a colour, a mel band), over all clips; streamed, twice.

    Returns:
        (last axis,) each; the deviation of a value that never changes is 1.

    """
    first, count = next(_blocks(modality))[0], 0
    mean, square, constant = np.zeros(len(first)), np.zeros(len(first)), np.ones(len(first), bool)
    for block in _blocks(modality):
        mean, count = mean + block.sum(axis=0, dtype=np.float64), count + len(block)
    mean /= count
    for block in _blocks(modality):
        square += np.square(block - mean).sum(axis=0)
        # Compared as they are: the mean of equal numbers may be off in its last bit.
        constant &= (block == first).all(axis=0)
    return mean, np.where(constant, 1.0, np.sqrt(square / count))


def _blocks(modality: Modality) -> Iterator[Array]:
    """All numbers as (values, last axis), millions at a time.

    Bytes as float64, all at once, would take eight times their memory.
    """
    values = modality.values if isinstance(modality, Ragged) else modality
    if isinstance(values, np.ndarray):
        yield from np.array_split(values.reshape(-1, values.shape[-1]), values.size // 2**22 + 1)
        return
    held: list[Array] = []
    for row in range(len(values)):
        clip = values[row]
        held.append(clip.reshape(-1, clip.shape[-1]))
        if row == len(values) - 1 or len(held) * clip.size > 2**20:
            yield np.concatenate(held)
            held = []


def checked_rows(where: str, rows: Sequence[int] | NDArray[np.integer], count: int) -> list[int]:
    """Numbers of rows as a list.

    Raises:
        ValueError: what is no list of whole numbers, such as a mask, or not in 0..count-1.

    """
    numbers: list[int] = np.asarray(rows).ravel().tolist()
    wrong = [row for row in numbers if type(row) is not int or not 0 <= row < count]
    if wrong:
        expected = f"expected numbers of rows, 0..{count - 1}"
        raise ValueError(f"{where}: {expected}, got {first_few(wrong)}")
    return numbers


@dataclass(frozen=True, eq=False)
class Taken:
    """Some rows of a modality that stays where it is."""

    modality: Modality = field(repr=False)
    rows: NDArray[np.integer[Any]] = field(repr=False)

    @property
    def ragged(self) -> bool:
        """As of what it is taken from."""
        return is_ragged(self.modality)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: int, /) -> Array:
        return self.modality[int(self.rows[row])]


@dataclass(frozen=True, eq=False)
class Ragged:
    """Arrays of different lengths behind one another, such as sentences of different length.

    Args:
        values: (sum of lengths, ...) numbers.
        lengths: (clips,) whole numbers, at least 1 each.

    Raises:
        ValueError: lengths that are no such numbers, or do not sum to the rows of `values`.

    >>> ragged = Ragged.of([np.zeros((2, 3)), np.ones((1, 3))])
    >>> len(ragged), ragged[1]
    (2, array([[1., 1., 1.]]))

    """

    values: Array = field(repr=False)
    lengths: NDArray[np.int64]
    ragged: ClassVar[bool] = True

    def __post_init__(self) -> None:
        lengths = np.asarray(self.lengths)
        if lengths.ndim != 1 or lengths.dtype.kind not in "iu" or not (lengths > 0).all():
            found = f"{lengths.dtype} {lengths.shape}: {first_few(lengths.ravel().tolist())}"
            raise ValueError(f"Ragged: lengths must be (clips,) whole numbers from 1, got {found}")
        if not isinstance(self.values, np.ndarray):
            raise ValueError(f"Ragged: values must be an array, got {self.values!r:.80}")
        shape = self.values.shape
        total = sum(lengths.tolist())  # of Python's numbers, which do not overflow
        if not shape or total != shape[0]:
            raise ValueError(f"Ragged: lengths must sum to rows of {shape}, got {total}")
        lengths = lengths.astype(np.int64)
        object.__setattr__(self, "lengths", lengths)
        object.__setattr__(self, "_starts", np.cumsum(lengths) - lengths)

    @classmethod
    def of(cls, parts: Sequence[Array]) -> Ragged:
        """Put arrays (length, ...) behind one another; they agree in all but the length.

        Raises:
            ValueError: no array, an empty one, shapes that disagree.

        """
        check_several("Ragged.of", arrays=parts)
        arrays = [np.asarray(part) for part in parts]
        shapes = {array.shape[1:] for array in arrays}
        if not arrays or len(shapes) > 1 or any(array.ndim == 0 for array in arrays):
            found = first_few(sorted(shapes)) or "none"
            raise ValueError(f"Ragged.of: expected arrays (length, *shape), one shape, got {found}")
        return cls(np.concatenate(arrays), np.array([len(array) for array in arrays]))

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, row: int, /) -> Array:
        start = self._starts[row]
        return self.values[start : start + self.lengths[row]]

    def take(self, rows: Sequence[int] | NDArray[np.integer]) -> Ragged:
        """The clips of these rows, in this order.

        Raises:
            ValueError: rows that are no whole numbers, such as a mask, or not in 0..clips-1.

        """
        numbers = checked_rows("Ragged.take", rows, len(self))
        parts = [self.values[:0], *(self[row] for row in numbers)]
        return Ragged(np.concatenate(parts), self.lengths[numbers])

    def padded(self, rows: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Of whole numbers: these rows as (rows, longest, ...) int64, ending in zeros, and lengths.

        >>> Ragged.of([np.array([2, 7]), np.array([2, 7, 8])]).padded(np.array([1, 0]))
        (tensor([[2, 7, 8],
                [2, 7, 0]]), tensor([3, 2]))
        """
        lengths = self.lengths[rows]
        places = np.arange(lengths.max())
        inside = places < lengths[:, None]
        padded = np.zeros((*inside.shape, *self.values.shape[1:]), np.int64)
        padded[inside] = self.values[(self._starts[rows][:, None] + places)[inside]]
        return torch.from_numpy(padded), torch.from_numpy(lengths)

    _starts: NDArray[np.int64] = field(init=False, repr=False)
