"""Features of a frozen image backbone: computed once and cached, or read from a file.

A frozen backbone gives the same feature for a picture in every epoch, so each goes through it once.
The augmentation remains: there is a row for the picture and one for its mirror image, and training
draws one.
"""

from __future__ import annotations

import dataclasses
import hashlib
import sys
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from kit.checks import check_matrices, check_unique, first_few
from kit.data.epochs import EpochLoader, blocks
from kit.data.images import TransformedImages
from kit.data.pairs import CaptionedImages
from kit.encoders.image import ImageBackbone
from kit.files import atomic
from kit.training import device_of, evaluating

PICTURES = 64  # go through a frozen backbone at a time


@dataclass(frozen=True, eq=False)
class ImageFeatures:
    """Features in place of pixels for `TrainingPairs`: row i belongs to image i of the split.

    Where only one view is given, the mirrored picture is answered with the plain one's features.

    Args:
        plain: (images, dim) float32, or float16, which is kept so and raised batch by batch.
        flipped: the same of the mirrored pictures, or None.
        rows: (images,) int64, for each image its row, where `plain` is of other images too.

    Raises:
        ValueError: another shape or type, views that disagree in shape, values that are not finite.

    """

    plain: Tensor
    flipped: Tensor | None = None
    rows: Tensor | None = None
    in_memory: ClassVar[bool] = True

    def __post_init__(self) -> None:
        rows = torch.arange(len(self.plain)) if self.rows is None else self.rows
        views = {"plain": self.plain}
        if self.flipped is not None:
            views["flipped"] = self.flipped
        check_matrices("ImageFeatures", **views)
        if self.plain.dtype not in (torch.float32, torch.float16):
            raise ValueError(
                f"ImageFeatures: plain must be float32 or float16, got {self.plain.dtype}"
            )
        for name, view in views.items():
            finite = torch.cat([view[part].isfinite().all(1) for part in rows.split(4096)])
            if not finite.all():
                bad = (~finite).nonzero().flatten().tolist()
                raise ValueError(
                    f"ImageFeatures: {name} must be finite, {len(bad)} rows are not: "
                    f"{first_few(bad)}"
                )

    def __len__(self) -> int:
        return len(self.plain if self.rows is None else self.rows)

    def __call__(
        self, rows: Sequence[int] | NDArray[np.int64], flipped: NDArray[np.bool_] | None = None
    ) -> Tensor:
        """Features (rows, dim) float32 of images, of their mirrored view where `flipped`."""
        index = torch.as_tensor(rows)
        if self.rows is not None:
            index = self.rows[index]
        features = self.plain.index_select(0, index)
        if flipped is not None and self.flipped is not None:
            mirrored = torch.from_numpy(flipped)
            features[mirrored] = self.flipped.index_select(0, index[mirrored])
        return features.float()


def compute_features(
    split: CaptionedImages,
    backbone: ImageBackbone,
    *,
    cache: str | Path | None,
    device: str = "cpu",
    workers: int = 0,
) -> ImageFeatures:
    """The views of every picture of a split through a backbone in eval mode, or from the cache.

    Each picture is opened once for both views, and not mirrored where the split must not be.
    The cached file's name holds a hash of all that the features depend on: the backbone's name and
    weights, image size and normalisation, the image names in their order, and the pixels
    (`CaptionedImages.content_hash`). A stale cache can therefore never be used.

    Args:
        split: whose pictures.
        backbone: left on the device and in the mode it came in.
        cache: a folder, made if needed; the file is a safetensors file with `plain` and `flipped`.
            None keeps nothing.
        device: where to compute, such as ``"cuda"``. The result is on the CPU.
        workers: processes that open pictures.

    Raises:
        ValueError: a picture that cannot be opened, features that are not finite, a damaged cache
            file.

    """
    if cache is None:
        return _through(split, backbone, device, workers)
    key = _fingerprint(split, backbone)
    path = Path(cache) / f"{split.name}_{backbone.name}_{key}.safetensors"
    if path.is_file():
        try:
            return ImageFeatures(**load_file(path))
        except (SafetensorError, TypeError) as error:
            raise ValueError(
                f"compute_features: {path}: damaged cache file, delete it ({error})"
            ) from error
    features = _through(split, backbone, device, workers)
    flipped = {} if features.flipped is None else {"flipped": features.flipped}
    with atomic(path) as part:
        save_file({"plain": features.plain, **flipped}, part)
    return features


@dataclass(frozen=True, eq=False)
class FeatureFile:
    """One view of features from an ``.npz`` file, read once for all splits.

    Attributes:
        path: the file.
        features: (n, dim) float32, or float16 as it is in the file.
        row: the row of each image name.

    """

    path: Path
    features: Tensor
    row: Mapping[str, int]

    def of(self, image_names: Sequence[str]) -> ImageFeatures:
        """The features of a split's images, in their order, without another copy.

        Raises:
            ValueError: names without features, counted; values that are not finite.

        """
        unknown = [name for name in image_names if name not in self.row]
        if unknown:
            raise ValueError(
                f"read_features: {self.path}: {len(unknown)} of {len(image_names)} images have no "
                f"features: {first_few(unknown)}; the file has {first_few(list(self.row), most=2)}"
            )
        rows = torch.tensor([self.row[name] for name in image_names])
        return ImageFeatures(self.features, rows=rows)


def read_features(path: str | Path) -> FeatureFile:
    """Read features that somebody computed.

    Args:
        path: an ``.npz`` file with the arrays `files`, n unique image names, and `feat`, (n, dim)
            float of any precision.

    Raises:
        ValueError: no such file or no ``.npz``; an array missing or of the wrong shape or type; a
            name twice.

    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            arrays = np.load(file, allow_pickle=False)
            found = list(arrays) if isinstance(arrays, Mapping) else ["a single array"]
            if not {"files", "feat"} <= set(found):
                raise ValueError(
                    f"expected the arrays files and feat, got {first_few(found) or 'none'}"
                )
            files, feat = arrays["files"], arrays["feat"]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"read_features: {path}: no .npz file of features: {error}") from error
    named = files.ndim == 1 and files.dtype.kind in "US"
    if not named or feat.ndim != 2 or len(feat) != len(files) or feat.dtype.kind != "f":
        raise ValueError(
            f"read_features: {path}: expected n names in files and (n, dim) float in feat, got "
            f"{files.shape} {files.dtype} and {feat.shape} {feat.dtype}"
        )
    names = files.astype(str).tolist()
    check_unique(f"read_features: {path}", files=names)
    row = {name: index for index, name in enumerate(names)}
    kept = np.float16 if feat.dtype.itemsize == 2 else np.float32
    return FeatureFile(path, torch.from_numpy(feat.astype(kept, copy=False)), row)


def _fingerprint(split: CaptionedImages, backbone: ImageBackbone) -> str:
    """A hash of all that the features depend on."""
    digest = hashlib.sha256()
    facts = (backbone.name, dataclasses.astuple(backbone.transform), split.mirrored)
    digest.update(repr((facts, split.content_hash())).encode())
    for key, tensor in backbone.network.state_dict().items():
        digest.update(repr((key, tensor.dtype, tuple(tensor.shape))).encode())
        digest.update(tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    for name in split.image_names:
        digest.update(repr(name).encode())
    return digest.hexdigest()[:32]


def _through(
    split: CaptionedImages, backbone: ImageBackbone, device: str, workers: int
) -> ImageFeatures:
    """All pictures of a split through a backbone, each opened once."""
    from tqdm import tqdm

    images, home = len(split.image_names), device_of(backbone)
    views = [torch.empty(images, backbone.feature_dim) for _ in range(1 + split.mirrored)]
    keys = blocks(images, PICTURES)
    opened = TransformedImages(split.open_image, backbone.transform)
    loader = EpochLoader(opened, workers=workers, pin=torch.device(device).type == "cuda")
    try:
        with evaluating(backbone.to(device)):
            batches = tqdm(
                loader.epoch(keys),
                desc=f"{backbone.name}, {split.name}",
                total=len(keys),
                unit="batch",
                delay=2,  # seconds: what is done by then needs no bar
                file=sys.stdout,  # a notebook shows stderr as if something were wrong
            )
            for rows, batch in zip(keys, batches, strict=True):
                pixels = batch.to(device, non_blocking=True)
                for view, seen in zip(views, (pixels, pixels.flip(-1)), strict=False):
                    view[rows.start : rows.stop] = backbone(seen).float().cpu()
    finally:
        backbone.to(home)
    return ImageFeatures(*views)
