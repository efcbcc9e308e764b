"""Words to numbers: the vocabulary of the training captions, and the padding of a batch."""

from __future__ import annotations

import string
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kit.encoders.sequence import PAD

UNKNOWN, START = 1, 2
MAX_TOKENS = 100

_PUNCTUATION = str.maketrans("", "", string.punctuation)


def words(caption: str) -> list[str]:
    """Lower case, without punctuation, cut at white space.

    >>> words("A dog's ball, red .")
    ['a', 'dogs', 'ball', 'red']
    """
    return caption.lower().translate(_PUNCTUATION).split()


@dataclass(frozen=True)
class Vocabulary:
    """The known words in the order of their ids from 3 on; 0 pads, 1 is unknown, 2 starts.

    >>> vocabulary = Vocabulary.of(["a red ball", "a red cube", "a dog"], min_count=2)
    >>> vocabulary.words, vocabulary.encode("A red fox.")
    (('a', 'red'), [2, 3, 4, 1])
    """

    words: tuple[str, ...]

    @classmethod
    def of(cls, captions: Iterable[str], *, min_count: int = 3) -> Vocabulary:
        """The words that occur at least `min_count` times, by falling count, then by alphabet.

        Give it *training* captions only: a word seen in a test caption alone must stay unknown.
        """
        counts = Counter(word for caption in captions for word in words(caption))
        known = [(-count, word) for word, count in counts.items() if count >= min_count]
        if not known:
            raise ValueError(
                f"Vocabulary.of: no word occurs at least min_count={min_count} times "
                f"among {len(counts)} different words"
            )
        return cls(tuple(word for _, word in sorted(known)))

    def __len__(self) -> int:
        return len(self.words) + START + 1

    @cached_property
    def ids(self) -> dict[str, int]:
        """The id of each known word."""
        return {word: index for index, word in enumerate(self.words, start=START + 1)}

    def encode(self, caption: str) -> list[int]:
        """``<start>`` and the ids of the words, `MAX_TOKENS` at most; no word at all is UNKNOWN.

        >>> Vocabulary(("dog",)).encode("...")
        [2, 1]
        """
        ids = [self.ids.get(word, UNKNOWN) for word in words(caption)] or [UNKNOWN]
        return [START, *ids][:MAX_TOKENS]


@dataclass(frozen=True, eq=False)
class Tokens:
    """The token ids of many captions as one flat array: caption i is `ids[starts[i]:starts[i+1]]`.

    >>> Tokens.of([[2, 7], [2, 7, 8]]).padded(np.array([1, 0]))
    (tensor([[2, 7, 8],
            [2, 7, 0]]), tensor([3, 2]))
    """

    ids: NDArray[np.uint16] | NDArray[np.int32]
    starts: NDArray[np.int64]

    @classmethod
    def of(cls, sequences: Iterable[Sequence[int]]) -> Tokens:
        """Lay sequences one after the other; in two bytes an id where all ids fit."""
        ids, ends = array("i"), array("q", [0])
        for sequence in sequences:
            ids.extend(sequence)
            ends.append(len(ids))
        flat = np.frombuffer(ids, np.int32)
        small = flat.size == 0 or flat.max() <= np.iinfo(np.uint16).max
        return cls(flat.astype(np.uint16) if small else flat, np.array(ends, np.int64))

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, row: int) -> list[int]:
        """The ids of one caption."""
        ids: list[int] = self.ids[self.starts[row] : self.starts[row + 1]].tolist()
        return ids

    @property
    def lengths(self) -> NDArray[np.int64]:
        """The number of tokens of each caption."""
        return np.diff(self.starts)

    def padded(self, rows: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Some captions as one (rows, longest) int64 matrix, and their lengths (rows,)."""
        starts = self.starts[rows]
        lengths = self.starts[rows + 1] - starts
        places = np.arange(lengths.max())
        inside = places < lengths[:, None]
        tokens = np.full(inside.shape, PAD, np.int64)
        tokens[inside] = self.ids[(starts[:, None] + places)[inside]]
        return torch.from_numpy(tokens), torch.from_numpy(lengths)
