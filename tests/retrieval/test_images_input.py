"""How images enter a run: what is asked for, and what of it decides a result."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from kit.encoders.image import image_backbone
from kit.retrieval.images import ImageBlueprint, ImageInput, ImageSource
from kit.worlds.scenes import scenes

CORPUS = scenes(images=20, size=32)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"frozen": True}, r"ImageInput: a frozen small_cnn needs weights; from scratch it knows"),
        ({"features": "f.npz", "frozen": True}, r"ImageInput: features from a file need no weight"),
        ({"features": "f.npz", "weights": "library"}, r"got features='f\.npz', weights='library'"),
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


def test_a_blueprint_is_plain_and_names_a_features_file_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = [name for split in CORPUS.splits for name in split.image_names]
    np.savez("f.npz", files=np.array(names), feat=np.ones((20, 3), np.float32))
    source = ImageSource.of(ImageInput(features="f.npz"), tmp_path)
    assert source.blueprint == ImageBlueprint(3, features=str(tmp_path / "f.npz"))
    monkeypatch.chdir("/")
    again = ImageSource.rebuilt(through_json(source.blueprint), tmp_path)
    for one in (source, again):
        assert one.pictures(CORPUS.test).plain.data_ptr() == one.file.features.data_ptr()
        assert torch.cat(list(one.batches(CORPUS.test))).shape == (2, 3)
        with pytest.raises(ValueError, match=r"encode_images: this run was trained on features"):
            next(one.of_pictures(["a.png"]))


def through_json(blueprint: ImageBlueprint) -> ImageBlueprint:
    return ImageBlueprint(**json.loads(json.dumps(asdict(blueprint))))


def test_pixels_enter_through_the_backbones_transform(tmp_path: Path) -> None:
    source = ImageSource.of(ImageInput(), tmp_path)
    pictures = source.pictures(CORPUS.test)
    assert pictures([0]).shape == (1, 3, 64, 64)
    assert source.trained is source.backbone
    assert source.blueprint == ImageBlueprint(256, "small_cnn")
    assert source.pictures(CORPUS.test) is pictures


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_are_all_images_in_order(tmp_path: Path, workers: int) -> None:
    source = ImageSource.of(ImageInput(), tmp_path, workers=workers)
    whole = torch.cat(list(source.batches(CORPUS.train)))
    assert torch.equal(whole, source.pictures(CORPUS.train)(range(16)))


def test_a_source_is_rebuilt_from_blueprint_and_state_alone(tmp_path: Path) -> None:
    weights = Path(weights_file(tmp_path / "one.safetensors"))
    images = ImageInput(weights=str(weights), frozen=True, cache=str(tmp_path / "elsewhere"))
    source = ImageSource.of(images, tmp_path / "run")
    (tmp_path / "run").mkdir()
    weights.replace(tmp_path / "run" / "backbone.safetensors")
    expected = source.pictures(CORPUS.test)([0, 1])
    for path in (tmp_path / "elsewhere").iterdir():
        path.unlink()
    blueprint = through_json(source.blueprint)
    assert "elsewhere" not in str(blueprint)
    again = ImageSource.rebuilt(blueprint, tmp_path / "run")
    assert torch.equal(again.pictures(CORPUS.test)([0, 1]), expected)
    pictures = [CORPUS.test.open_image(index) for index in range(2)]
    torch.testing.assert_close(torch.cat(list(again.of_pictures(pictures))), expected)
    assert list((tmp_path / "elsewhere").iterdir()) == []  # what is loaded writes nowhere
    (tmp_path / "run" / "backbone.safetensors").unlink()
    with pytest.raises(ValueError, match=r"read_weights: expected a weights file at .*backbone"):
        ImageSource.rebuilt(blueprint, tmp_path / "run")


def test_folded_batch_norm_stays_folded(tmp_path: Path) -> None:
    weights = weights_file(tmp_path / "one.safetensors")  # statistics of no data: as if folded
    source = ImageSource.of(ImageInput(weights=weights), tmp_path)
    assert source.blueprint.batch_norm_folded
    again = ImageSource.rebuilt(through_json(source.blueprint), tmp_path)
    assert again.backbone is not None
    assert not any(m.training for m in again.trained.modules() if isinstance(m, nn.BatchNorm2d))
    assert again.trained.train().training
    assert not any(m.training for m in again.trained.modules() if isinstance(m, nn.BatchNorm2d))


def test_any_number_of_paths_is_opened_in_batches_and_a_bad_one_named(tmp_path: Path) -> None:
    source = ImageSource.of(ImageInput(), tmp_path)
    paths = [tmp_path / f"{index}.png" for index in range(3)]
    for index, path in enumerate(paths):
        CORPUS.test.open_image(index % 2).save(path)
    batches = list(source.of_pictures([str(path) for path in paths] * 30))
    assert [len(batch) for batch in batches] == [64, 26]
    assert torch.equal(batches[1][0], source.pictures(CORPUS.test)([1])[0])  # the 65th
    paths[1].write_text("no picture")
    with pytest.raises(ValueError, match=r"^encode_images: .*1\.png: expected a picture, got can"):
        list(source.of_pictures(paths))
    with pytest.raises(
        ValueError, match=r"^encode_images: expected a list of at least one picture, got 'a"
    ):
        next(source.of_pictures("a.png"))  # type: ignore[arg-type]
    with pytest.raises(
        ValueError, match=r"^encode_images: expected a list of at least one picture, got \[\]"
    ):
        next(source.of_pictures([]))
