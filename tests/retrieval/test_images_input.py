"""How images enter a run: what is asked for, and what of it decides a result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import save_file

from kit.encoders.image import image_backbone
from kit.retrieval.images import ImageInput, ImageSource
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


def test_settings_can_be_read_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = [name for split in CORPUS.splits for name in split.image_names]
    np.savez("f.npz", files=np.array(names), feat=np.zeros((20, 3), np.float32))
    source = ImageSource(ImageInput(features="f.npz"), tmp_path)
    assert source.settings()["features"] == str(tmp_path / "f.npz")
    assert source.settings()["weights"] is None
    assert ImageInput(**source.settings()).features == str(tmp_path / "f.npz")
    assert source.feature_dim(source.pictures(CORPUS.test)) == 3


def test_pixels_enter_through_the_backbones_transform(tmp_path: Path) -> None:
    source = ImageSource(ImageInput(), tmp_path)
    pictures = source.pictures(CORPUS.test)
    assert pictures(0, flipped=False).shape == (3, 64, 64)
    assert source.trained is source.backbone
    assert source.feature_dim(pictures) == 256
