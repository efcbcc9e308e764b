"""The whole method learns: from separable features in seconds, from drawn pictures in a few."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import kit.runs
from kit.data.pairs import CaptionedImages, Corpus
from kit.itmeetsal.method import PRESETS, ITMeetsALConfig
from kit.retrieval.images import ImageInput
from kit.retrieval.run import train
from kit.worlds.scenes import scenes

WORDS = [f"thing{letter}" for letter in "abcdefghijklmnop"]


def blank(index: int) -> Image.Image:
    return Image.new("RGB", (4, 4))


def two_things(folder: Path) -> tuple[Corpus, ImageInput]:
    """A picture shows two of 16 things: its feature is the sum of theirs, with noise.

    Its two captions name both, in either order. No pair of things is in two splits.
    """
    draw = np.random.default_rng(0)
    prototypes = draw.normal(size=(len(WORDS), 32))
    shown = draw.permutation(list(combinations(range(len(WORDS)), 2)))
    features = prototypes[shown].sum(1) + 0.3 * draw.normal(size=(len(shown), 32))
    names = np.array([f"{a}_{b}" for a, b in shown])
    np.savez(folder / "features.npz", files=names, feat=features.astype(np.float32))
    splits, labels = [], range(len(shown))
    for name, rows in (
        ("train", slice(0, 80)),
        ("validation", slice(80, 100)),
        ("test", slice(100, 120)),
    ):
        said = [f"{WORDS[x]} {WORDS[y]}" for a, b in shown[rows] for x, y in ((a, b), (b, a))]
        owners = [row // 2 for row in range(len(said))]
        splits.append(CaptionedImages(name, list(names[rows]), labels[rows], said, owners, blank))
    return Corpus("two things", *splits), ImageInput(features=str(folder / "features.npz"))


@pytest.mark.parametrize("preset", PRESETS)
def test_unseen_pairs_of_known_things_find_each_other(preset: str, tmp_path: Path) -> None:
    corpus, images = two_things(tmp_path)
    sizes = {"dim": 32, "word_dim": 16, "lstm_units": 16, "epochs": 30, "batch_size": 16}
    config = replace(PRESETS[preset](), **sizes, learning_rate=5e-3, dropout=0.1)
    list(train(corpus, config, tmp_path / "run", images=images))
    scores = kit.runs.load(tmp_path / "run").evaluate(corpus.test)
    assert scores.image_to_text.recall[1] >= 90  # chance: 5
    assert scores.text_to_image.recall[1] >= 90


def test_unseen_drawn_pictures_are_found_far_above_chance(tmp_path: Path) -> None:
    corpus = scenes(images=320, size=32, told=1.0, near_duplicates=0.0, held_out=0.1)
    sizes = {"dim": 64, "word_dim": 32, "lstm_units": 32, "epochs": 6, "batch_size": 32}
    config = ITMeetsALConfig(**sizes, learning_rate=2e-3, backbone_learning_rate=1e-3)
    list(train(corpus, config, tmp_path / "run"))
    scores = kit.runs.load(tmp_path / "run").evaluate(corpus.test)
    chance = 100 / 32
    assert scores.image_to_text.recall[1] > 3 * chance
    assert scores.text_to_image.recall[1] > 2 * chance
    assert scores.text_to_image.recall[10] > 1.5 * 10 * chance
