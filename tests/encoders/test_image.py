"""Backbones: what goes in and comes out, which weights they take, and what training may move."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from kit.encoders.image import BACKBONES, ImageBackbone, image_backbone, small_cnn


def on_meta(name: str) -> ImageBackbone:
    """A backbone without memory: shapes are computed, numbers are not."""
    with torch.device("meta"):
        return image_backbone(name).eval()


def folded_mobilenet_file(folder: Path) -> Path:
    """A MobileNet file as published: batch norm folded, so that its statistics are the identity."""
    torch.manual_seed(0)
    path = folder / "mobilenet.safetensors"
    save_file(image_backbone("mobilenet_v1").network.state_dict(), path)
    return path


@pytest.mark.parametrize(
    ("name", "feature_dim", "size"),
    [
        ("vgg16", 4096, 224),
        ("vgg19", 4096, 224),
        ("resnet50", 2048, 224),
        ("resnet152", 2048, 224),
        ("mobilenet_v1", 1024, 224),
        ("mobilenet_v1_timm", 1024, 224),
        ("small_cnn", 256, 64),
    ],
)
def test_pictures_in_features_out(name: str, feature_dim: int, size: int) -> None:
    backbone = on_meta(name)
    assert (backbone.name, backbone.feature_dim, backbone.transform.size) == (
        name,
        feature_dim,
        size,
    )
    images = torch.zeros(2, 3, size, size, device="meta")
    assert backbone(images).shape == (2, feature_dim)


def test_every_backbone_is_tested_above() -> None:
    marks = test_pictures_in_features_out.pytestmark
    assert [row[0] for row in marks[0].args[1]] == list(BACKBONES)


@pytest.mark.parametrize(("name", "layers"), [("vgg16", 13 + 2), ("vgg19", 16 + 2)])
def test_vgg_ends_at_fc7_after_its_relu(name: str, layers: int) -> None:
    network = on_meta(name).network
    assert [type(layer).__name__ for layer in network.classifier] == [
        "Linear",
        "ReLU",
        "Dropout",
        "Linear",
        "ReLU",
        "Dropout",
    ]
    weighted = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(weighted) == layers


@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v1_timm"])
def test_mobilenet_takes_minus_one_to_one(name: str) -> None:
    transform = on_meta(name).transform
    assert transform.mean == transform.std == (0.5, 0.5, 0.5)


@pytest.mark.parametrize("name", ["vgg16", "resnet50", "resnet152"])
def test_torchvision_networks_take_imagenet_normalisation(name: str) -> None:
    transform = on_meta(name).transform
    assert transform.mean == (0.485, 0.456, 0.406)
    assert transform.std == (0.229, 0.224, 0.225)


def test_mobilenet_pads_as_tensorflow_does() -> None:
    """With stride 2 on an even size TensorFlow pads one row at the end and none at the start."""
    torch.manual_seed(0)
    backbone = image_backbone("mobilenet_v1").eval()
    stem = backbone.network.conv_stem
    images = torch.rand(1, 3, 32, 32)
    by_hand = F.conv2d(F.pad(images, (0, 1, 0, 1)), stem.weight, stride=2)
    assert torch.allclose(stem(images), by_hand, atol=1e-6)
    symmetric = F.conv2d(images, stem.weight, stride=2, padding=1)
    assert not torch.allclose(stem(images), symmetric, atol=1e-3)


def test_weights_come_from_a_file_and_heads_are_left_over(tmp_path: Path) -> None:
    torch.manual_seed(1)
    given = image_backbone("small_cnn").network.state_dict()
    path = tmp_path / "small.pth"
    torch.save({"state_dict": {**given, "fc.weight": torch.zeros(10, 256)}}, path)
    backbone = image_backbone("small_cnn", weights=path)
    for key, value in backbone.network.state_dict().items():
        assert torch.equal(value, given[key]), key
    assert backbone.loaded is not None
    assert backbone.loaded.source == f"small_cnn from {path}"
    assert set(backbone.loaded.loaded) == set(given)
    assert backbone.loaded.unexpected == ("fc.weight",)
    assert image_backbone("small_cnn").loaded is None


def test_a_torchvision_file_loads_with_its_classifier_left_over(tmp_path: Path) -> None:
    from torchvision.models import resnet50

    given = resnet50(weights=None).state_dict()
    save_file(given, tmp_path / "resnet50.safetensors")
    backbone = image_backbone("resnet50", weights=tmp_path / "resnet50.safetensors")
    assert backbone.loaded is not None
    assert set(backbone.loaded.unexpected) == {"fc.weight", "fc.bias"}
    assert torch.equal(
        backbone.network.state_dict()["layer4.2.conv3.weight"], given["layer4.2.conv3.weight"]
    )


def test_library_weights_are_the_librarys(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def download(url: str, **_: object) -> dict[str, Tensor]:
        from torchvision.models import resnet50

        asked.append(url)
        return {key: torch.full_like(value, 2) for key, value in resnet50().state_dict().items()}

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", download)
    backbone = image_backbone("resnet50", weights="library")
    assert asked == ["https://download.pytorch.org/models/resnet50-0676ba61.pth"]
    assert (backbone.network.state_dict()["conv1.weight"] == 2).all()
    assert backbone.loaded is not None
    assert backbone.loaded.source == "resnet50 from library"
    assert backbone.loaded.unexpected == ("fc.weight", "fc.bias")


@pytest.mark.parametrize("name", ["mobilenet_v1", "small_cnn"])
def test_no_library_weights_is_said(name: str) -> None:
    with pytest.raises(ValueError, match=f"image_backbone: {name} has no library weights"):
        image_backbone(name, weights="library")


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"^image_backbone: name must be 'vgg16' or .*'small_cnn', got 'vgg'"
    ):
        image_backbone("vgg")


def test_a_wrong_weights_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    torch.save({"conv.weight": torch.zeros(2)}, path)
    with pytest.raises(
        ValueError,
        match=r"load_weights: small_cnn from .*other\.pth: expected all 31 tensors of "
        r"the network, 26 are missing: 0\.weight, 1\.weight",
    ):
        image_backbone("small_cnn", weights=path)
    path.write_text("no weights")
    with pytest.raises(ValueError, match=r"read_weights: .*other\.pth"):
        image_backbone("small_cnn", weights=path)


@pytest.mark.parametrize(
    "images", [torch.zeros(3, 8, 8), torch.zeros(2, 1, 8, 8), torch.zeros(2, 3, 8, 8).byte()]
)
def test_what_is_no_batch_of_pictures_is_refused(images: Tensor) -> None:
    with pytest.raises(
        ValueError, match=r"^ImageBackbone: expected \(batch, 3, height, width\) float, got"
    ):
        image_backbone("small_cnn")(images)


def test_a_frozen_backbone_stays_as_it_is(tmp_path: Path) -> None:
    backbone = image_backbone("mobilenet_v1", frozen=True).train()
    assert not any(parameter.requires_grad for parameter in backbone.parameters())
    assert not any(module.training for module in backbone.modules())
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    assert not backbone(torch.rand(2, 3, 32, 32)).requires_grad
    assert all(torch.equal(value, before[key]) for key, value in backbone.state_dict().items())


def test_folded_batch_norm_stays_in_eval_mode_while_the_rest_is_trained(tmp_path: Path) -> None:
    backbone = image_backbone("mobilenet_v1", weights=folded_mobilenet_file(tmp_path))
    assert backbone.batch_norm_folded
    images = torch.rand(4, 3, 32, 32)
    in_evaluation = backbone.eval()(images)
    backbone.train()
    norms = [module for module in backbone.modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(norms) == 27
    assert not any(norm.training for norm in norms)
    assert backbone.training
    assert backbone.network.training
    assert torch.equal(backbone(images), in_evaluation)
    assert all((norm.running_mean == 0).all() for norm in norms)
    backbone(images).sum().backward()
    assert all(parameter.grad is not None for parameter in backbone.parameters())


def test_batch_norm_that_is_not_folded_is_trained(tmp_path: Path) -> None:
    from_scratch = image_backbone("mobilenet_v1")
    state = from_scratch.network.state_dict()
    state["bn1.running_mean"] += 0.1
    torch.save(state, tmp_path / "unfolded.pth")
    for backbone in (
        from_scratch,
        image_backbone("mobilenet_v1", weights=tmp_path / "unfolded.pth"),
    ):
        assert not backbone.batch_norm_folded
        assert all(module.training for module in backbone.modules())


def test_small_cnn_tells_untrained_pictures_apart_and_sees_each_alone_in_evaluation() -> None:
    torch.manual_seed(0)
    backbone = image_backbone("small_cnn")
    images = torch.rand(16, 3, 64, 64)
    rows = torch.nn.functional.normalize(backbone(images))
    alike = (rows.sum(0).square().sum() - 16) / (16 * 15)
    assert alike < 0.05  # the mean cosine of two different pictures: nothing is shared by all
    features = backbone.eval()(images)
    assert torch.allclose(backbone(images[3:4]), features[3:4], atol=1e-6)
    assert backbone(torch.rand(1, 3, 96, 80)).shape == (1, 256)


def test_small_cnn_learns_places() -> None:
    """A white square left or right: the same square, so that only its place tells."""
    torch.manual_seed(0)
    network = nn.Sequential(small_cnn(), nn.Linear(256, 2))
    images, sides = torch.zeros(32, 3, 64, 64), torch.arange(32) % 2
    for image, side, row in zip(images, sides, torch.randint(0, 52, (32,)), strict=True):
        column = int(torch.randint(0, 20, ())) + 32 * int(side)
        image[:, row : row + 12, column : column + 12] = 1
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    for _ in range(20):
        loss = F.cross_entropy(network(images), sides)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert (network(images).argmax(1) == sides).float().mean() > 0.95
