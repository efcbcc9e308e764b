"""Token ids of captions as one batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from kit.data.ragged import Ragged


def pad(sequences: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """One (batch, longest) int64 matrix, and the lengths (batch,)."""
    ragged = Ragged.of([np.array(sequence) for sequence in sequences])
    return ragged.padded(np.arange(len(sequences)))
