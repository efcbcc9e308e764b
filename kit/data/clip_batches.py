"""Clips into batches, for training and for evaluation.

The order of clips and what is cut out of each are a pure function of (seed, epoch, index), so a
loader has no state to save and a killed run resumes exactly.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset

from kit.data.clips import Array, ClipBatch, Clips, Ragged

# An independent stream of chance for the order; one for what is cut out of each clip.
_ORDER, _CUT, _SHIFT = 20, 21, 22


@dataclass(frozen=True)
class VideoCrop:
    """How a long video enters a network for short square ones, as in the paper's reference [9].

    In training: consecutive frames from a random start, of which a random part of random size and
    shape is brought to `size`, mirrored every other time. In evaluation: all windows that do not
    overlap, each with its square centre; a video with fewer frames than a window is one window, its
    last frame standing still.

    Raises:
        ValueError: frames or size below 1; shares that are no range within 0..1, or a range of
            ratios that is none.

    """

    frames: int = 16
    size: int = 112  # pixels, width and height
    scale: tuple[float, float] = (0.25, 1.0)  # share of the area that is kept
    ratio: tuple[float, float] = (3 / 4, 4 / 3)  # width to height
    mirrored: bool = True

    def __post_init__(self) -> None:
        if self.frames < 1 or self.size < 1:
            raise ValueError(
                f"VideoCrop: expected at least 1 frame of at least 1 pixel, got {self.frames} "
                f"of {self.size}"
            )
        for what in ("scale", "ratio"):  # lists, when they come from a file
            low, high = getattr(self, what)
            if not 0 < low <= high < float("inf") or (what == "scale" and high > 1):
                raise ValueError(
                    f"VideoCrop: expected {what} from above 0 "
                    f"{'to at most 1' if what == 'scale' else 'up'}, got {low} to {high}"
                )
            object.__setattr__(self, what, (low, high))

    def training(self, video: Array, rng: np.random.Generator) -> Tensor:
        """One random window (frames, size, size, channels) float32 of a video."""
        from torchvision.transforms import RandomResizedCrop

        start = int(rng.integers(max(1, len(video) - self.frames + 1)))
        window = self._window(video, start)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(int(rng.integers(2**62)))
            box = RandomResizedCrop.get_params(window, list(self.scale), list(self.ratio))
        cut = self._resized(window, *box)
        return cut.flip(2) if self.mirrored and rng.integers(2) else cut

    def evaluation(self, video: Array) -> Tensor:
        """All windows (windows, frames, size, size, channels) float32 of a video."""
        last = max(1, len(video) - self.frames + 1)
        side = min(video.shape[1:3])
        top, left = (video.shape[1] - side) // 2, (video.shape[2] - side) // 2
        windows = [self._window(video, start) for start in range(0, last, self.frames)]
        return torch.stack([self._resized(window, top, left, side, side) for window in windows])

    def _window(self, video: Array, start: int) -> Tensor:
        """(frames, channels, height, width) float32 from a frame on."""
        rows = np.arange(start, start + self.frames).clip(max=len(video) - 1)
        return torch.from_numpy(np.asarray(video[rows], dtype=np.float32)).movedim(-1, 1)

    def _resized(self, window: Tensor, top: int, left: int, height: int, width: int) -> Tensor:
        part = window[..., top : top + height, left : left + width]
        size = (self.size, self.size)
        resized = F.interpolate(part, size=size, mode="bilinear", antialias=True)
        return resized.movedim(1, -1)


@dataclass(frozen=True, eq=False)
class TrainingBatches(Dataset[ClipBatch]):
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

    def __post_init__(self) -> None:
        if not 1 <= self.batch_size <= len(self.batches.clips):
            raise ValueError(
                "ClipLoader: expected batch_size of at least 1 and no more than the "
                f"{len(self.batches.clips)} training clips, got {self.batch_size}"
            )

    def __len__(self) -> int:
        return len(self.batches.clips) // self.batch_size

    def epoch(self, epoch: int, *, skip: int = 0) -> Iterator[ClipBatch]:
        """The batches of one epoch, without the first `skip`."""
        rng = np.random.default_rng((self.batches.seed, _ORDER, epoch))
        order = rng.permutation(len(self.batches.clips))[: len(self) * self.batch_size]
        keys = [(epoch, rows.tolist()) for rows in order.reshape(len(self), -1)[skip:]]
        # A generator of its own: DataLoader would otherwise draw from the global one.
        loader: DataLoader[Any] = DataLoader(
            self.batches,
            sampler=keys,
            batch_size=None,
            num_workers=self.workers,
            generator=torch.Generator().manual_seed(epoch),
        )
        return iter(loader)


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
    return ClipBatch(values, lengths, labels, torch.tensor(rows))
