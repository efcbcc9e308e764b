"""Clips into batches, for training and for evaluation.

The order of clips and what is cut out of each are a pure function of (seed, epoch, index), so a
loader has no state to save and a killed run resumes exactly.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from kit.checks import check_whole
from kit.data.clips import ClipBatch, Clips
from kit.data.epochs import blocks
from kit.data.ragged import Array, is_ragged

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
        check_whole("VideoCrop", at_least=1, frames=self.frames, size=self.size)
        for what, most in (("scale", 1.0), ("ratio", float("inf"))):
            pair = np.asarray(getattr(self, what))  # lists, when they come from a file
            if pair.shape != (2,) or pair.dtype.kind not in "fiu":
                raise ValueError(f"VideoCrop: expected two numbers of {what}, got {pair}")
            low, high = pair.tolist()
            if not 0 < low <= high <= most or high == float("inf"):
                raise ValueError(f"VideoCrop: expected 0 < {what} <= {most}, got {low} to {high}")
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
class TrainingClips:
    """A split's clips for training, a batch for each key (epoch, rows); picklable, for workers."""

    clips: Clips
    modalities: Sequence[str]
    crops: Mapping[str, VideoCrop] = field(default_factory=dict)
    shifts: Mapping[str, int] = field(default_factory=dict)
    seed: int = 0

    def __getitem__(self, key: tuple[int, Sequence[int] | NDArray[np.int64]]) -> ClipBatch:
        epoch, rows = key[0], [int(row) for row in key[1]]
        uncut = [name for name in self.modalities if name not in self.crops]
        batch = stack_clips(self.clips, uncut, rows)
        values = batch.modalities
        for name, crop in self.crops.items():
            clips = self.clips.modality(name)
            cut = [crop.training(clips[row], self._chance(_CUT, epoch, row)) for row in rows]
            values[name] = torch.stack(cut)
        for name, most in self.shifts.items():
            ways = [self._chance(_SHIFT, epoch, row).integers(-most, most + 1, 2) for row in rows]
            videos = zip(values[name], ways, strict=True)
            values[name] = torch.stack([shifted(video, *way) for video, way in videos])
        return batch

    def order(self, batch_size: int, epoch: int) -> list[NDArray[np.int64]]:
        """The rows of each batch of an epoch: all clips in random order, in full batches.

        Clips that are left over wait for the next epoch's order: the paper's losses compare within
        a batch, and a smaller one would be another loss.

        Raises:
            ValueError: fewer clips than a batch has.

        """
        check_whole("TrainingClips", at_least=0, epoch=epoch, seed=self.seed)
        count = len(self.clips)
        if not 1 <= batch_size <= count:
            raise ValueError(f"TrainingClips: expected 1..{count} clips a batch, got {batch_size}")
        order = np.random.default_rng((self.seed, _ORDER, epoch)).permutation(count)
        return np.split(order[: count - count % batch_size], count // batch_size)

    def _chance(self, stream: int, epoch: int, row: int) -> np.random.Generator:
        """A generator for a clip that depends on nothing else of the batch."""
        return np.random.default_rng((self.seed, stream, epoch, row))


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
        ValueError: more than one cropped modality: their windows would have no common count; fewer
            than one row at a time.

    """
    check_whole("evaluation_batches", at_least=1, batch_size=batch_size)
    crops = crops or {}
    if len(crops) > 1:
        raise ValueError(f"evaluation_batches: expected at most one crop, got {list(crops)}")
    uncut = [name for name in modalities if name not in crops]
    if not crops:
        yield from (stack_clips(clips, uncut, rows) for rows in blocks(len(clips), batch_size))
    for name, crop in crops.items():
        for row in range(len(clips)):
            for windows in crop.evaluation(clips.modality(name)[row]).split(batch_size):
                batch = stack_clips(clips, uncut, [row] * len(windows))
                batch.modalities[name] = windows
                yield batch


def stack_clips(clips: Clips, modalities: Sequence[str], rows: Sequence[int]) -> ClipBatch:
    """These clips, uncut; one that comes several times is read once."""
    values, lengths = {}, {}
    for name in modalities:
        modality = clips.modality(name)
        read = {row: np.asarray(modality[row], dtype=np.float32) for row in dict.fromkeys(rows)}
        parts = [read[row] for row in rows]
        if is_ragged(modality):
            # Copies: what is mapped from a file may not be written to, torch would warn of it.
            copies = [torch.from_numpy(part.copy()) for part in parts]
            values[name] = pad_sequence(copies, batch_first=True)
            lengths[name] = torch.tensor([len(part) for part in parts])
        else:
            values[name] = torch.from_numpy(np.stack(parts))
    labels = torch.tensor([clips.labels[row] for row in rows])
    return ClipBatch.of(values, lengths, labels, torch.tensor(rows))


def shifted(video: Tensor, down: int, right: int) -> Tensor:
    """Move all frames (frames, height, width, channels) by whole pixels; edges are repeated."""
    height, width = video.shape[1:3]
    rows = (torch.arange(height) - int(down)).clamp(0, height - 1)
    columns = (torch.arange(width) - int(right)).clamp(0, width - 1)
    return video[:, rows][:, :, columns]
