"""How images enter a run: what is asked for, and what of it decides a result."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from kit.encoders.image import image_backbone
from kit.retrieval.images import ImageInput, ImageSource
from kit.worlds.scenes import scenes

CORPUS = scenes(images=20, size=32)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"frozen": True}, r"ImageInput: a frozen small_cnn needs weights, got none"),
        (
            {"features": "f.npz", "frozen": True},
            r"ImageInput: features from a file take no weights",
        ),
        (
            {"features": "f.npz", "weights": "library"},
            r"got .*weights='library', .*features='f\.npz'",
        ),
    ],
)
def test_what_would_be_ignored_is_refused(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ImageInput(**asked)


def weights_file(path: Path) -> str:
    save_file(image_backbone("small_cnn").network.state_dict(), path)
    return str(path)


def test_facts_are_contents_and_not_paths(tmp_path: Path) -> None:
    one = weights_file(tmp_path / "one.safetensors")
    other = weights_file(tmp_path / "other.safetensors")
    (tmp_path / "copy.safetensors").write_bytes(Path(one).read_bytes())
    facts = [
        ImageInput(weights=weights).facts(CORPUS)
        for weights in (one, str(tmp_path / "copy.safetensors"), other, None)
    ]
    assert facts[0] == facts[1]
    assert len({str(fact) for fact in facts}) == 3
    assert str(tmp_path) not in str(facts)


def test_facts_change_with_the_pixels() -> None:
    brighter = scenes(images=20, size=32, noise=0.2)
    assert ImageInput().facts(CORPUS) == ImageInput().facts(scenes(images=20, size=32))
    assert ImageInput().facts(CORPUS)["pixels"] != ImageInput().facts(brighter)["pixels"]


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(ValueError, match=r"ImageInput: cannot read nowhere\.npz: No such file"):
        ImageInput(features="nowhere.npz").facts(CORPUS)


def rebuilt(source: ImageSource) -> ImageInput:
    """What a run folder keeps, through JSON and back."""
    return ImageInput(**json.loads(json.dumps(asdict(source.images.kept()))))


def test_what_is_kept_names_a_features_file_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = [name for split in CORPUS.splits for name in split.image_names]
    np.savez("f.npz", files=np.array(names), feat=np.ones((20, 3), np.float32))
    source = ImageSource(ImageInput(features="f.npz"), None)
    assert source.feature_dim == 3
    again = ImageSource(rebuilt(source), None)
    assert again.images == ImageInput(features=str(tmp_path / "f.npz"))
    monkeypatch.chdir("/")
    assert torch.equal(again.file.features, source.file.features)
    for each in (source, again):
        assert each.pictures(CORPUS.test).views.data_ptr() == each.file.features.data_ptr()
        assert torch.cat(list(each.batches(CORPUS.test))).shape == (2, 3)
        with pytest.raises(
            ValueError, match=r"encode_images: .* trained on features from .*f\.npz"
        ):
            next(each.of_pictures(["a.png"]))


def test_pixels_enter_through_the_backbones_transform() -> None:
    source = ImageSource(ImageInput(), None)
    pictures = source.pictures(CORPUS.test)
    assert pictures([0]).shape == (1, 3, 64, 64)
    assert source.trained is source.backbone
    assert source.feature_dim == 256
    assert rebuilt(source) == ImageInput()
    assert source.pictures(CORPUS.test) is pictures


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_are_all_images_in_order(workers: int) -> None:
    source = ImageSource(ImageInput(), None, workers=workers)
    whole = torch.cat(list(source.batches(CORPUS.train)))
    assert torch.equal(whole, source.pictures(CORPUS.train)(range(16)))


def test_a_frozen_source_is_rebuilt_from_what_is_kept(tmp_path: Path) -> None:
    weights = Path(weights_file(tmp_path / "one.safetensors"))
    elsewhere = tmp_path / "elsewhere"
    images = ImageInput(weights=str(weights), frozen=True, cache=str(elsewhere))
    source = ImageSource(images, elsewhere)
    expected = source.pictures(CORPUS.test)([0, 1])
    for path in elsewhere.iterdir():
        path.unlink()
    kept = rebuilt(source)
    assert kept == ImageInput(weights="backbone.safetensors", frozen=True)
    weights.replace(tmp_path / "backbone.safetensors")
    again = ImageSource(replace(kept, weights=str(tmp_path / "backbone.safetensors")), None)
    assert torch.equal(again.pictures(CORPUS.test)([0, 1]), expected)
    pictures = [CORPUS.test.open_image(index) for index in range(2)]
    torch.testing.assert_close(torch.cat(list(again.of_pictures(pictures))), expected)
    assert list(elsewhere.iterdir()) == []  # what is loaded writes nowhere
    with pytest.raises(
        ValueError, match=r"read_weights: backbone\.safetensors: expected .* No such"
    ):
        ImageSource(kept, None)


def test_pictures_that_are_brought_along_are_seen_as_files_are(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    lying, clear = Image.new("RGB", (60, 40), "white"), Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    lying.paste("red", (0, 0, 30, 40))
    lying.save(tmp_path / "lying.png", exif=exif)
    clear.save(tmp_path / "clear.png")
    with Image.open(tmp_path / "lying.png") as stored:
        given = [tmp_path / "lying.png", stored, lying.rotate(-90, expand=True)]
        given += [tmp_path / "clear.png", clear, Image.new("RGB", (8, 8), "white")]
        seen = next(ImageSource(ImageInput(), None).of_pictures(given))
    for upright, white in ((0, 3), (1, 4)):
        assert torch.equal(seen[upright], seen[2])
        assert torch.equal(seen[white], seen[5])
    with pytest.raises(ValueError, match=r"^encode_images: picture 1: expected a picture, got "):
        next(ImageSource(ImageInput(), None).of_pictures([clear, Image.new("La", (8, 8))]))


def test_folded_batch_norm_stays_folded(tmp_path: Path) -> None:
    weights = weights_file(tmp_path / "one.safetensors")  # statistics of no data: as if folded
    source = ImageSource(ImageInput(weights=weights), None)
    assert source.backbone is not None
    assert source.backbone.batch_norm_folded
    again = ImageSource(rebuilt(source), None)
    assert again.backbone is not None
    assert not again.backbone.batch_norm_folded
    again.trained.load_state_dict(source.trained.state_dict())  # as a run's networks are
    assert not any(m.training for m in again.trained.modules() if isinstance(m, nn.BatchNorm2d))
    assert again.trained.train().training
    assert not any(m.training for m in again.trained.modules() if isinstance(m, nn.BatchNorm2d))


def test_any_number_of_paths_is_opened_in_batches_and_a_bad_one_named(tmp_path: Path) -> None:
    source = ImageSource(ImageInput(), None)
    paths = [tmp_path / f"{index}.png" for index in range(3)]
    for index, path in enumerate(paths):
        CORPUS.test.open_image(index % 2).save(path)
    batches = list(source.of_pictures([str(path) for path in paths] * 30))
    assert [len(batch) for batch in batches] == [64, 26]
    assert torch.equal(batches[1][0], source.pictures(CORPUS.test)([1])[0])  # the 65th
    paths[1].write_text("no picture")
    with pytest.raises(ValueError, match=r"^open_picture: .*1\.png: expected a picture, got can"):
        list(source.of_pictures(paths))
    with pytest.raises(ValueError, match=r"^encode_images: expected a list of one picture or more"):
        next(source.of_pictures([]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backbone": None}, "backbone must be a string"),
        ({"backbone": 5}, "backbone must be a string"),
        ({"weights": 5}, "weights must be a path"),
        ({"weights": b"a.pt"}, "weights must be a path"),
        ({"features": ["a.npz"]}, "features must be a path"),
        ({"cache": True}, "cache must be a path"),
        ({"frozen": "yes", "weights": "a.pt"}, "frozen must be True or False"),
    ],
)
def test_fields_of_another_type_are_named(changes: Any, message: str) -> None:
    with pytest.raises(ValueError, match=rf"^ImageInput: {message}"):
        ImageInput(**changes)


@pytest.mark.parametrize("backbone", ["vgg20", "VGG16", "", "small_cnn "])
def test_an_unknown_backbone_is_named_at_once(backbone: str) -> None:
    with pytest.raises(ValueError, match=r"^ImageInput: backbone must be 'vgg16' or "):
        ImageInput(backbone)


def test_paths_become_text(tmp_path: Path) -> None:
    images = ImageInput(weights=tmp_path / "a.pt", cache=Path("~"))  # type: ignore[arg-type]
    assert images == ImageInput(weights=str(tmp_path / "a.pt"), cache=str(Path.home()))
