"""A training run from pictures to a folder that someone who has nothing else can use again."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import kit.runs
from kit.data.image_input import ImageInput
from kit.data.pairs import Corpus
from kit.data.scenes import scenes
from kit.data.vocabulary import words
from kit.encoders.image import image_backbone
from kit.itmeetsal.method import Config
from kit.itmeetsal.run import SELECTION, read_map, train
from kit.training import Epoch, Step

TINY = Config(
    dim=16, word_dim=8, lstm_units=8, epochs=2, batch_size=16, learning_rate=1e-3, min_word_count=2
)


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return scenes(images=60, size=32, held_out=0.2)


@pytest.fixture(scope="module")
def folder(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    records = list(train(corpus, TINY, folder))
    assert [type(record) for record in records] == ([Step] * 12 + [Epoch]) * 2  # 180 pairs by 16
    return folder


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "best.safetensors")


def test_folder_holds_all_that_is_needed_to_judge_it(folder: Path, corpus: Corpus) -> None:
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert files == {
        "best.json",
        "best.safetensors",
        "checkpoint.pt",
        "config.json",
        "corpus.json",
        "done",
        "environment.json",
        "history.jsonl",
        "images.json",
        "labels.json",
        "map/epoch_000.safetensors",
        "map/epoch_001.safetensors",
        "map/pairs.json",
        "result.json",
        "transform.json",
        "vocabulary.json",
    }
    asked = read(folder / "config.json")["asked"]
    assert asked["config"]["dim"] == 16
    assert asked["corpus"]["counts"] == corpus.counts
    assert read(folder / "labels.json") == list(corpus.train.image_labels)
    assert read(folder / "transform.json")["size"] == 64


def test_vocabulary_is_of_training_captions_alone(folder: Path, corpus: Corpus) -> None:
    counts = Counter(word for caption in corpus.train.captions for word in words(caption))
    known = {word for word, count in counts.items() if count >= 2}
    assert set(read(folder / "vocabulary.json")) == known


def test_result_is_the_best_epochs_and_can_be_reproduced(folder: Path, corpus: Corpus) -> None:
    result = read(folder / "result.json")
    history = kit.runs.read_history(folder)
    validation = [epoch["scores"][SELECTION] for epoch in history]
    assert result["best"] == {
        "epoch": int(np.argmax(validation)),
        "score": max(validation),
        "by": SELECTION,
    }
    retriever = kit.runs.load(folder)
    assert not retriever.method.networks.training
    chosen = retriever.evaluate(corpus.validation)
    recalls = [chosen.image_to_text.recall[1], chosen.text_to_image.recall[1]]
    assert sum(recalls) == max(validation)
    scores = retriever.evaluate(corpus.test)
    for direction in ("image_to_text", "text_to_image"):
        one = getattr(scores, direction)
        for k in (1, 5, 10):
            assert result["test"][f"{direction} R@{k}"] == one.recall[k]
        assert math.isclose(result["test"][f"{direction} mAP"], one.map)
        assert math.isclose(result["test"][f"{direction} mAP_cmpm"], one.map_cmpm)
    assert result["epochs"] == 2
    assert result["minutes"] > 0


def test_pictures_and_sentences_are_encoded_from_the_folder_alone(
    folder: Path, corpus: Corpus, tmp_path: Path
) -> None:
    retriever = kit.runs.load(folder)
    images, texts = retriever.encode_split(corpus.test)
    assert images.shape == (12, 16)
    assert texts.shape == (60, 16)
    opened = [corpus.test.open_image(image) for image in range(3)]
    paths = [tmp_path / f"{image}.png" for image in range(3)]
    for picture, path in zip(opened, paths, strict=True):
        picture.save(path)
    for given in (opened, paths, [str(path) for path in paths]):
        torch.testing.assert_close(retriever.encode_images(given), images[:3])
    some = [corpus.test.captions[caption] for caption in (7, 3)]
    torch.testing.assert_close(retriever.encode_texts(some), texts[[7, 3]])
    assert retriever.encode_texts(["never heard words", ""]).isfinite().all()


def test_map_holds_the_first_test_pairs_of_each_epoch(folder: Path, corpus: Corpus) -> None:
    kept = read_map(folder)
    assert kept.epochs == [0, 1]
    assert kept.images.shape == kept.texts.shape == (2, 12, 16)
    assert kept.captions == [corpus.test.captions_of(image)[0] for image in range(12)]
    best = read(folder / "best.json")["epoch"]
    images, texts = kit.runs.load(folder).encode_split(corpus.test)
    torch.testing.assert_close(kept.images[best], images)
    torch.testing.assert_close(kept.texts[best], texts[::5])


def test_a_finished_run_is_not_trained_again(folder: Path, corpus: Corpus) -> None:
    assert list(train(corpus, TINY, folder)) == []


def test_another_run_is_refused_by_what_differs(folder: Path, corpus: Corpus) -> None:
    with pytest.raises(ValueError, match=r"config\.epochs is 2 there, 3 was asked for"):
        next(train(corpus, replace(TINY, epochs=3), folder))
    with pytest.raises(ValueError, match=r"corpus\.hash is .* there, .* was asked for"):
        next(train(scenes(images=60, size=32, held_out=0.2, seed=1), TINY, folder))
    with pytest.raises(ValueError, match=r"images\.pixels is .* there, .* was asked for"):
        next(train(scenes(images=60, size=32, held_out=0.2, noise=0.1), TINY, folder))


def test_the_seed_decides_everything(folder: Path, corpus: Corpus, tmp_path: Path) -> None:
    for seed in (0, 1):
        list(train(corpus, TINY, tmp_path / str(seed), seed=seed))
    same, other, first = weights(tmp_path / "0"), weights(tmp_path / "1"), weights(folder)
    assert all(torch.equal(same[name], first[name]) for name in first)
    assert not torch.equal(
        other["text_encoder.embedding.weight"], first["text_encoder.embedding.weight"]
    )


def test_features_from_a_file_take_the_place_of_a_backbone(corpus: Corpus, tmp_path: Path) -> None:
    names = [name for split in corpus.splits for name in split.image_names]
    feat = np.random.default_rng(0).normal(size=(len(names), 20)).astype(np.float16)
    np.savez(tmp_path / "features.npz", files=np.array(names), feat=feat)
    images = ImageInput(features=str(tmp_path / "features.npz"))
    list(train(corpus, replace(TINY, epochs=1), tmp_path / "run", images=images))
    retriever = kit.runs.load(tmp_path / "run")
    assert retriever.evaluate(corpus.test).text_to_image.recall[1] >= 0
    with pytest.raises(ValueError, match=r"encode_images: this run was trained on features from"):
        retriever.encode_images([corpus.test.open_image(0)])
    with pytest.raises(ValueError, match=r"ImageInput: cannot read .*nowhere\.npz"):
        next(train(corpus, TINY, tmp_path / "other", images=ImageInput(features="nowhere.npz")))


def test_a_frozen_backbone_is_kept_in_the_folder(corpus: Corpus, tmp_path: Path) -> None:
    torch.manual_seed(1)
    trained = image_backbone("small_cnn").network.state_dict()
    save_file({k: v.contiguous() for k, v in trained.items()}, tmp_path / "cnn.safetensors")
    images = ImageInput(weights=str(tmp_path / "cnn.safetensors"), frozen=True)
    list(train(corpus, replace(TINY, epochs=1), tmp_path / "run", images=images))
    assert len(list((tmp_path / "run" / "features").glob("*.safetensors"))) == 3
    assert len(read(tmp_path / "run" / "weights.json")["loaded"]) == len(trained)
    expected = kit.runs.load(tmp_path / "run").encode_split(corpus.test)[0]
    (tmp_path / "cnn.safetensors").unlink()
    retriever = kit.runs.load(tmp_path / "run")
    pictures = [corpus.test.open_image(image) for image in range(12)]
    torch.testing.assert_close(retriever.encode_images(pictures), expected, rtol=1e-4, atol=1e-5)
    assert not any(name.startswith("image_backbone") for name in weights(tmp_path / "run"))


def test_grey_pictures_are_encoded_too(folder: Path) -> None:
    features = kit.runs.load(folder).encode_images([Image.new("L", (50, 30), 90)])
    assert features.shape == (1, 16)


def test_a_folder_without_an_epoch_is_refused(tmp_path: Path, corpus: Corpus) -> None:
    records = train(corpus, TINY, tmp_path / "run")
    next(records)
    records.close()
    with pytest.raises(ValueError, match=r"restore: .* holds no trained networks yet"):
        kit.runs.load(tmp_path / "run")
    with pytest.raises(ValueError, match=r"read_map: .* holds no features of an epoch"):
        read_map(tmp_path / "run")
