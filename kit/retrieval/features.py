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
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from kit.checks import some
from kit.data.pairs import CaptionedImages
from kit.encoders.image import ImageBackbone
from kit.files import atomic
from kit.training import evaluating


@dataclass(frozen=True, eq=False)
class ImageFeatures:
    """Features in place of pixels for `TrainingPairs`: row i belongs to image i of the split.

    Where only one view is given, the mirrored picture is answered with the plain one's features.

    Args:
        plain: (images, dim) float32.
        flipped: the same of the mirrored pictures, or None.

    Raises:
        ValueError: another shape or type, views that disagree in shape, values that are not finite.

    """

    plain: Tensor
    flipped: Tensor | None = None

    def __post_init__(self) -> None:
        for name, view in (("plain", self.plain), ("flipped", self.flipped)):
            if view is None:
                continue
            if view.ndim != 2 or 0 in view.shape or view.dtype != torch.float32:
                raise ValueError(
                    f"ImageFeatures: {name} must be (images, dim) float32, "
                    f"got {tuple(view.shape)} {view.dtype}"
                )
            bad = (~view.isfinite().all(dim=1)).nonzero().flatten().tolist()
            if bad:
                raise ValueError(
                    f"ImageFeatures: {name} must be finite, {len(bad)} rows are not: {some(bad)}"
                )
        if self.flipped is not None and self.flipped.shape != self.plain.shape:
            raise ValueError(
                f"ImageFeatures: plain {tuple(self.plain.shape)} and flipped "
                f"{tuple(self.flipped.shape)} must have the same shape"
            )

    def __len__(self) -> int:
        return len(self.plain)

    @property
    def feature_dim(self) -> int:
        """Width of a feature."""
        return self.plain.shape[1]

    def __call__(self, index: int, *, flipped: bool) -> Tensor:
        """The feature (dim,) of image `index`, of its mirrored view if asked for and there."""
        return (self.flipped if flipped and self.flipped is not None else self.plain)[index]


def compute_features(
    split: CaptionedImages,
    backbone: ImageBackbone,
    *,
    cache: str | Path,
    batch_size: int = 64,
    device: str = "cpu",
    progress: bool = True,
) -> ImageFeatures:
    """Both views of every picture of a split through a backbone in eval mode, or from the cache.

    The cached file's name holds a hash of all that the features depend on: the backbone's name and
    weights, image size and normalisation, the image names in their order, and the pixels
    themselves. A stale cache can therefore never be used. Reading every picture for it costs some
    seconds per ten thousand, little beside any backbone.

    Args:
        split: whose pictures.
        backbone: left on the device and in the mode it came in.
        cache: a folder, made if needed; the file is a safetensors file with `plain` and `flipped`.
        batch_size: pictures at a time.
        device: where to compute, such as ``"cuda"``. The result is on the CPU.
        progress: whether to show a progress bar.

    Raises:
        ValueError: a batch size below 1, a picture that cannot be opened, features that are not
            finite, a damaged cache file.

    """
    if batch_size < 1:
        raise ValueError(f"compute_features: batch_size must be at least 1, got {batch_size}")
    key = _fingerprint(split, backbone)
    path = Path(cache) / f"{split.name}_{backbone.name}_{key}.safetensors"
    if path.is_file():
        try:
            return ImageFeatures(**load_file(path))
        except (SafetensorError, TypeError) as error:
            raise ValueError(
                f"compute_features: {path}: damaged cache file, delete it ({error})"
            ) from error
    plain, flipped = _through(split, backbone, batch_size, device, progress)
    features = ImageFeatures(plain, flipped)
    with atomic(path) as part:
        save_file({"plain": plain, "flipped": flipped}, part)
    return features


def load_features(path: str | Path, image_names: Sequence[str]) -> ImageFeatures:
    """One view of features from an ``.npz`` file, rows picked and ordered by image name.

    Args:
        path: has the arrays `files`, n unique image names, and `feat`, (n, dim) float of any
            precision. Rows of other images are not used.
        image_names: the names of a split, in its order.

    Raises:
        ValueError: no such file or no ``.npz``; an array missing or of the wrong shape or type; a
            name twice; names without features, counted; values that are not finite.

    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            arrays = np.load(file, allow_pickle=False)
            if not isinstance(arrays, Mapping):
                raise ValueError("it holds a single array")
            if not {"files", "feat"} <= set(arrays):
                raise ValueError(
                    f"expected the arrays files and feat, got {', '.join(arrays) or 'none'}"
                )
            files, feat = arrays["files"], arrays["feat"]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"load_features: {path}: no .npz file of features: {error}") from error
    if files.ndim != 1 or files.dtype.kind not in "US":
        raise ValueError(
            f"load_features: {path}: files must be a list of names, got {files.shape} {files.dtype}"
        )
    if feat.ndim != 2 or len(feat) != len(files) or feat.dtype.kind != "f":
        raise ValueError(
            f"load_features: {path}: feat must be ({len(files)}, dim) float as there are "
            f"{len(files)} files, got {feat.shape} {feat.dtype}"
        )
    names = files.astype(str).tolist()
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise ValueError(
            f"load_features: {path}: files has {len(twice)} names twice: {some(twice)}"
        )
    row = {name: index for index, name in enumerate(names)}
    unknown = [name for name in image_names if name not in row]
    if unknown:
        raise ValueError(
            f"load_features: {path}: {len(unknown)} of {len(image_names)} images have no features: "
            f"{some(unknown)}; the file has {some(names, most=2)}"
        )
    picked = feat[[row[name] for name in image_names]].astype(np.float32)
    return ImageFeatures(torch.from_numpy(picked))


def _fingerprint(split: CaptionedImages, backbone: ImageBackbone) -> str:
    """A hash of all that the features depend on."""
    digest = hashlib.sha256()
    digest.update(repr((backbone.name, dataclasses.astuple(backbone.transform))).encode())
    for key, tensor in backbone.network.state_dict().items():
        digest.update(repr((key, tensor.dtype, tuple(tensor.shape))).encode())
        digest.update(tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    for index, name in enumerate(split.image_names):
        image = split.open_image(index)
        digest.update(repr((name, image.mode, image.size)).encode())
        digest.update(image.tobytes())
    return digest.hexdigest()[:32]


def _through(
    split: CaptionedImages, backbone: ImageBackbone, batch_size: int, device: str, progress: bool
) -> tuple[Tensor, Tensor]:
    """Plain and flipped features, (images, dim) float32 each."""
    home = next(backbone.parameters()).device
    plain, flipped = [], []
    try:
        with evaluating(backbone.to(device)):
            for batch in _batches(split, backbone, batch_size, progress):
                images = batch.to(device)
                plain.append(backbone(images).float().cpu())
                flipped.append(backbone(images.flip(-1)).float().cpu())
    finally:
        backbone.to(home)
    return torch.cat(plain), torch.cat(flipped)


def _batches(
    split: CaptionedImages, backbone: ImageBackbone, batch_size: int, progress: bool
) -> Iterator[Tensor]:
    starts: Iterable[int] = range(0, len(split.image_names), batch_size)
    if progress:
        from tqdm import tqdm

        starts = tqdm(
            starts,
            desc=f"{backbone.name}, {split.name}",
            unit="batch",
            delay=2,  # seconds: what is done by then needs no bar
            file=sys.stdout,  # a notebook shows stderr as if something were wrong
        )
    for start in starts:
        stop = min(start + batch_size, len(split.image_names))
        yield torch.stack(
            [backbone.transform(split.open_image(index)) for index in range(start, stop)]
        )
