"""The maximum over time of an LSTM: of sequences of frame features, and of sentences."""

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from kit.encoders import check_input

PAD = 0  # the token id of padding


class LSTMPool(nn.Module):
    """One LSTM layer and the maximum over time of its outputs (4.2 of AMID: an RNN on IEMOCAP).

    Padding takes no part in the maximum: a clip's feature does not depend on its batch. An LSTM's
    gates are sigmoid and tanh; there is no activation to choose.

    Args:
        features: width of a step.
        units: width of the result, per direction; 768 in AMID's paper.
        bidirectional: whether a second LSTM runs from each sequence's last step to its first.
        dropout: probability that an output is dropped, before the maximum.

    """

    def __init__(
        self, features: int, *, units: int, bidirectional: bool = False, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.lstm = nn.LSTM(features, units, batch_first=True, bidirectional=bidirectional)
        # nn.LSTM's own dropout acts between layers only: with one layer it would do nothing.
        self.dropout = nn.Dropout(dropout)

    def forward(self, values: Tensor, lengths: Tensor) -> Tensor:
        """Encode sequences.

        With `lengths` on the CPU, where batches keep them, nothing waits for a GPU: sequences are
        sorted here, because torch's `enforce_sorted=False` copies their order to the GPU and back.

        Args:
            values: (batch, longest, features) float, padded at the end.
            lengths: (batch,) int64, at least 1 each.

        Returns:
            (batch, directions x units) features, each component in (-1, 1), or dropout-scaled in
            training.

        Raises:
            ValueError: shapes that disagree, lengths that are no whole numbers or lie outside
                1..longest.

        """
        check_input(self, values, "batch", "longest", self.lstm.input_size)
        batch, longest = values.shape[:2]
        lengths = lengths.cpu()
        numbers = lengths.dtype == torch.int64 and lengths.shape == (batch,)
        if not numbers or lengths.min() < 1 or lengths.max() > longest:
            raise ValueError(
                f"{type(self).__name__}: expected lengths ({batch},) int64 in 1..{longest}, got "
                f"{tuple(lengths.shape)} {lengths.dtype} from {lengths.min()} to {lengths.max()}"
            )
        descending, order = lengths.sort(descending=True)
        padding = torch.arange(longest) >= lengths[:, None]
        order, back, padding = (
            index.to(values.device, non_blocking=True)
            for index in (order, order.argsort(), padding)
        )
        packed = pack_padded_sequence(values.index_select(0, order), descending, batch_first=True)
        padded, _ = pad_packed_sequence(
            self.lstm(packed)[0], batch_first=True, total_length=longest
        )
        outputs: Tensor = self.dropout(padded.index_select(0, back))
        return outputs.masked_fill(padding[:, :, None], torch.finfo(outputs.dtype).min).amax(1)


class BiLSTM(LSTMPool):
    """Sentences to vectors, as in ITMeetsAL's Figure 4: word embedding, Bi-LSTM, maximum over time.

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
        embedding = nn.Embedding(vocabulary_size, word_dim, padding_idx=PAD)
        super().__init__(word_dim, units=units, bidirectional=True, dropout=dropout)
        self.embedding = embedding
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
        return super().forward(self.dropout(self.embedding(tokens)), lengths)
