"""Log-mel spectrograms in, one feature vector each out: PANNs' CNN14, and a small network.

Spectrograms come as (batch, frames, mels).
"""

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from kit.encoders import NEGATIVE_SLOPE, check_input


class _ConvBlock(nn.Module):
    """Two 3 x 3 convolutions, each with batch norm, then a mean over `pool` x `pool`."""

    def __init__(self, channels_in: int, channels: int, pool: int, activation: nn.Module) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.pool = pool
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        x = self.activation(self.bn1(self.conv1(x)))
        x = self.activation(self.bn2(self.conv2(x)))
        return F.avg_pool2d(x, self.pool)


class CNN14(nn.Module):
    """PANNs' CNN14 with an embedding of 512 (``Cnn14_emb512``), under the names of its weights.

    Its front end is `kit.data.log_mel.PANNS`, in decibel: its first batch norm does the scaling.
    For weights that are used as published, it has ReLU throughout and an embedding of at least 0.
    Else its activations are LeakyReLU, as the paper asks of all trained networks. What PANNs
    trained with around it (masked stripes, mixed clips, the classifier and its dropout) is not
    here.

    Args:
        mels: bands of a spectrogram, at least 32; 64 as published.
        embedding_dim: width of the result; 512 as published.
        published: whether it has the ReLUs that PANNs' weights were trained with.

    Raises:
        ValueError: fewer bands: five halvings would leave nothing.

    """

    def __init__(
        self, mels: int = 64, embedding_dim: int = 512, *, published: bool = False
    ) -> None:
        super().__init__()
        if mels < 32:
            raise ValueError(f"CNN14: expected at least 32 mels, got {mels}")
        self.activation = nn.ReLU() if published else nn.LeakyReLU(NEGATIVE_SLOPE)
        self.bn0 = nn.BatchNorm2d(mels)
        widths = (1, 64, 128, 256, 512, 1024, 2048)
        for at, (before, width) in enumerate(pairwise(widths), start=1):
            block = _ConvBlock(before, width, 2 if at < 6 else 1, self.activation)
            self.add_module(f"conv_block{at}", block)
        self.fc1 = nn.Linear(2048, embedding_dim)
        self.feature_dim = embedding_dim

    def forward(self, spectrograms: Tensor) -> Tensor:
        """Encode spectrograms: (batch, frames, mels) float to (batch, embedding_dim).

        Raises:
            ValueError: another shape, fewer than 32 frames, not of a float type.

        """
        check_input(self, spectrograms, "batch", "frames", self.bn0.num_features, frames=32)
        x = self.bn0(spectrograms[:, None].transpose(1, 3)).transpose(1, 3)
        for at in range(1, 7):
            x = self.get_submodule(f"conv_block{at}")(x)
            x = F.dropout(x, 0.2, self.training)
        x = x.mean(dim=3)
        x = F.dropout(x.amax(dim=2) + x.mean(dim=2), 0.5, self.training)
        features: Tensor = self.activation(self.fc1(x))
        return features


class SmallAudio(nn.Module):
    """Three convolutions for a second of sound or less.

    Args:
        mels: bands of a spectrogram, at least 8.
        dim: width of the result.
        widths: channels of the convolutions.

    Raises:
        ValueError: fewer bands.

    """

    def __init__(self, mels: int, *, dim: int, widths: tuple[int, ...] = (16, 32, 64)) -> None:
        super().__init__()
        if mels < 8:
            raise ValueError(f"SmallAudio: expected at least 8 mels, got {mels}")
        self.mels = mels
        layers: list[nn.Module] = []
        for before, width in pairwise((1, *widths)):
            layers += [
                nn.Conv2d(before, width, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.LeakyReLU(NEGATIVE_SLOPE),
            ]
        # A few places in time and pitch, however long the sound.
        layers += [nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(16 * widths[-1], dim)]
        self.layers = nn.Sequential(*layers)

    def forward(self, spectrograms: Tensor) -> Tensor:
        """Encode spectrograms: (batch, frames, mels) float to (batch, dim).

        Raises:
            ValueError: another shape, fewer than 8 frames, not of a float type.

        """
        check_input(self, spectrograms, "batch", "frames", self.mels, frames=8)
        features: Tensor = self.layers(spectrograms[:, None])
        return features
