"""A picture as a network takes it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor


@dataclass(frozen=True)
class ImageTransform:
    """A picture as a network takes it: the whole image resized to a square, scaled and normalised.

    The aspect is not kept and nothing is cropped; resizing is bilinear and antialiased. Grey
    pictures are replicated to three channels. Plain numbers only: what
    ``json.dumps(dataclasses.asdict(transform))`` wrote, ``ImageTransform(**json.loads(text))``
    brings back.

    Args:
        size: height and width of the result, in pixels.
        mean: subtracted from each channel after scaling to [0, 1].
        std: divides each channel after that; 0.5 and 0.5 give [-1, 1].

    Raises:
        ValueError: a size below 1, not three means or deviations, a deviation that is not positive.

    >>> white = Image.new("L", (3, 5), 255)
    >>> ImageTransform(2, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))(white)[0]
    tensor([[1., 1.],
            [1., 1.]])

    """

    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"ImageTransform: size must be at least 1 pixel, got {self.size}")
        for name in ("mean", "std"):
            values = tuple(float(value) for value in getattr(self, name))
            if len(values) != 3:
                raise ValueError(f"ImageTransform: {name} must be three numbers, got {values}")
            object.__setattr__(self, name, values)  # a list, as JSON gives it, becomes a tuple
        if min(self.std) <= 0:
            raise ValueError(f"ImageTransform: std must be positive, got {self.std}")

    def __call__(self, image: Image.Image) -> Tensor:
        """The picture as (3, size, size) float32."""
        square = image.convert("RGB").resize((self.size, self.size), Image.Resampling.BILINEAR)
        pixels = torch.from_numpy(np.array(square, dtype=np.float32)).permute(2, 0, 1) / 255
        mean, std = (torch.tensor(values).view(3, 1, 1) for values in (self.mean, self.std))
        return ((pixels - mean) / std).contiguous()
