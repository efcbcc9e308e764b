"""How images enter a run: a backbone trained along, a frozen one, or features from a file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from PIL import Image
from torch import Tensor, nn

from kit.data.epochs import EpochLoader, blocks
from kit.data.images import TransformedImages, open_picture
from kit.data.pairs import CaptionedImages, Corpus
from kit.encoders.image import ImageBackbone, image_backbone
from kit.files import file_hash
from kit.retrieval.features import FeatureFile, ImageFeatures, compute_features, read_features
from kit.training import device_of, evaluating


@dataclass(frozen=True)
class ImageInput:
    """What is asked for.

    Args:
        backbone: a name in `kit.encoders.image.BACKBONES`.
        weights: None (from scratch), ``"library"``, or a weights file.
        frozen: the backbone is run once over every image, and its features are kept in `cache`.
        features: an ``.npz`` file of features instead of any backbone (see `read_features`).
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
        pixels = "".join(split.content_hash() for split in corpus.splits)
        return {
            "backbone": self.backbone,
            "frozen": self.frozen,
            "weights": self.weights if named else file_hash("ImageInput", str(self.weights)),
            "pixels": hashlib.sha256(pixels.encode()).hexdigest()[:16],
        }


@dataclass(frozen=True)
class ImageBlueprint:
    """How the image side of a run is built again, from its folder alone; plain JSON.

    Args:
        feature_dim: width of the features behind what is trained along.
        backbone: a name in `kit.encoders.image.BACKBONES`; None where features came from a file.
        frozen: whether the backbone was frozen, so that its weights are kept apart.
        batch_norm_folded: whether its batch norm stays as it came (see `ImageBackbone`).
        features: the file that features came from. It is read if a split is to be encoded.

    """

    feature_dim: int
    backbone: str | None = None
    frozen: bool = False
    batch_norm_folded: bool = False
    features: str | None = None


@dataclass(frozen=True, eq=False)
class ImageSource:
    """The images of a run, opened: what is trained along, and what it takes of any split.

    Args:
        blueprint: how it can be built again.
        backbone: the image network, or None where features come from a file.
        cache: a folder for the features of a frozen backbone; None keeps none.
        device: where a frozen backbone computes the features of a split.
        workers: processes that open pictures outside of training.

    """

    blueprint: ImageBlueprint
    backbone: ImageBackbone | None
    cache: Path | None = None
    device: str = "cpu"
    workers: int = 0
    _known: WeakKeyDictionary[CaptionedImages, TransformedImages | ImageFeatures] = field(
        default_factory=WeakKeyDictionary, init=False, repr=False
    )

    @classmethod
    def of(
        cls, images: ImageInput, folder: Path, *, device: str = "cpu", workers: int = 0
    ) -> ImageSource:
        """What is asked for, for a new run in `folder`: weights are loaded, a file is read."""
        if images.features is not None:
            file = read_features(images.features)
            path = str(Path(images.features).resolve())
            source = cls(ImageBlueprint(file.features.shape[1], features=path), None)
            vars(source)["file"] = file  # read already
            return source
        backbone = image_backbone(images.backbone, weights=images.weights, frozen=images.frozen)
        blueprint = ImageBlueprint(
            backbone.feature_dim, images.backbone, images.frozen, backbone.batch_norm_folded
        )
        cache = Path(images.cache) if images.cache else folder / "features"
        return cls(blueprint, backbone, cache, device, workers)

    @classmethod
    def rebuilt(cls, blueprint: ImageBlueprint, folder: Path) -> ImageSource:
        """The images of a run folder: built from scratch, then a frozen backbone's state loaded.

        The state of a backbone that was trained along is loaded with the other networks'. Nothing
        is read but `folder`, and nothing is written outside of it.

        Raises:
            ValueError: a frozen backbone without its state, or with one that does not fit it.

        """
        if blueprint.backbone is None:
            return cls(blueprint, None)
        backbone = image_backbone(blueprint.backbone, frozen=blueprint.frozen)
        if blueprint.frozen:
            backbone.load(folder / "backbone.safetensors")
        backbone.batch_norm_folded = blueprint.batch_norm_folded
        cache = folder / "features"
        return cls(blueprint, backbone.train(), cache if cache.is_dir() else None)

    @cached_property
    def trained(self) -> nn.Module:
        """What is trained along: the backbone, or the identity."""
        if self.backbone is None or self.blueprint.frozen:
            return nn.Identity()
        return self.backbone

    @cached_property
    def file(self) -> FeatureFile:
        """The features' file, read once for all splits."""
        return read_features(str(self.blueprint.features))

    def pictures(self, split: CaptionedImages) -> TransformedImages | ImageFeatures:
        """What the trained networks take of a split: pixels, or features, found or computed once.

        They are remembered as long as the split is there.
        """
        if split not in self._known:
            self._known[split] = self._opened(split)
        return self._known[split]

    def _opened(self, split: CaptionedImages) -> TransformedImages | ImageFeatures:
        if self.backbone is None:
            return self.file.of(split.image_names)
        if not self.blueprint.frozen:
            return TransformedImages(split.open_image, self.backbone.transform)
        return compute_features(
            split, self.backbone, cache=self.cache, device=self.device, workers=self.workers
        )

    def batches(self, split: CaptionedImages) -> Iterator[Tensor]:
        """The plain views of a split's images in order, (up to 256, ...) float32 at a time."""
        pictures, keys = self.pictures(split), blocks(len(split.image_names), 256)
        if isinstance(pictures, ImageFeatures):
            return map(pictures, keys)
        return EpochLoader(pictures, workers=self.workers).epoch(keys)

    def of_pictures(self, pictures: Sequence[Path | str | Image.Image]) -> Iterator[Tensor]:
        """What the trained networks take of any pictures, opened 64 at a time.

        Args:
            pictures: paths, or opened pictures.

        Yields:
            (up to 64, ...) float32 pixels, or features on the CPU.

        Raises:
            ValueError: no pictures; one path where several are expected; a file that is missing or
                no picture; features came from a file, so that nothing here can see a picture.

        """
        if isinstance(pictures, str | Path | Image.Image) or len(pictures) == 0:
            raise ValueError(
                f"encode_images: expected a list of at least one picture, got {pictures!r}"
            )
        if self.backbone is None:
            raise ValueError(
                f"encode_images: this run was trained on features from {self.blueprint.features}; "
                "it has no backbone to see pictures with, use encode_features"
            )
        device = device_of(self.backbone)
        opened = TransformedImages(lambda row: _opened(pictures[row]), self.backbone.transform)
        for rows in blocks(len(pictures), 64):
            pixels = opened(rows)
            if self.blueprint.frozen:
                with evaluating(self.backbone):
                    pixels = self.backbone(pixels.to(device)).cpu()
            yield pixels


def _opened(picture: Path | str | Image.Image) -> Image.Image:
    if isinstance(picture, Image.Image):
        return picture
    return open_picture(picture, where=f"encode_images: {picture}")
