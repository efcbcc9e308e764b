"""How images enter a run: a backbone trained along, a frozen one, or features from a file."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from kit.data.images import TransformedImages
from kit.data.pairs import CaptionedImages, Corpus, Pictures
from kit.encoders.image import ImageBackbone, image_backbone
from kit.files import file_hash
from kit.retrieval.features import compute_features, load_features
from kit.training import evaluating


@dataclass(frozen=True)
class ImageInput:
    """What is asked for.

    Args:
        backbone: a name in `kit.encoders.image.BACKBONES`.
        weights: None (from scratch), ``"library"``, or a weights file.
        frozen: the backbone is run once over every image, and its features are kept in `cache`.
        features: an ``.npz`` file of features instead of any backbone (see `load_features`).
        cache: folder for the features of a frozen backbone; inside the run folder if not given.

    Raises:
        ValueError: a frozen backbone from scratch, or weights beside features: one would be
            ignored.

    """

    backbone: str = "small_cnn"
    weights: str | None = None
    frozen: bool = False
    features: str | None = None
    cache: str | None = None

    def __post_init__(self) -> None:
        if self.features is not None and (self.weights is not None or self.frozen):
            raise ValueError(
                "ImageInput: features from a file need no weights and no frozen backbone, got "
                f"features={self.features!r}, weights={self.weights!r}, frozen={self.frozen}"
            )
        if self.frozen and self.weights is None:
            raise ValueError(
                f"ImageInput: a frozen {self.backbone} needs weights; from scratch it knows nothing"
            )

    def facts(self, corpus: Corpus) -> dict[str, Any]:
        """What of the images decides a result: names and contents, not paths."""
        if self.features is not None:
            return {"features": file_hash("ImageInput", self.features)}
        named = self.weights in (None, "library")
        digest = hashlib.sha256()
        for split in corpus.splits:  # a few pictures of each: other pixels are another run
            images = len(split.image_names)
            for index in range(0, images, -(-images // 16)):
                digest.update(split.open_image(index).tobytes())
        return {
            "backbone": self.backbone,
            "frozen": self.frozen,
            "weights": self.weights if named else file_hash("ImageInput", str(self.weights)),
            "pixels": digest.hexdigest()[:16],
        }


@dataclass(frozen=True)
class ImageBlueprint:
    """How the image side is built again: a backbone's name, or None for features from a file."""

    backbone: str | None
    frozen: bool
    feature_dim: int


class ImageSource:
    """What is asked for, opened: weights are loaded, features are found or computed.

    Args:
        asked: how images enter.
        folder: the run folder; holds computed features if no other cache is named.
        kept: the file of a frozen backbone's weights that a run kept, instead of `asked.weights`.

    Attributes:
        backbone: the image network, or None where features come from a file.
        trained: what is trained along: the backbone, or the identity.

    """

    def __init__(self, asked: ImageInput, folder: Path, *, kept: Path | None = None) -> None:
        self.asked = asked
        self.cache = Path(asked.cache) if asked.cache else folder / "features"
        self.backbone: ImageBackbone | None = None
        self.trained: nn.Module = nn.Identity()
        if asked.features is None:
            weights = kept or asked.weights
            self.backbone = image_backbone(asked.backbone, weights=weights, frozen=asked.frozen)
            if not asked.frozen:
                self.trained = self.backbone

    def pictures(self, split: CaptionedImages) -> Pictures:
        """What the trained networks take of a split: pixels, or features."""
        if self.backbone is None:
            return load_features(str(self.asked.features), split.image_names)
        if self.asked.frozen:
            return compute_features(split, self.backbone, cache=self.cache)
        return TransformedImages(split.open_image, self.backbone.transform)

    def feature_dim(self, pictures: Pictures) -> int:
        """Width of the features behind `trained`."""
        if isinstance(self.trained, ImageBackbone):
            return self.trained.feature_dim
        return len(pictures(0, flipped=False))

    def of_pictures(self, opened: Sequence[Image.Image]) -> Tensor:
        """What the trained networks take of any pictures: (pictures, ...) pixels, or features.

        Raises:
            ValueError: features came from a file, so that nothing here can see a picture.

        """
        if self.backbone is None:
            raise ValueError(
                f"encode_images: this run was trained on features from {self.asked.features}; it "
                "has no backbone to see pictures with, use encode_features"
            )
        pixels = torch.stack([self.backbone.transform(picture) for picture in opened])
        if not self.asked.frozen:
            return pixels
        with evaluating(self.backbone):
            return torch.cat([self.backbone(part) for part in pixels.split(64)])

    def blueprint(self, pictures: Pictures) -> ImageBlueprint:
        """How the image side is built again."""
        name = None if self.backbone is None else self.asked.backbone
        return ImageBlueprint(name, self.asked.frozen, self.feature_dim(pictures))

    @classmethod
    def rebuilt(cls, blueprint: ImageBlueprint, folder: Path) -> ImageSource:
        """The image side of a run folder: new networks, and a frozen backbone's weights."""
        if blueprint.backbone is None:
            return cls(ImageInput(features="a file that is not here"), folder)
        kept = str(folder / "backbone.safetensors") if blueprint.frozen else None
        return cls(ImageInput(blueprint.backbone, kept, blueprint.frozen), folder)
