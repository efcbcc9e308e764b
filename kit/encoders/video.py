"""Videos in, one feature vector each out: R(2+1)D-18 of the paper, and a small network for trying.

Videos come as (batch, frames, height, width, channels), scaled. Every activation is LeakyReLU, as
the paper asks of all trained networks, and none works in place.
"""

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from kit.encoders import NEGATIVE_SLOPE, check_input


class R2Plus1D18(nn.Module):
    """Torchvision's R(2+1)D-18 without its last layer: 512 features, mean over time and place.

    Its own keys are those of torchvision's weights files. It was made for 16 frames of 112 x 112;
    any size will do.

    Args:
        channels: of a frame.

    """

    feature_dim = 512

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        from torchvision.models.video import r2plus1d_18

        network: Any = r2plus1d_18(weights=None)
        network.fc = nn.Identity()
        if channels != 3:
            first = network.stem[0]
            kind = (first.out_channels, first.kernel_size, first.stride, first.padding)
            network.stem[0] = nn.Conv3d(channels, *kind, bias=False)
            # As torchvision begins all its convolutions.
            nn.init.kaiming_normal_(network.stem[0].weight, mode="fan_out")
        for parent in list(network.modules()):
            for name, child in parent.named_children():
                if isinstance(child, nn.ReLU):
                    setattr(parent, name, nn.LeakyReLU(NEGATIVE_SLOPE))
        for name, child in network.named_children():
            self.add_module(name, child)
        self.channels = channels

    def forward(self, videos: Tensor) -> Tensor:
        """Encode videos: (batch, frames, height, width, channels) float to (batch, 512).

        Raises:
            ValueError: another shape, or videos that are not of a float type.

        """
        check_input(self, videos, "batch", "frames", "height", "width", self.channels)
        # Channels first in memory too: convolutions choose slower ways for other layouts.
        x = videos.movedim(-1, 1).contiguous()
        for stage in ("stem", "layer1", "layer2", "layer3", "layer4", "avgpool"):
            x = self.get_submodule(stage)(x)
        return x.flatten(1)


class SmallVideo(nn.Module):
    """Two (2+1)D stages for clips of some ten small frames: seconds of training, on one core.

    Frames are halved by averaging, each stage halves them again and looks one frame back and one
    ahead. Nothing is averaged over time or place at the end: a few hundred clips do not suffice to
    learn from means alone where a mouth or a ball moves. So it takes clips of one size.

    Args:
        shape: of a clip: frames, height, width, channels; sides of at least 8 pixels.
        dim: width of the result.
        widths: channels of the two stages.
        dropout: probability that an input of the last layer is dropped.

    Raises:
        ValueError: a shape that is none of a clip, sides below 8 pixels.

    """

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        dim: int,
        widths: tuple[int, ...] = (16, 32),
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        if len(shape) != 4 or min(shape) < 1 or min(shape[1:3]) < 8:
            raise ValueError(
                "SmallVideo: expected a clip of (frames, height, width, channels) with sides of at "
                f"least 8 pixels, got {tuple(shape)}"
            )
        self.shape = tuple(shape)
        frames, height, width, channels = shape
        self.places, self.times = nn.ModuleList(), nn.ModuleList()
        height, width = height // 2, width // 2
        for wide in widths:
            self.places.append(_layer(nn.Conv2d(channels, wide, 3, 2, 1, bias=False)))
            # Time as the height of an image and all places as its width: a 2-D convolution of
            # (3, 1) is several times faster on a CPU than the same in 3-D.
            self.times.append(_layer(nn.Conv2d(wide, wide, (3, 1), padding=(1, 0), bias=False)))
            channels, height, width = wide, -(-height // 2), -(-width // 2)
        self.dropout = nn.Dropout(dropout)
        self.last = nn.Linear(frames * channels * height * width, dim)

    def forward(self, videos: Tensor) -> Tensor:
        """Encode clips of the shape it was built for: (batch, *shape) float to (batch, dim).

        Raises:
            ValueError: clips of another shape, or not of a float type.

        """
        check_input(self, videos, "batch", *self.shape)
        batch, frames = videos.shape[:2]
        x = F.avg_pool2d(videos.movedim(-1, 2).flatten(0, 1), 2)
        for place, time in zip(self.places, self.times, strict=True):
            x = place(x)
            channels, height, width = x.shape[1:]
            x = x.reshape(batch, frames, channels, height * width).transpose(1, 2)
            x = time(x).transpose(1, 2).reshape(batch * frames, channels, height, width)
        features: Tensor = self.last(self.dropout(x.reshape(batch, -1)))
        return features


def _layer(convolution: nn.Conv2d) -> nn.Sequential:
    norm = nn.BatchNorm2d(convolution.out_channels)
    return nn.Sequential(convolution, norm, nn.LeakyReLU(NEGATIVE_SLOPE))
