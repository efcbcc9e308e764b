"""The maximum over time of an LSTM: of sequences of frame features here, of sentences in `text`."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


class LSTMPool(nn.Module):
    """One LSTM layer and the maximum over time of its outputs (4.2: an RNN on IEMOCAP).

    Padding takes no part in the maximum: a clip's feature does not depend on its batch. An LSTM's
    gates are sigmoid and tanh; there is no activation to choose.

    Args:
        features: width of a step.
        units: width of the result; 768 in the paper.

    """

    def __init__(self, features: int, *, units: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(features, units, batch_first=True)

    def forward(self, values: Tensor, lengths: Tensor) -> Tensor:
        """Encode sequences.

        Args:
            values: (batch, longest, features) float, padded at the end.
            lengths: (batch,) int64, at least 1 each.

        Returns:
            (batch, units) features, each component in (-1, 1).

        Raises:
            ValueError: shapes that disagree, lengths that are no whole numbers or lie outside
                1..longest.

        """
        features = self.lstm.input_size
        if values.shape[2:] != (features,) or lengths.shape != values.shape[:1]:
            raise ValueError(
                f"LSTMPool: expected values (batch, longest, {features}) and lengths (batch,), got "
                f"{tuple(values.shape)} and {tuple(lengths.shape)}"
            )
        return lstm_maximum("LSTMPool", self.lstm, values, lengths)


def lstm_maximum(
    name: str, lstm: nn.LSTM, values: Tensor, lengths: Tensor, dropout: nn.Module | None = None
) -> Tensor:
    """The maximum of an LSTM's outputs over each sequence's own steps; padding takes no part.

    With `lengths` on the CPU, where batches keep them, nothing waits for a GPU: sequences are
    sorted here, because torch's `enforce_sorted=False` copies their order to the GPU and back.

    Args:
        name: who asks, for the message.
        lstm: of one layer, ``batch_first``; in both directions or in one.
        values: (batch, longest, features) float, padded at the end.
        lengths: (batch,) int64, at least 1 each.
        dropout: of the outputs, before the maximum.

    Returns:
        (batch, directions x units).

    Raises:
        ValueError: lengths that are no whole numbers or lie outside 1..longest.

    """
    longest = values.shape[1]
    if lengths.dtype != torch.int64:
        raise ValueError(f"{name}: lengths must be int64, got {lengths.dtype}")
    lengths = lengths.cpu()
    if int(lengths.min()) < 1 or int(lengths.max()) > longest:
        raise ValueError(
            f"{name}: lengths must lie in 1..{longest}, got values from "
            f"{int(lengths.min())} to {int(lengths.max())}"
        )
    descending, order = lengths.sort(descending=True)
    padding = torch.arange(longest) >= lengths[:, None]
    order, back, padding = (
        index.to(values.device, non_blocking=True) for index in (order, order.argsort(), padding)
    )
    packed = pack_padded_sequence(values.index_select(0, order), descending, batch_first=True)
    outputs, _ = pad_packed_sequence(lstm(packed)[0], batch_first=True, total_length=longest)
    outputs = outputs.index_select(0, back)
    if dropout is not None:
        outputs = dropout(outputs)
    return outputs.masked_fill(padding[:, :, None], torch.finfo(outputs.dtype).min).amax(1)
