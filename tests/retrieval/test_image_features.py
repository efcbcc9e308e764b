"""Frozen features: right rows and views, a cache that is never stale, files that are wrong."""

from __future__ import annotations

import dataclasses
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from kit.data.pairs import CaptionedImages
from kit.encoders.image import ImageBackbone, ImageTransform, Recipe
from kit.retrieval.images import FeatureFile, ImageFeatures, compute_features

TRANSFORM = ImageTransform(4, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


class Pictures:
    """Small random pictures that count how often they are opened."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self.opened = 0

    def __call__(self, index: int) -> Image.Image:
        self.opened += 1
        pixels = np.random.default_rng((self.seed, index)).integers(0, 256, (6, 5, 3))
        return Image.fromarray(pixels.astype(np.uint8))


def split(names: str = "abcde", pictures: Pictures | None = None) -> CaptionedImages:
    count = len(names)
    return CaptionedImages(
        "train", list(names), range(count), ["x"] * count, range(count), pictures or Pictures()
    )


def backbone(
    *, seed: int = 0, name: str = "tiny", transform: ImageTransform = TRANSFORM
) -> ImageBackbone:
    torch.manual_seed(seed)
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Flatten(), nn.Linear(16, 7)
    )
    return ImageBackbone(name, Recipe(7, transform, lambda: network, None))


def computed(tmp_path: Path, **changes: object) -> ImageFeatures:
    arguments = {"split": split(), "backbone": backbone(), "cache": tmp_path}
    arguments.update(changes)
    return compute_features(arguments.pop("split"), arguments.pop("backbone"), **arguments)


def by_hand(part: CaptionedImages, network: ImageBackbone) -> tuple[Tensor, Tensor]:
    """One picture at a time, mirrored as a picture and not as a tensor."""
    network.eval()
    rows: tuple[list[Tensor], list[Tensor]] = ([], [])
    with torch.no_grad():
        for index in range(len(part.image_names)):
            image = part.open_image(index)
            mirror = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            for view, row in zip((image, mirror), rows, strict=True):
                row.append(network(network.transform(view)[None])[0])
    return torch.stack(rows[0]), torch.stack(rows[1])


@pytest.mark.parametrize("batch_size", [1, 2, 64])
def test_both_views_of_every_picture_in_order(
    tmp_path: Path, batch_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kit.retrieval.images.PICTURES", batch_size)
    features = computed(tmp_path)
    plain, flipped = by_hand(split(), backbone())
    assert features.views.shape == (2, 5, 7)
    assert features.views.dtype == torch.float32
    assert torch.allclose(features.views[0], plain, atol=1e-6)
    assert torch.allclose(features.views[1], flipped, atol=0.02)  # whole grey levels on resizing
    assert not torch.allclose(features.views[1], plain, atol=0.02)
    assert not features.views.requires_grad


def test_the_backbone_is_left_as_it_was(tmp_path: Path) -> None:
    network = backbone().train()
    network.network[1].eval()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    computed(tmp_path, backbone=network)
    assert network.training
    assert network.network[0].training
    assert not network.network[1].training
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_a_second_call_reads_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = computed(tmp_path)
    assert [file.suffix for file in tmp_path.iterdir()] == [".safetensors"]

    def no_more(*_: object) -> Tensor:
        raise AssertionError("computed again")

    monkeypatch.setattr(ImageBackbone, "forward", no_more)
    second = computed(tmp_path)
    assert torch.equal(first.views, second.views)


@pytest.mark.parametrize(
    "change",
    [
        {"backbone": backbone(seed=1)},
        {"backbone": backbone(name="other")},
        {"backbone": backbone(transform=ImageTransform(4, (0.1, 0.0, 0.0), (1.0, 1.0, 1.0)))},
        {"backbone": backbone(transform=ImageTransform(4, (0.0, 0.0, 0.0), (1.0, 2.0, 1.0)))},
        {"split": split("abced")},
        {"split": split("abcd")},
        {"split": split(pictures=Pictures(seed=1))},
    ],
    ids=["weights", "name", "mean", "std", "order", "fewer", "pixels"],
)
def test_a_stale_cache_is_never_used(tmp_path: Path, change: dict[str, object]) -> None:
    computed(tmp_path)
    features = computed(tmp_path, **change)
    assert len(list(tmp_path.iterdir())) == 2
    plain, _ = by_hand(change.get("split", split()), change.get("backbone", backbone()))
    assert torch.allclose(features.views[0], plain, atol=1e-6)


def test_a_picture_is_opened_once_for_both_views_and_its_hash(tmp_path: Path) -> None:
    pictures = Pictures()
    part = split(pictures=pictures)
    computed(tmp_path, split=part)
    computed(tmp_path, split=part)
    assert pictures.opened == 2 * 5  # a plain callable has to be opened for its hash too, once
    pictures.content_hash = lambda: "known"  # type: ignore[attr-defined]
    part = split(pictures=pictures)
    for _ in range(2):
        computed(tmp_path, split=part)
    assert pictures.opened == 3 * 5


def test_processes_and_no_cache_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kit.retrieval.images.PICTURES", 2)
    expected = computed(tmp_path)
    for workers in (0, 2):
        features = computed(tmp_path, cache=None, workers=workers)
        assert torch.equal(features.views, expected.views)
    assert len(list(tmp_path.iterdir())) == 1


def test_what_must_not_be_mirrored_is_not(tmp_path: Path) -> None:
    part = dataclasses.replace(split(), mirrored=False)
    for _ in range(2):
        features = computed(tmp_path, split=part)
        assert len(features.views) == 1
    assert torch.equal(features.views[0], computed(tmp_path).views[0])


def test_one_number_of_one_buffer_changes_the_key(tmp_path: Path) -> None:
    computed(tmp_path)
    network = backbone()
    network.network[1].running_mean[2] += 1e-6
    computed(tmp_path, backbone=network)
    assert len(list(tmp_path.iterdir())) == 2


def test_an_interrupted_computation_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(tensors: object, path: Path, **_: object) -> None:
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr("kit.retrieval.images.save_file", half)
    with pytest.raises(KeyboardInterrupt):
        computed(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_cache_file_is_named(tmp_path: Path) -> None:
    computed(tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_bytes(b"damaged")
    with pytest.raises(
        ValueError, match=rf"^compute_features: .*{file.name} is damaged, delete it"
    ):
        computed(tmp_path)


def test_features_that_are_not_finite_are_not_cached(tmp_path: Path) -> None:
    network = backbone()
    with torch.no_grad():
        network.network[4].bias[0] = torch.nan
    with pytest.raises(ValueError, match="ImageFeatures: features of 5 images are not finite"):
        computed(tmp_path, backbone=network)
    assert list(tmp_path.iterdir()) == []


def test_the_view_that_is_asked_for_is_given() -> None:
    plain = torch.arange(6.0).view(3, 2)
    features = ImageFeatures(torch.stack([plain, -plain]))
    assert features([1, 0]).tolist() == [[2, 3], [0, 1]]
    rows = np.array([1, 1, 2])
    assert features(rows, np.array([True, False, True])).tolist() == [[-2, -3], [2, 3], [-4, -5]]
    assert rows.tolist() == [1, 1, 2]  # as they were
    assert features.in_memory


def test_one_view_answers_for_both() -> None:
    features = ImageFeatures(torch.arange(6.0).view(1, 3, 2))
    assert features([2], np.array([True])).tolist() == [[4, 5]]


@pytest.mark.parametrize(
    "views",
    [torch.zeros(3, 2), torch.zeros(3, 4, 2), torch.zeros(1, 0, 2), torch.zeros(1, 3, 2).double()],
)
def test_impossible_features_are_refused(views: Tensor) -> None:
    got = re.escape(f"{tuple(views.shape)} {views.dtype}")
    with pytest.raises(ValueError, match=rf"^ImageFeatures: expected \(1 or 2 views, .*got {got}"):
        ImageFeatures(views)


@pytest.mark.parametrize("view", [0, 1])
def test_features_that_are_not_finite_are_refused(view: int) -> None:
    views = torch.zeros(2, 3, 1)
    views[view, 1] = torch.inf
    with pytest.raises(ValueError, match=r"^ImageFeatures: features of 1 images are not finite: 1"):
        ImageFeatures(views)


def saved(tmp_path: Path, **arrays: object) -> Path:
    path = tmp_path / "features.npz"
    np.savez(path, **arrays)
    return path


def test_rows_are_picked_and_ordered_by_name(tmp_path: Path) -> None:
    feat = np.arange(6, dtype=np.float16).reshape(3, 2)
    path = saved(tmp_path, files=np.array(["a", "b", "c"]), feat=feat)
    features = FeatureFile(path).of(["c", "a"])
    assert features.views.dtype == torch.float16  # held as they are, raised batch by batch
    assert features([0, 1]).dtype == torch.float32
    assert features([0, 1]).tolist() == [[4, 5], [0, 1]]
    assert len(features.views) == 1


def test_a_file_is_read_once_and_held_once_for_all_splits(tmp_path: Path) -> None:
    feat = np.arange(6, dtype=np.float32).reshape(3, 2)
    file = FeatureFile(saved(tmp_path, files=np.array(["a", "b", "c"]), feat=feat))
    one, other = file.of(["c", "b"]), file.of(["a"])
    assert one.views.data_ptr() == other.views.data_ptr() == file.features.data_ptr()
    assert torch.equal(other([0]), torch.tensor([[0.0, 1.0]]))


@pytest.mark.parametrize("kind", [">f4", ">f2", "f8", "g"])
def test_features_of_any_precision(tmp_path: Path, kind: str) -> None:
    feat = np.arange(6).reshape(3, 2).astype(kind)
    path = saved(tmp_path, files=np.array(["a", "b", "c"]), feat=feat)
    assert FeatureFile(path).of(["b"])([0]).tolist() == [[2, 3]]


def test_rows_of_other_images_may_be_what_they_like(tmp_path: Path) -> None:
    feat = np.array([[np.nan], [1.0]], np.float32)
    path = saved(tmp_path, files=np.array(["other", "mine"]), feat=feat)
    assert FeatureFile(path).of(["mine"])([0]).item() == 1


def test_names_without_features_are_counted_and_named(tmp_path: Path) -> None:
    path = saved(tmp_path, files=np.array(["a.png", "b.png"]), feat=np.zeros((2, 3)))
    with pytest.raises(
        ValueError,
        match=r"features\.npz: 2 of 3 images have no features: a\.jpg, b\.jpg; "
        r"the file has a\.png, b\.png",
    ):
        FeatureFile(path).of(["a.jpg", "b.jpg", "a.png"])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            {"feat": np.zeros((2, 3))},
            "expected an .npz file with files and feat, got 'files is not a file in the archive",
        ),
        ({}, "expected an .npz file with files and feat, got 'files is not a file"),
        ({"files": np.array(["a"]), "feat": np.zeros((2, 3))}, r"expected .* and \(2, 3\) float64"),
        (
            {"files": np.array(["a"]), "feat": np.zeros(1)},
            r"n, dim\) float in feat, .* \(1,\) float",
        ),
        ({"files": np.array(["a"]), "feat": np.zeros((1, 3), int)}, "float in feat, .* int64"),
        (
            {"files": np.arange(2), "feat": np.zeros((2, 3))},
            r"n names in files .* \(2,\) int64 and",
        ),
        (
            {"files": np.array(["a", "a"]), "feat": np.zeros((2, 3))},
            "files must be unique, got twice: a",
        ),
        (
            {"files": np.array(["a"], dtype=object), "feat": np.zeros((1, 3))},
            r"with files and feat, got Object arrays cannot be loaded",
        ),
        ({"files": np.array(["a"]), "feat": np.full((1, 3), np.nan)}, "1 images are not finite"),
    ],
)
def test_a_wrong_features_file_is_named(
    tmp_path: Path, arrays: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        FeatureFile(saved(tmp_path, **arrays)).of(["a"])


@pytest.mark.parametrize("content", [b"", b"no features", b"PK\x03\x04 broken"])
def test_a_file_that_is_no_npz_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "features.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"^FeatureFile: .*features\.npz: expected an \.npz file"):
        FeatureFile(path).of(["a"])


def test_a_single_array_and_a_missing_file_are_named(tmp_path: Path) -> None:
    np.save(tmp_path / "array.npy", np.zeros((2, 3)))
    for name, reason in (("array.npy", "only integers"), ("gone.npz", "No such file")):
        with pytest.raises(
            ValueError, match=rf"^FeatureFile: .*{name}: expected an \.npz file .* got .*{reason}"
        ):
            FeatureFile(tmp_path / name).of(["a"])


def npy(header: str, content: bytes = b"") -> bytes:
    """An array's file with a header of one's own."""
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + content


def archive(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as inside:
        for name, content in members.items():
            inside.writestr(f"{name}.npy", content)
    return path


HUGE = "{'descr': '<f4', 'fortran_order': False, 'shape': (10000000000000, 100)}"
WIDE = "{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}"
FILES_HEADER = "{'descr': '|S2', 'fortran_order': False, 'shape': (1,)}"


@pytest.mark.parametrize(
    "members",
    [
        {"files": npy(FILES_HEADER, b"a1"), "feat": npy(HUGE)},
        {"files": npy(FILES_HEADER, b"a1"), "feat": npy(WIDE)},
        {"files": npy(FILES_HEADER, b"\xc3\xa4"), "feat": npy(HUGE.replace("10000000000000", "0"))},
        {"files": npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", b"cos\nsystem\n")},
        {"files": npy("__import__('os')"), "feat": b""},
        {"files": npy("{" * 5000), "feat": b""},
        {"files": b"<html>", "feat": b"<html>"},
    ],
    ids=["memory", "overflow", "letters", "pickle", "code", "nested", "page"],
)
def test_an_archive_of_wrong_arrays_is_named(tmp_path: Path, members: dict[str, bytes]) -> None:
    path = archive(tmp_path / "features.npz", **members)
    with pytest.raises(ValueError, match=r"^FeatureFile: .*features\.npz: expected an \.npz file"):
        FeatureFile(path)


def test_any_damaged_byte_of_an_archive_is_named_or_harmless(tmp_path: Path) -> None:
    path = tmp_path / "features.npz"
    feat = np.random.default_rng(0).normal(size=(9, 5))
    np.savez_compressed(path, files=np.array(list("abcdefghi")), feat=feat)
    whole = path.read_bytes()
    for at in range(0, len(whole), 7):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 16]) + whole[at + 1 :])
        message = ""
        try:
            assert torch.equal(FeatureFile(path).features, torch.from_numpy(feat).float())
        except ValueError as error:
            message = str(error)
        assert not message or message.startswith(f"FeatureFile: {path}: expected an .npz file"), at
    for length in range(0, len(whole), 31):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"^FeatureFile: .*features\.npz: expected"):
            FeatureFile(path)


def test_values_beyond_float32_are_named_for_what_they_are(tmp_path: Path) -> None:
    path = saved(tmp_path, files=np.array(["a"]), feat=np.array([[1e300, 1.0]]))
    with pytest.raises(ValueError, match=r"features\.npz: feat has values beyond the range of fl"):
        FeatureFile(path)


@pytest.mark.parametrize("wrong", [None, 5, b"a.npz", ["a.npz"]])
def test_a_features_file_is_a_path(wrong: object) -> None:
    with pytest.raises(ValueError, match=r"^FeatureFile: path must be a path, got "):
        FeatureFile(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("damage", ["flipped", "swapped", "without hash", "truncated"])
def test_a_cache_with_other_values_is_named(tmp_path: Path, damage: str) -> None:
    computed(tmp_path)
    (file,) = tmp_path.iterdir()
    content = bytearray(file.read_bytes())
    content[-3] ^= 1
    views = load_file(file)["views"]
    other = {"flipped": bytes(content), "truncated": bytes(content[:-8])}.get(damage)
    if other is not None:
        file.write_bytes(other)
    else:
        save_file({"views": views.flip(1).contiguous() if damage == "swapped" else views}, file)
    with pytest.raises(
        ValueError, match=rf"^compute_features: .*{file.name} is damaged, delete it"
    ):
        computed(tmp_path)


def test_a_cache_that_is_only_read_is_never_written_to(tmp_path: Path) -> None:
    first = computed(tmp_path, read_only=True)
    assert list(tmp_path.iterdir()) == []
    computed(tmp_path)
    (file,) = tmp_path.iterdir()
    before = file.stat()
    assert torch.equal(computed(tmp_path, read_only=True).views, first.views)
    assert file.stat() == before
