"""Sentences in, one feature vector each out: the Bi-LSTM of ITMeetsAL's Figure 4."""

from __future__ import annotations

from torch import Tensor, nn

from kit.encoders.sequence import lstm_maximum

PAD = 0  # the token id of padding


class BiLSTM(nn.Module):
    """Word embedding, one Bi-LSTM layer, and the maximum over time of its outputs.

    The backward direction really runs from the last word of *each* caption to its first (packed
    sequences), and padding takes no part in the maximum: a caption's feature does not depend on its
    batch. Dropout acts on the word embeddings and on the LSTM's outputs, before the maximum.

    Args:
        vocabulary_size: number of token ids, padding included.
        word_dim: width of a word embedding.
        units: LSTM units per direction.
        dropout: probability of a unit to be dropped.

    """

    def __init__(
        self, vocabulary_size: int, *, word_dim: int = 512, units: int = 512, dropout: float = 0.3
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, word_dim, padding_idx=PAD)
        self.lstm = nn.LSTM(word_dim, units, batch_first=True, bidirectional=True)
        # nn.LSTM's own dropout acts between layers only: with one layer it would do nothing.
        self.dropout = nn.Dropout(dropout)
        self.feature_dim = 2 * units

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Encode captions.

        Args:
            tokens: (batch, longest) int64, padded at the end.
            lengths: (batch,) int64, at least 1 each.

        Returns:
            (batch, 2 x units) features, each component in (-1, 1), or dropout-scaled in training.

        Raises:
            ValueError: shapes that disagree, a length outside 1..longest.

        """
        if tokens.ndim != 2 or lengths.shape != tokens.shape[:1]:
            raise ValueError(
                "BiLSTM: expected tokens (batch, longest) and lengths (batch,), got "
                f"{tuple(tokens.shape)} and {tuple(lengths.shape)}"
            )
        words = self.dropout(self.embedding(tokens))
        return lstm_maximum("BiLSTM", self.lstm, words, lengths, self.dropout)
