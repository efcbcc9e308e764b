"""How images enter a run: a backbone trained along, a frozen one, or features from a file.

A frozen backbone gives the same feature for a picture in every epoch, so each goes through it once.
The augmentation remains: there is a row for the picture and one for its mirror image, and training
draws one.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from kit.checks import check_choice, check_fields, check_unique, first_few
from kit.data.epochs import EpochLoader, blocks
from kit.data.images import TransformedImages, open_picture
from kit.data.pairs import CaptionedImages, Corpus
from kit.encoders.image import BACKBONES, ImageBackbone, image_backbone
from kit.files import as_path, atomic, file_hash
from kit.training import device_of, evaluating

PICTURES = 64  # go through a backbone at a time


@dataclass(frozen=True)
class ImageInput:
    """What is wanted of the images.

    Args:
        backbone: a name in `kit.encoders.image.BACKBONES`.
        weights: None (from scratch), ``"library"``, or a weights file.
        frozen: the backbone is run once over every image, and its features are kept in `cache`.
        features: an ``.npz`` file of features instead of any backbone (see `FeatureFile`).
        cache: folder for the features of a frozen backbone; inside the run folder if not given.

    Raises:
        ValueError: a field of another kind; an unknown backbone; a frozen one from scratch, or
            weights beside features: one would be ignored.

    """

    backbone: str = "small_cnn"
    weights: str | None = None
    frozen: bool = False
    features: str | None = None
    cache: str | None = None

    def __post_init__(self) -> None:
        for name in ("weights", "features", "cache"):
            if getattr(self, name) is not None:
                path = str(as_path("ImageInput", getattr(self, name), name))
                object.__setattr__(self, name, path)
        check_fields(self)
        check_choice("ImageInput", among=tuple(BACKBONES), backbone=self.backbone)
        if self.features is not None and (self.weights is not None or self.frozen):
            raise ValueError(f"ImageInput: features from a file take no weights, got {self}")
        if self.frozen and self.weights is None:
            raise ValueError(f"ImageInput: a frozen {self.backbone} needs weights, got none")

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

    def kept(self) -> ImageInput:
        """How a run folder keeps it: nothing but a file of features is needed beside the folder.

        A frozen backbone's weights lie in the folder; those of one that was trained along are among
        the run's networks.
        """
        weights = "backbone.safetensors" if self.frozen else None
        features = None if self.features is None else str(Path(self.features).resolve())
        return replace(self, weights=weights, features=features, cache=None)


@dataclass(frozen=True, eq=False)
class ImageFeatures:
    """Features in place of pixels for `TrainingPairs`: row i belongs to image i of the split.

    Args:
        views: (1 or 2, images, dim) float32, or float16, which is kept so and raised batch by
            batch: the plain pictures' features and those of the mirrored ones. Without the second
            view, a mirrored picture is answered with the plain one's features.
        rows: (images,) int64, for each image its row, where `views` is of other images too.

    Raises:
        ValueError: another shape or type, values that are not finite.

    """

    views: Tensor
    rows: Tensor | None = None
    in_memory: ClassVar[bool] = True

    def __post_init__(self) -> None:
        shape, dtype = tuple(self.views.shape), self.views.dtype
        fits = len(shape) == 3 and 0 not in shape and shape[0] <= 2
        if not fits or dtype not in (torch.float32, torch.float16):
            raise ValueError(
                "ImageFeatures: expected (1 or 2 views, images, dim) float32 or float16, "
                f"got {shape} {dtype}"
            )
        rows = torch.arange(shape[1]) if self.rows is None else self.rows
        finite = [self.views[:, part].isfinite().all(2).all(0) for part in rows.split(2048)]
        bad = (~torch.cat(finite)).nonzero().flatten().tolist()
        if bad:
            raise ValueError(
                f"ImageFeatures: features of {len(bad)} images are not finite: {first_few(bad)}"
            )

    def __call__(
        self, rows: Sequence[int] | NDArray[np.int64], flipped: NDArray[np.bool_] | None = None
    ) -> Tensor:
        """Features (rows, dim) float32 of images, of their mirrored view where `flipped`."""
        index = torch.as_tensor(rows)
        if self.rows is not None:
            index = self.rows[index]
        if flipped is not None and len(self.views) == 2:
            index = index + self.views.shape[1] * torch.from_numpy(flipped)
        return self.views.flatten(0, 1).index_select(0, index).float()


def compute_features(
    split: CaptionedImages,
    backbone: ImageBackbone,
    *,
    cache: str | Path | None,
    device: str = "cpu",
    workers: int = 0,
    read_only: bool = False,
) -> ImageFeatures:
    """The views of every picture of a split through a backbone in eval mode, or from the cache.

    Each picture is opened once for both views, and not mirrored where the split must not be.
    The cached file's name holds a hash of all that the features depend on: the backbone's name and
    weights, image size and normalisation, the image names in their order, and the pixels
    (`CaptionedImages.content_hash`). A stale cache can therefore never be used.

    Args:
        split: whose pictures.
        backbone: left on the device and in the mode it came in.
        cache: a folder, made if needed; the file is a safetensors file with `views` and their hash.
            None keeps nothing.
        device: where to compute, such as ``"cuda"``. The result is on the CPU.
        workers: processes that open pictures.
        read_only: the cache is read and never written to.

    Raises:
        ValueError: a picture that cannot be opened, features that are not finite, a damaged cache
            file.

    """
    if cache is None:
        return _through(split, backbone, device, workers)
    path = Path(cache) / f"{split.name}_{backbone.name}_{_hash(split, backbone)}.safetensors"
    if not path.is_file():
        features = _through(split, backbone, device, workers)
        if not read_only:
            with atomic(path) as part:
                facts = {"sha256": _hash_of_views(features.views)}
                save_file({"views": features.views}, part, metadata=facts)
        return features
    try:
        with safe_open(path, "pt") as file:
            views, expected = file.get_tensor("views"), file.metadata()["sha256"]
        if _hash_of_views(views) != expected or views.shape[1] != len(split.image_names):
            raise ValueError("its values are not those that were computed")
        return ImageFeatures(views)
    except (SafetensorError, OSError, LookupError, TypeError, ValueError) as error:
        raise ValueError(f"compute_features: {path} is damaged, delete it: {error}") from error


def _hash_of_views(views: Tensor) -> str:
    digest = hashlib.sha256(repr((views.dtype, tuple(views.shape))).encode())
    digest.update(views.numpy().data)
    return digest.hexdigest()


def _hash(split: CaptionedImages, backbone: ImageBackbone) -> str:
    """What tells apart all that the features depend on."""
    views, names = 1 + split.mirrored, list(split.image_names)
    facts = (backbone.name, astuple(backbone.transform), views, names, split.content_hash())
    digest = hashlib.sha256(repr(facts).encode())
    for key, tensor in backbone.network.state_dict().items():
        digest.update(repr((key, tensor.dtype, tuple(tensor.shape))).encode())
        digest.update(tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()[:32]


def _through(
    split: CaptionedImages, backbone: ImageBackbone, device: str, workers: int
) -> ImageFeatures:
    """All pictures of a split through a backbone, each opened once."""
    from tqdm import tqdm

    images, home = len(split.image_names), device_of(backbone)
    views = torch.empty(1 + split.mirrored, images, backbone.feature_dim)
    keys = blocks(images, PICTURES)
    opened = TransformedImages(split.open_image, backbone.transform)
    loader = EpochLoader(opened, workers=workers, pin=torch.device(device).type == "cuda")
    batches, name = loader.epoch(keys), f"{backbone.name}, {split.name}"
    # No bar for what is done in two seconds; a notebook shows stderr as if something were wrong.
    shown = tqdm(batches, name, len(keys), unit="batch", delay=2, file=sys.stdout)
    try:
        with evaluating(backbone.to(device)):
            for rows, batch in zip(keys, shown, strict=True):
                pixels = batch.to(device, non_blocking=True)
                for view, seen in zip(views, (pixels, pixels.flip(-1)), strict=False):
                    view[rows.start : rows.stop] = backbone(seen).float().cpu()
    finally:
        backbone.to(home)
    return ImageFeatures(views)


class FeatureFile:
    """Features that somebody computed: one view of each image, read once for all splits.

    Args:
        path: an ``.npz`` file with the arrays `files`, n unique image names, and `feat`, (n, dim)
            float of any precision.

    Attributes:
        features: (n, dim) float32, or float16 as it is in the file.
        row: the row of each image name.

    Raises:
        ValueError: no such file or no ``.npz``; an array missing or of the wrong shape or type; a
            name twice; values beyond float32.

    """

    def __init__(self, path: str | Path) -> None:
        self.path = as_path("FeatureFile", path)
        try:
            with self.path.open("rb") as file:
                arrays = np.load(file, allow_pickle=False)
                files, feat = arrays["files"], arrays["feat"]
            names = files.astype(str).ravel().tolist()
        except Exception as error:  # a file's bytes decide which of its reader's parts fails
            raise ValueError(
                f"FeatureFile: {path}: expected an .npz file with files and feat, got "
                f"{str(error) or type(error).__name__}"
            ) from error
        named = files.ndim == 1 and files.dtype.kind in "US"
        if not named or feat.ndim != 2 or len(feat) != len(files) or feat.dtype.kind != "f":
            raise ValueError(
                f"FeatureFile: {path}: expected n names in files and (n, dim) float in feat, got "
                f"{files.shape} {files.dtype} and {feat.shape} {feat.dtype}"
            )
        check_unique(f"FeatureFile: {path}", files=names)
        self.row = {name: index for index, name in enumerate(names)}
        precision = np.float16 if feat.dtype.itemsize == 2 else np.float32
        with np.errstate(over="ignore"):
            self.features = torch.from_numpy(feat.astype(precision, copy=False))
        if feat.dtype.itemsize > 4 and (np.isinf(self.features.numpy()) & np.isfinite(feat)).any():
            raise ValueError(f"FeatureFile: {path}: feat has values beyond the range of float32")

    def of(self, image_names: Sequence[str]) -> ImageFeatures:
        """The features of a split's images, in their order, without another copy.

        Raises:
            ValueError: names without features, counted; values that are not finite.

        """
        unknown = [name for name in image_names if name not in self.row]
        if unknown:
            raise ValueError(
                f"FeatureFile: {self.path}: {len(unknown)} of {len(image_names)} images have no "
                f"features: {first_few(unknown)}; the file has {first_few(list(self.row), most=2)}"
            )
        rows = torch.tensor([self.row[name] for name in image_names])
        try:
            return ImageFeatures(self.features[None], rows)
        except ValueError as error:
            raise ValueError(f"FeatureFile: {self.path}: {error}") from error


class ImageSource:
    """The images of a run, opened: what is trained along, and what it takes of any split.

    Args:
        images: how they enter. A backbone is built at once, a file of features is read when it is
            needed.
        cache: a folder for the features of a frozen backbone; None keeps none.
        device: where a frozen backbone computes the features of a split.
        workers: processes that open pictures outside of training.
        read_only: the cache is read and never written to.

    Attributes:
        backbone: the image network, or None where features come from a file.

    Raises:
        ValueError: what the backbone or its weights refuse.

    """

    def __init__(
        self,
        images: ImageInput,
        cache: Path | None,
        *,
        device: str = "cpu",
        workers: int = 0,
        read_only: bool = False,
    ) -> None:
        self.images, self.cache, self.device, self.workers = images, cache, device, workers
        self.read_only = read_only
        self.backbone: ImageBackbone | None = None
        if images.features is None:
            weights, frozen = images.weights, images.frozen
            self.backbone = image_backbone(images.backbone, weights=weights, frozen=frozen)
        self._known = WeakKeyDictionary[CaptionedImages, TransformedImages | ImageFeatures]()

    @property
    def trained(self) -> nn.Module:
        """What is trained along: the backbone, or the identity."""
        if self.backbone is None or self.images.frozen:
            return nn.Identity()
        return self.backbone

    @cached_property
    def file(self) -> FeatureFile:
        """The features' file, read once for all splits."""
        return FeatureFile(str(self.images.features))

    @property
    def feature_dim(self) -> int:
        """Width of the features behind what is trained along."""
        return self.backbone.feature_dim if self.backbone else self.file.features.shape[1]

    def pictures(self, split: CaptionedImages) -> TransformedImages | ImageFeatures:
        """What the trained networks take of a split: pixels, or features, found or computed once.

        They are remembered as long as the split is there.
        """
        found, backbone = self._known.get(split), self.backbone
        if found is None:
            if backbone is None:
                found = self.file.of(split.image_names)
            elif self.images.frozen:
                found = compute_features(
                    split,
                    backbone,
                    cache=self.cache,
                    device=self.device,
                    workers=self.workers,
                    read_only=self.read_only,
                )
            else:
                found = TransformedImages(split.open_image, backbone.transform)
            self._known[split] = found
        return found

    def batches(self, split: CaptionedImages) -> Iterator[Tensor]:
        """The plain views of a split's images in order, (up to 256, ...) float32 at a time."""
        pictures, keys = self.pictures(split), blocks(len(split.image_names), 256)
        if isinstance(pictures, ImageFeatures):
            return map(pictures, keys)
        return EpochLoader(pictures, workers=self.workers).epoch(keys)

    def of_pictures(self, pictures: Sequence[Path | str | Image.Image]) -> Iterator[Tensor]:
        """What the trained networks take of any pictures, opened `PICTURES` at a time.

        Args:
            pictures: paths, or opened pictures.

        Yields:
            (up to `PICTURES`, ...) float32 pixels, or features on the CPU.

        Raises:
            ValueError: no pictures; a file that is missing or no picture; features came from a
                file, so that nothing here can see a picture.

        """
        if len(pictures) == 0:
            raise ValueError("encode_images: expected a list of one picture or more, got none")
        if self.backbone is None:
            raise ValueError(
                "encode_images: expected a run with a backbone, this one was trained on features "
                f"from {self.images.features}; use encode_features"
            )

        def opened(row: int) -> Image.Image:
            one = pictures[row]
            named = isinstance(one, str | Path)
            return open_picture(one, where="" if named else f"encode_images: picture {row}")

        seen = TransformedImages(opened, self.backbone.transform)
        for rows in blocks(len(pictures), PICTURES):
            batch = seen(rows)
            if self.images.frozen:
                with evaluating(self.backbone):
                    batch = self.backbone(batch.to(device_of(self.backbone))).cpu()
            yield batch
