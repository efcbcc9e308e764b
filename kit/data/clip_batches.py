"""Clips into batches, for training and for evaluation.

The order of clips and what is cut out of each are a pure function of (seed, epoch, index), so a
loader has no state to save and a killed run resumes exactly.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from kit.data.clips import ClipBatch, Clips
from kit.data.crops import VideoCrop
from kit.data.epochs import EpochLoader
from kit.data.ragged import Ragged

# An independent stream of chance for the order; one for what is cut out of each clip.
_ORDER, _CUT, _SHIFT = 20, 21, 22


@dataclass(frozen=True, eq=False)
class TrainingBatches:
    """A split's clips for training, a batch for each key (epoch, rows); picklable, for workers."""

    clips: Clips
    modalities: Sequence[str]
    crops: Mapping[str, VideoCrop] = field(default_factory=dict)
    shifts: Mapping[str, int] = field(default_factory=dict)
    seed: int = 0

    def __getitem__(self, key: tuple[int, Sequence[int]]) -> ClipBatch:
        epoch, rows = key
        modalities, lengths = {}, {}
        for name in self.modalities:
            if name in self.crops:
                clip = self.clips.modality(name)
                modalities[name] = torch.stack(
                    [
                        self.crops[name].training(
                            clip[row], np.random.default_rng((self.seed, _CUT, epoch, row))
                        )
                        for row in rows
                    ]
                )
            else:
                modalities[name], steps = whole(self.clips, name, rows)
                if steps is not None:
                    lengths[name] = steps
            if name in self.shifts:
                rngs = [np.random.default_rng((self.seed, _SHIFT, epoch, row)) for row in rows]
                modalities[name] = torch.stack(
                    [
                        shifted(video, *rng.integers(-self.shifts[name], self.shifts[name] + 1, 2))
                        for video, rng in zip(modalities[name], rngs, strict=True)
                    ]
                )
        return _batch(self.clips, modalities, lengths, rows)


@dataclass(frozen=True)
class ClipLoader:
    """The training batches of each epoch: all clips in random order.

    Clips that are left over when all full batches are made wait for the next epoch's order: the
    paper's losses compare within a batch, and a smaller one would be another loss.

    Raises:
        ValueError: fewer clips than a batch has.

    """

    batches: TrainingBatches
    batch_size: int
    workers: int = 0
    pin: bool = False
    _epochs: EpochLoader[ClipBatch] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 1 <= self.batch_size <= len(self.batches.clips):
            raise ValueError(
                "ClipLoader: expected batch_size of at least 1 and no more than the "
                f"{len(self.batches.clips)} training clips, got {self.batch_size}"
            )
        epochs = EpochLoader(self.batches, workers=self.workers, pin=self.pin)
        object.__setattr__(self, "_epochs", epochs)

    def __len__(self) -> int:
        return len(self.batches.clips) // self.batch_size

    def epoch(self, epoch: int, *, skip: int = 0) -> Iterator[ClipBatch]:
        """The batches of one epoch, without the first `skip`."""
        rng = np.random.default_rng((self.batches.seed, _ORDER, epoch))
        order = rng.permutation(len(self.batches.clips))[: len(self) * self.batch_size]
        keys = [(epoch, rows.tolist()) for rows in order.reshape(len(self), -1)[skip:]]
        return self._epochs.epoch(keys)


def evaluation_batches(
    clips: Clips,
    modalities: Sequence[str],
    *,
    crops: Mapping[str, VideoCrop] | None = None,
    batch_size: int = 64,
) -> Iterator[ClipBatch]:
    """All clips in their order; of a cropped video all windows, each a row with its clip's index.

    Args:
        clips: a split.
        modalities: which of them.
        crops: how videos enter, by modality; at most one.
        batch_size: rows at a time; where videos are cropped, those of one clip.

    Raises:
        ValueError: more than one cropped modality: their windows would have no common count.

    """
    if crops is not None and len(crops) > 1:
        raise ValueError(
            f"evaluation_batches: expected at most one cropped modality, got {', '.join(crops)}"
        )
    at_once = 1 if crops else batch_size
    for start in range(0, len(clips), at_once):
        rows = list(range(start, min(start + at_once, len(clips))))
        read = {name: whole(clips, name, rows) for name in modalities if name not in (crops or {})}
        values = {name: value for name, (value, _) in read.items()}
        lengths = {name: steps for name, (_, steps) in read.items() if steps is not None}
        if not crops:
            yield _batch(clips, values, lengths, rows)
            continue
        ((name, crop),) = crops.items()
        for windows in crop.evaluation(clips.modality(name)[start]).split(batch_size):
            many = len(windows)
            repeated = {other: v.repeat_interleave(many, 0) for other, v in values.items()}
            steps = {other: s.repeat_interleave(many, 0) for other, s in lengths.items()}
            yield _batch(clips, {**repeated, name: windows}, steps, rows * many)


def whole(clips: Clips, name: str, rows: Sequence[int]) -> tuple[Tensor, Tensor | None]:
    """These clips of one modality, uncut, as numbers; ragged ones end in zeros and have lengths."""
    modality = clips.modality(name)
    if isinstance(modality, Ragged):
        # A copy: what is mapped from a file may not be written to, and torch would warn of it.
        parts = [torch.from_numpy(np.array(modality[row], dtype=np.float32)) for row in rows]
        return pad_sequence(parts, batch_first=True), torch.from_numpy(modality.lengths[list(rows)])
    return torch.from_numpy(np.asarray(modality[list(rows)], dtype=np.float32)), None


def shifted(video: Tensor, down: int, right: int) -> Tensor:
    """Move all frames (frames, height, width, channels) by whole pixels; edges are repeated."""
    height, width = video.shape[1:3]
    rows = (torch.arange(height) - int(down)).clamp(0, height - 1)
    columns = (torch.arange(width) - int(right)).clamp(0, width - 1)
    return video[:, rows][:, :, columns]


def _batch(
    clips: Clips, values: dict[str, Tensor], lengths: dict[str, Tensor], rows: Sequence[int]
) -> ClipBatch:
    labels = torch.tensor([clips.labels[row] for row in rows])
    return ClipBatch.of(values, lengths, labels, torch.tensor(rows))
