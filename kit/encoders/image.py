"""Image backbones: a picture in, one feature vector out (section 3.1 of ITMeetsAL).

Each is the published network without its classifier; the projection to the common space is another
layer, elsewhere. The papers' backbones take 224 x 224 pixels, our small one 64 x 64.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from kit.encoders.transform import ImageTransform
from kit.encoders.weights import LoadedWeights, load_weights, read_weights

_IMAGENET = ImageTransform(224, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
_SYMMETRIC = ImageTransform(224, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))  # [-1, 1]


class ImageBackbone(nn.Module):
    """A headless image network and what has to be known to use it.

    Attributes:
        name: its row in `BACKBONES`.
        network: the library's module, with the library's keys.
        feature_dim: width of the features.
        transform: size and normalisation of the pictures it takes.
        frozen: nothing is trained, and `train()` leaves it in eval mode.
        loaded: what came of loading weights; None from scratch.
        batch_norm_folded: its weights came with batch norm folded into them. The statistics are
            then the identity and not those of any data, so batch norm stays in eval mode in
            training too: other statistics would change the features under the weights.

    """

    def __init__(
        self,
        name: str,
        network: nn.Module,
        *,
        feature_dim: int,
        transform: ImageTransform,
        frozen: bool = False,
    ) -> None:
        super().__init__()
        self.name = name
        self.network = network
        self.feature_dim = feature_dim
        self.transform = transform
        self.frozen = frozen
        self.loaded: LoadedWeights | None = None
        self.batch_norm_folded = False
        self.requires_grad_(not frozen)
        self.train()

    def forward(self, images: Tensor) -> Tensor:
        """Features (batch, feature_dim) of images (batch, 3, height, width), float."""
        if images.ndim != 4 or images.shape[1] != 3 or not images.is_floating_point():
            raise ValueError(
                f"ImageBackbone {self.name}: images must be (batch, 3, height, width) float, "
                f"got {tuple(images.shape)} {images.dtype}"
            )
        features: Tensor = self.network(images)
        return features

    def load(self, weights: str | Path) -> None:
        """Pre-trained weights into the network.

        Args:
            weights: ``"library"`` downloads the library's ImageNet weights; else the path of a
                ``.safetensors`` or torch file.

        Raises:
            ValueError: no library weights for it; a file that is no weights file, lacks a tensor of
                the network, or has one in another shape.

        """
        try:
            if weights == "library":
                state = _library_weights(self.name)
                source = f"{self.name}, library weights"
            else:
                state, source = read_weights(weights), str(weights)
            self.loaded = load_weights(self.network, state, source=source)
        except ValueError as error:
            raise ValueError(f"image_backbone: {self.name}: {error}") from error
        self.batch_norm_folded = _identity_statistics(self.network)
        self.train(self.training)

    def train(self, mode: bool = True) -> ImageBackbone:
        """Training mode for what may be in it: nothing if frozen, no batch norm that is folded."""
        super().train(mode and not self.frozen)
        if self.batch_norm_folded:
            for module in self.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        return self


def image_backbone(
    name: str, *, weights: str | Path | None = None, frozen: bool = False
) -> ImageBackbone:
    """One of `BACKBONES`, from scratch or with pre-trained weights, frozen or to be fine-tuned.

    Weights whose keys and shapes fit can still be wrong (another padding, another input scale):
    look at the features of a picture that you know before you trust them.

    Args:
        name: a row of `BACKBONES`.
        weights: None starts from scratch (torch's global generator); else see `ImageBackbone.load`.
        frozen: no parameter gets a gradient, and the network stays in eval mode.

    Raises:
        ValueError: an unknown name, or weights that `ImageBackbone.load` refuses.

    >>> import torch
    >>> backbone = image_backbone("small_cnn").eval()
    >>> backbone(torch.zeros(2, 3, 64, 64)).shape
    torch.Size([2, 256])

    """
    if name not in BACKBONES:
        raise ValueError(
            f"image_backbone: name must be one of {', '.join(BACKBONES)}, got {name!r}"
        )
    recipe = BACKBONES[name]
    network = recipe.build()
    backbone = ImageBackbone(
        name, network, feature_dim=recipe.feature_dim, transform=recipe.transform, frozen=frozen
    )
    if weights is not None:
        backbone.load(weights)
    return backbone


def small_cnn() -> nn.Sequential:
    """Our small network for 64 x 64 pictures such as Scenes: (batch, 3, h, w) -> (batch, 256).

    The last map is pooled to 4 x 4 places and not to one, because captions speak of places: what
    stands left must not look like what stands right. It ends with batch norm and not with ReLU:
    untrained features are nearly the same for all pictures, the hardest triplets then collapse what
    is left of the difference, and nothing is ever learnt; batch norm takes out what all share.
    """

    def block(channels_in: int, channels: int, stride: int) -> list[nn.Module]:
        return [
            nn.Conv2d(channels_in, channels, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
        ]

    return nn.Sequential(
        *block(3, 32, 2),
        *block(32, 64, 2),
        *block(64, 128, 2),
        *block(128, 128, 1),
        nn.AdaptiveAvgPool2d(4),
        nn.Flatten(),
        nn.Linear(128 * 16, 256),
        nn.BatchNorm1d(256),
    )


def _library_weights(name: str) -> Mapping[str, Tensor]:
    library = BACKBONES[name].library
    if library is None:
        having = ", ".join(other for other in BACKBONES if BACKBONES[other].library)
        raise ValueError(f"{name} has no library weights, only {having} have")
    return library()


def _torchvision(architecture: str) -> nn.Module:
    from torchvision.models import get_model

    network: Any = get_model(architecture, weights=None)
    if architecture.startswith("vgg"):
        del network.classifier[-1]  # ends with fc7, its ReLU and its dropout
    else:
        network.fc = nn.Identity()  # ends with the global average pool
    module: nn.Module = network
    return module


def _torchvision_weights(architecture: str) -> Mapping[str, Tensor]:
    from torchvision.models import get_model_weights

    weights: Any = get_model_weights(architecture).IMAGENET1K_V1
    state: Mapping[str, Tensor] = weights.get_state_dict(progress=True, check_hash=True)
    return state


def _mobilenet_v1(pad_type: str, *, pretrained: bool = False) -> nn.Module:
    import timm

    network: nn.Module = timm.create_model(
        "mobilenetv1_100", pretrained=pretrained, num_classes=0, pad_type=pad_type
    )
    return network


def _mobilenet_v1_weights() -> Mapping[str, Tensor]:
    return _mobilenet_v1("", pretrained=True).state_dict()


def _identity_statistics(network: nn.Module) -> bool:
    """Whether there is batch norm, and all of its running statistics are mean 0 and variance 1."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    means = [norm.get_buffer("running_mean") for norm in norms]
    variances = [norm.get_buffer("running_var") for norm in norms]
    return bool(norms) and not torch.cat(means).any() and bool((torch.cat(variances) == 1).all())


@dataclass(frozen=True)
class Recipe:
    """How a backbone is built, where its library weights are, and what goes in and comes out."""

    feature_dim: int
    transform: ImageTransform
    build: Callable[[], nn.Module]
    library: Callable[[], Mapping[str, Tensor]] | None


# VGG: fc7 after its ReLU. ResNet, MobileNet: the global average pool. MobileNetV1 was published in
# TensorFlow, which pads "same"; timm trained weights of its own with symmetric padding. Each fits
# the other's network by keys and shapes and gives wrong features there: hence two rows.
BACKBONES: dict[str, Recipe] = {
    name: Recipe(dim, _IMAGENET, partial(_torchvision, name), partial(_torchvision_weights, name))
    for name, dim in (("vgg16", 4096), ("vgg19", 4096), ("resnet50", 2048), ("resnet152", 2048))
} | {
    "mobilenet_v1": Recipe(1024, _SYMMETRIC, partial(_mobilenet_v1, "same"), None),
    "mobilenet_v1_timm": Recipe(
        1024, _SYMMETRIC, partial(_mobilenet_v1, ""), _mobilenet_v1_weights
    ),
    "small_cnn": Recipe(256, ImageTransform(64, (0.5,) * 3, (0.5,) * 3), small_cnn, None),
}
