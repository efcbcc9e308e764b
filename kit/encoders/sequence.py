"""A sequence of frame features in, one feature vector out: the student of emotion recognition."""

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
        if lengths.dtype != torch.int64:
            raise ValueError(f"LSTMPool: lengths must be int64, got {lengths.dtype}")
        lengths = lengths.cpu()
        if int(lengths.min()) < 1 or int(lengths.max()) > values.shape[1]:
            raise ValueError(
                f"LSTMPool: lengths must lie in 1..{values.shape[1]}, got values from "
                f"{int(lengths.min())} to {int(lengths.max())}"
            )
        packed = pack_padded_sequence(values, lengths, batch_first=True, enforce_sorted=False)
        outputs, _ = pad_packed_sequence(
            self.lstm(packed)[0], batch_first=True, total_length=values.shape[1]
        )
        time = torch.arange(values.shape[1], device=outputs.device)
        padding = time[None, :] >= lengths.to(outputs.device)[:, None]
        lowest = torch.finfo(outputs.dtype).min
        highest: Tensor = outputs.masked_fill(padding[:, :, None], lowest).amax(1)
        return highest
