"""Image backbones: a picture in, one feature vector out (section 3.1 of ITMeetsAL).

`ImageTransform` says what a picture must become for one. Each backbone is the published network
without its classifier; the projection to the common space is another layer, elsewhere. The papers'
backbones take 224 x 224 pixels, our small one 64 x 64.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from kit.checks import check_choice
from kit.encoders import check_input
from kit.encoders.weights import LoadedWeights, load_weights, read_weights


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
        for name in ("mean", "std"):  # a list, as JSON gives it, becomes a tuple
            object.__setattr__(self, name, tuple(map(float, getattr(self, name))))
        if self.size < 1 or not len(self.mean) == len(self.std) == 3 or min(self.std) <= 0:
            raise ValueError(
                "ImageTransform: expected a size of at least 1 pixel, three means and three "
                f"positive deviations, got {self}"
            )

    def __call__(self, image: Image.Image) -> Tensor:
        """The picture as (3, size, size) float32."""
        square = image.convert("RGB").resize((self.size, self.size), Image.Resampling.BILINEAR)
        pixels = torch.from_numpy(np.array(square, dtype=np.float32)).permute(2, 0, 1) / 255
        mean, std = (torch.tensor(values).view(3, 1, 1) for values in (self.mean, self.std))
        return ((pixels - mean) / std).contiguous()


@dataclass(frozen=True)
class Recipe:
    """How a backbone is built, where its library weights are, and what goes in and comes out."""

    feature_dim: int
    transform: ImageTransform
    build: Callable[[], nn.Module]
    library: Callable[[], dict[str, Tensor]] | None


class ImageBackbone(nn.Module):
    """A headless image network and what has to be known to use it.

    Args:
        name: its row in `BACKBONES`.
        recipe: that row.
        frozen: nothing is trained, and `train()` leaves it in eval mode.

    Attributes:
        network: the library's module, with the library's keys.
        feature_dim: width of the features.
        transform: size and normalisation of the pictures it takes.
        loaded: what came of loading weights; None from scratch.
        batch_norm_folded: its weights came with batch norm folded into them. The statistics are
            then the identity and not those of any data, so batch norm stays in eval mode in
            training too: other statistics would change the features under the weights.

    """

    def __init__(self, name: str, recipe: Recipe, *, frozen: bool = False) -> None:
        super().__init__()
        self.name, self.recipe, self.frozen = name, recipe, frozen
        self.network, self.transform = recipe.build(), recipe.transform
        self.feature_dim = recipe.feature_dim
        self._norms = [m for m in self.network.modules() if isinstance(m, nn.BatchNorm2d)]
        self.loaded: LoadedWeights | None = None
        self.batch_norm_folded = False
        self.requires_grad_(not frozen)
        self.train()
        self.network.register_load_state_dict_post_hook(self._look_at_batch_norm)

    def forward(self, images: Tensor) -> Tensor:
        """Features (batch, feature_dim) of images (batch, 3, height, width), float."""
        check_input(self, images, "batch", 3, "height", "width")
        features: Tensor = self.network(images)
        return features

    def _look_at_batch_norm(self, *_: object) -> None:
        """After a state was loaded: are all running statistics mean 0 and variance 1?"""
        means = [norm.get_buffer("running_mean") for norm in self._norms]
        variances = [norm.get_buffer("running_var") for norm in self._norms]
        ones = bool(self._norms) and bool((torch.cat(variances) == 1).all())
        self.batch_norm_folded = ones and not torch.cat(means).any()
        self.train(self.training)

    def train(self, mode: bool = True) -> ImageBackbone:
        """Training mode for what may be in it: nothing if frozen, no batch norm that is folded."""
        super().train(mode and not self.frozen)
        if self.batch_norm_folded:
            for norm in self._norms:
                norm.eval()
        return self


def image_backbone(
    name: str, *, weights: str | Path | None = None, frozen: bool = False
) -> ImageBackbone:
    """One of `BACKBONES`, from scratch or with pre-trained weights, frozen or to be fine-tuned.

    Weights whose keys and shapes fit can still be wrong (another padding, another input scale):
    look at the features of a picture that you know before you trust them.

    Args:
        name: a row of `BACKBONES`.
        weights: None starts from scratch (torch's global generator), ``"library"`` downloads the
            library's ImageNet weights; else the path of a ``.safetensors`` or torch file.
        frozen: no parameter gets a gradient, and the network stays in eval mode.

    Raises:
        ValueError: an unknown name, or one without library weights; a file that is no weights file,
            lacks a tensor of the network, or has one in another shape.

    >>> import torch
    >>> backbone = image_backbone("small_cnn").eval()
    >>> backbone(torch.zeros(2, 3, 64, 64)).shape
    torch.Size([2, 256])

    """
    check_choice("image_backbone", among=tuple(BACKBONES), name=name)
    recipe = BACKBONES[name]
    backbone = ImageBackbone(name, recipe, frozen=frozen)
    if weights is None:
        return backbone
    if weights != "library":
        state = read_weights(weights)
    elif recipe.library is None:
        raise ValueError(f"image_backbone: {name} has no library weights")
    else:
        state = recipe.library()
    backbone.loaded = load_weights(backbone.network, state, source=f"{name} from {weights}")
    return backbone


def small_cnn() -> nn.Sequential:
    """Our small network for 64 x 64 pictures such as Scenes: (batch, 3, h, w) -> (batch, 256).

    The last map is pooled to 4 x 4 places and not to one, because captions speak of places: what
    stands left must not look like what stands right. It ends with batch norm and not with ReLU:
    untrained features are nearly the same for all pictures, the hardest triplets then collapse what
    is left of the difference, and nothing is ever learnt; batch norm takes out what all share.
    """
    layers: list[nn.Module] = []
    for channels_in, channels, stride in ((3, 32, 2), (32, 64, 2), (64, 128, 2), (128, 128, 1)):
        layers += [
            nn.Conv2d(channels_in, channels, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
        ]
    layers += [nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(128 * 16, 256)]
    return nn.Sequential(*layers, nn.BatchNorm1d(256))


def _torchvision(architecture: str) -> nn.Module:
    from torchvision.models import get_model

    network: Any = get_model(architecture, weights=None)
    if architecture.startswith("vgg"):
        del network.classifier[-1]  # ends with fc7, its ReLU and its dropout
    else:
        network.fc = nn.Identity()  # ends with the global average pool
    module: nn.Module = network
    return module


def _torchvision_weights(architecture: str) -> dict[str, Tensor]:
    from torchvision.models import get_model_weights

    weights: Any = get_model_weights(architecture).IMAGENET1K_V1
    state: dict[str, Tensor] = weights.get_state_dict(progress=True, check_hash=True)
    return state


def _mobilenet_v1(pad_type: str, *, pretrained: bool = False) -> nn.Module:
    import timm

    network: nn.Module = timm.create_model(
        "mobilenetv1_100", pretrained=pretrained, num_classes=0, pad_type=pad_type
    )
    return network


def _mobilenet_v1_weights() -> dict[str, Tensor]:
    return _mobilenet_v1("", pretrained=True).state_dict()


_IMAGENET = ImageTransform(224, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
_SYMMETRIC = ImageTransform(224, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))  # [-1, 1]

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
