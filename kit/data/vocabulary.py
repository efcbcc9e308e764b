"""Words to numbers: the vocabulary of the training captions, and the padding of a batch."""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from kit.encoders.text import PAD

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


def pad(sequences: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Token ids of captions as one (batch, longest) int64 matrix, and their lengths (batch,).

    >>> pad([[2, 7], [2, 7, 8]])
    (tensor([[2, 7, 0],
            [2, 7, 8]]), tensor([2, 3]))
    """
    lengths = torch.tensor([len(sequence) for sequence in sequences])
    tokens = torch.full((len(sequences), int(lengths.max())), PAD)
    for row, sequence in enumerate(sequences):
        tokens[row, : len(sequence)] = torch.tensor(sequence)
    return tokens, lengths
