"""Arrays of different lengths as one: sentences, dialogues, videos before they are cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kit.checks import some

Array = NDArray[Any]


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

    def __post_init__(self) -> None:
        lengths = np.asarray(self.lengths)
        if lengths.ndim != 1 or lengths.dtype.kind not in "iu" or not (lengths > 0).all():
            raise ValueError(
                "Ragged: expected lengths to be (clips,) whole numbers of at least 1, "
                f"got {lengths.dtype} {lengths.shape}: {some(lengths.ravel().tolist())}"
            )
        if self.values.ndim == 0 or lengths.sum() != len(self.values):
            raise ValueError(
                f"Ragged: expected lengths that sum to the rows of values {self.values.shape}, "
                f"got {lengths.sum()}"
            )
        object.__setattr__(self, "lengths", lengths.astype(np.int64))
        object.__setattr__(self, "_starts", np.cumsum(lengths) - lengths)

    @classmethod
    def of(cls, parts: Sequence[Array]) -> Ragged:
        """Put arrays (length, ...) behind one another; they agree in all but the length.

        Raises:
            ValueError: no array, an empty one, shapes that disagree.

        """
        arrays = [np.asarray(part) for part in parts]
        shapes = {array.shape[1:] for array in arrays}
        if not arrays or len(shapes) > 1 or any(array.ndim == 0 for array in arrays):
            raise ValueError(
                "Ragged.of: expected at least one array, all (length, ...) with one shape behind "
                f"the length, got {some([array.shape for array in arrays]) or 'none'}"
            )
        return cls(np.concatenate(arrays), np.array([len(array) for array in arrays]))

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, clip: int) -> Array:
        start = self._starts[clip]
        return self.values[start : start + self.lengths[clip]]

    def take(self, rows: Sequence[int] | NDArray[np.integer]) -> Ragged:
        """The clips of these rows, in this order."""
        parts = [self.values[:0], *(self[row] for row in rows)]
        return Ragged(np.concatenate(parts), self.lengths[list(rows)])

    _starts: NDArray[np.int64] = field(init=False, repr=False)
