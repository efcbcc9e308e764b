"""What of a long video enters a network for short square ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from kit.checks import check_whole
from kit.data.ragged import Array


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
