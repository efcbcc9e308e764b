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
from kit.data.epochs import EpochLoader, blocks
from kit.data.ragged import is_ragged

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
        uncut = [name for name in self.modalities if name not in self.crops]
        values, lengths = stack_clips(self.clips, uncut, key[1])
        for name, crop in self.crops.items():
            clips = self.clips.modality(name)
            values[name] = torch.stack(
                [crop.training(clips[row], rng) for row, rng in self._chances(_CUT, *key)]
            )
        for name, most in self.shifts.items():
            ways = [rng.integers(-most, most + 1, 2) for _, rng in self._chances(_SHIFT, *key)]
            videos = zip(values[name], ways, strict=True)
            values[name] = torch.stack([shifted(video, *way) for video, way in videos])
        return _batch(self.clips, values, lengths, key[1])

    def _chances(
        self, stream: int, epoch: int, rows: Sequence[int]
    ) -> list[tuple[int, np.random.Generator]]:
        """For each row a generator that depends on nothing else of the batch."""
        return [(row, np.random.default_rng((self.seed, stream, epoch, row))) for row in rows]


class ClipLoader:
    """The training batches of each epoch: all clips in random order.

    Clips that are left over when all full batches are made wait for the next epoch's order: the
    paper's losses compare within a batch, and a smaller one would be another loss.

    Args:
        batches: what is asked for.
        batch_size: clips in a batch.
        workers: loader processes, which live as long as the loader.
        pin: whether batches come in pinned memory, for a GPU.

    Raises:
        ValueError: fewer clips than a batch has.

    """

    def __init__(
        self, batches: TrainingBatches, batch_size: int, *, workers: int = 0, pin: bool = False
    ) -> None:
        self.batches, self.batch_size, clips = batches, batch_size, len(batches.clips)
        if not 1 <= batch_size <= clips:
            raise ValueError(
                "ClipLoader: expected batch_size of at least 1 and no more than the "
                f"{clips} training clips, got {batch_size}"
            )
        self._epochs = EpochLoader(batches, workers=workers, pin=pin)

    def __len__(self) -> int:
        return len(self.batches.clips) // self.batch_size

    def epoch(self, epoch: int, *, skip: int = 0) -> Iterator[ClipBatch]:
        """The batches of one epoch, without the first `skip`."""
        rng = np.random.default_rng((self.batches.seed, _ORDER, epoch))
        order = rng.permutation(len(self.batches.clips))[: len(self) * self.batch_size]
        rows = order.reshape(len(self), -1).tolist()
        return self._epochs.epoch([(epoch, batch) for batch in rows[skip:]])


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
    crops = crops or {}
    if len(crops) > 1:
        raise ValueError(
            f"evaluation_batches: expected at most one cropped modality, got {', '.join(crops)}"
        )
    uncut = [name for name in modalities if name not in crops]
    for rows in blocks(len(clips), 1 if crops else batch_size):
        values, lengths = stack_clips(clips, uncut, rows)
        if not crops:
            yield _batch(clips, values, lengths, rows)
        for name, crop in crops.items():
            for windows in crop.evaluation(clips.modality(name)[rows[0]]).split(batch_size):
                many = len(windows)
                repeated = {other: v.repeat_interleave(many, 0) for other, v in values.items()}
                steps = {other: s.repeat_interleave(many, 0) for other, s in lengths.items()}
                yield _batch(clips, {**repeated, name: windows}, steps, list(rows) * many)


def stack_clips(
    clips: Clips, modalities: Sequence[str], rows: Sequence[int]
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """These clips uncut, as numbers by modality; ragged ones end in zeros and have lengths."""
    values, lengths = {}, {}
    for name in modalities:
        modality = clips.modality(name)
        parts = [np.asarray(modality[row], dtype=np.float32) for row in rows]
        if is_ragged(modality):
            # Copies: what is mapped from a file may not be written to, torch would warn of it.
            copies = [torch.from_numpy(part.copy()) for part in parts]
            values[name] = pad_sequence(copies, batch_first=True)
            lengths[name] = torch.tensor([len(part) for part in parts])
        else:
            values[name] = torch.from_numpy(np.stack(parts))
    return values, lengths


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
