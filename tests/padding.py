"""Token ids of captions as one batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from kit.data.vocabulary import Tokens


def pad(sequences: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """One (batch, longest) int64 matrix, and the lengths (batch,)."""
    return Tokens.of(sequences).padded(np.arange(len(sequences)))
