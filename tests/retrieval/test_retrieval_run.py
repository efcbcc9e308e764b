"""A training run from pictures to a folder that someone who has nothing else can use again."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from damage import DAMAGE, damage_file
from PIL import Image
from safetensors.torch import load_file, save_file

import kit.runs
from kit.code_version import code_version
from kit.data.epochs import TrainingLoader
from kit.data.images import FolderImages
from kit.data.pairs import CaptionedImages, Corpus, TrainingPairs, words
from kit.encoders.image import image_backbone
from kit.files import file_hash
from kit.itmeetsal.method import ITMeetsAL, ITMeetsALConfig
from kit.metrics.retrieval import evaluate_cross_modal
from kit.retrieval.images import ImageInput
from kit.retrieval.run import SELECTION, read_map, restore, scores_by_name, train
from kit.training import Epoch, Step
from kit.worlds.scenes import scenes

TINY = ITMeetsALConfig(
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
        "blueprint.json",
        "best.safetensors",
        "checkpoint.pt",
        "config.json",
        "corpus.json",
        "done",
        "environment.json",
        "history.jsonl",
        "labels.json",
        "map/epoch_000.safetensors",
        "map/epoch_001.safetensors",
        "map/pairs.json",
        "result.json",
        "transform.json",
    }
    asked = read(folder / "config.json")["settings"]
    assert asked["config"]["dim"] == 16
    assert asked["corpus"]["counts"] == corpus.counts
    assert read(folder / "labels.json") == list(corpus.train.image_labels)
    assert read(folder / "transform.json")["size"] == 64


def test_folder_says_with_what_it_was_made(folder: Path, corpus: Corpus) -> None:
    facts = {"name": "scenes", "counts": corpus.counts, "notes": list(corpus.notes)}
    assert read(folder / "corpus.json") == facts
    environment = read(folder / "environment.json")
    assert environment["torch"] == torch.__version__
    assert environment["device"].startswith("cpu")
    asked = read(folder / "config.json")["settings"]
    assert (asked["seed"], asked["precision"]) == (0, "float32")
    assert asked["code"] == code_version("kit.itmeetsal.method", "kit.retrieval.run")


def test_vocabulary_is_of_training_captions_alone(folder: Path, corpus: Corpus) -> None:
    counts = Counter(word for caption in corpus.train.captions for word in words(caption))
    known = {word for word, count in counts.items() if count >= 2}
    assert set(read(folder / "blueprint.json")["vocabulary"]) == known


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


def test_validation_and_not_test_selects(folder: Path, corpus: Corpus) -> None:
    retriever, best = kit.runs.load(folder), read(folder / "result.json")["best"]
    epoch = kit.runs.read_history(folder)[best["epoch"]]
    scores = scores_by_name(retriever.evaluate(corpus.validation))
    assert epoch["scores"] == pytest.approx(scores)
    assert scores != pytest.approx(scores_by_name(retriever.evaluate(corpus.test)))


def test_what_is_scored_and_kept_is_the_best_epoch_and_not_the_last(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    falling = iter((2.0, 1.0, 0.0))  # two epochs, then the test
    monkeypatch.setattr(
        "kit.retrieval.run.scores_by_name",
        lambda scores: scores_by_name(scores) | {SELECTION: next(falling)},
    )
    monkeypatch.setattr(ITMeetsAL, "alarms", lambda *_: ("look",))
    list(train(corpus, TINY, tmp_path / "run"))
    result = read(tmp_path / "run" / "result.json")
    assert result["best"] == {"epoch": 0, "score": 2.0, "by": SELECTION}
    assert result["alarms"] == ["epoch 0: look", "epoch 1: look"]
    retriever = kit.runs.load(tmp_path / "run")
    kept = read_map(tmp_path / "run")
    images, texts = retriever.encode_split(corpus.test)
    torch.testing.assert_close(images, kept.images[0])
    torch.testing.assert_close(texts[::5], kept.texts[0])
    assert not torch.allclose(images, kept.images[1])
    scores = scores_by_name(retriever.evaluate(corpus.test)) | {SELECTION: 0.0}
    assert result["test"] == pytest.approx(scores)


def test_scores_have_plain_names() -> None:
    image, text = torch.eye(3), torch.eye(3)[[0, 2, 1, 2]]
    scores = evaluate_cross_modal(image, text, [5, 6, 7], [5, 6, 6, 7], ks=(1, 2))
    assert scores_by_name(scores) == pytest.approx(
        {
            "image_to_text R@1": 200 / 3,  # the third meets two equal texts, one is another's
            "image_to_text R@2": 100.0,
            "image_to_text mAP": scores.image_to_text.map,
            "image_to_text mAP_cmpm": scores.image_to_text.map_cmpm,
            "image_to_text median rank": 1.0,
            "text_to_image R@1": 75.0,
            "text_to_image R@2": 75.0,
            "text_to_image mAP": scores.text_to_image.map,
            "text_to_image mAP_cmpm": scores.text_to_image.map_cmpm,
            "text_to_image median rank": 1.0,
            "R@1 sum": 200 / 3 + 75,
        }
    )


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
    many = [corpus.train.captions[caption % 180] for caption in range(300)]  # two parts of 256
    features = retriever.encode_texts(many)
    torch.testing.assert_close(features[:180], retriever.encode_texts(many[:180]))
    torch.testing.assert_close(features[180:], features[:120])
    torch.testing.assert_close(features[[100]], retriever.encode_texts([many[100]]))
    assert retriever.encode_texts(["never heard words", ""]).isfinite().all()


def test_map_holds_the_first_test_pairs_of_each_epoch(folder: Path, corpus: Corpus) -> None:
    kept = read_map(folder)
    assert kept.epochs == [0, 1]
    assert kept.images.shape == kept.texts.shape == (2, 12, 16)
    assert kept.captions == [corpus.test.captions_of(image)[0] for image in range(12)]
    best = read(folder / "result.json")["best"]["epoch"]
    images, texts = kit.runs.load(folder).encode_split(corpus.test)
    torch.testing.assert_close(kept.images[best], images)
    torch.testing.assert_close(kept.texts[best], texts[::5])


def test_a_map_of_many_pairs_keeps_the_first_forty(tmp_path: Path) -> None:
    many = scenes(images=100, size=32, held_out=0.45)
    list(train(many, replace(TINY, epochs=1), tmp_path / "run"))
    kept = read_map(tmp_path / "run")
    assert len(many.test.image_names) == 45
    assert kept.images.shape == kept.texts.shape == (1, 40, 16)
    assert kept.captions == [many.test.captions_of(image)[0] for image in range(40)]


def test_a_finished_run_is_not_trained_again(folder: Path, corpus: Corpus) -> None:
    assert list(train(corpus, TINY, folder)) == []


@pytest.mark.usefixtures("bfloat16")
def test_another_run_is_refused_by_what_differs(folder: Path, corpus: Corpus) -> None:
    with pytest.raises(ValueError, match=r"config\.epochs is 2 there, 3 was asked for"):
        next(train(corpus, replace(TINY, epochs=3), folder))
    with pytest.raises(ValueError, match=r"run: seed is 0 there, 4 was asked for$"):
        next(train(corpus, TINY, folder, seed=4))
    with pytest.raises(ValueError, match=r"precision is 'float32' there, 'bfloat16' was asked"):
        next(train(corpus, TINY, folder, precision="bfloat16"))
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


def test_seed_and_workers_reach_the_loader(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def loader(pairs: TrainingPairs, batch_size: int, *, workers: int, pin: bool) -> Any:
        seen.append((pairs.seed, workers))
        return TrainingLoader(pairs, batch_size)

    monkeypatch.setattr("kit.retrieval.run.TrainingLoader", loader)
    next(train(corpus, TINY, tmp_path / "run", seed=7, workers=3))
    assert seen == [(7, 3)]


def test_a_run_that_was_stopped_goes_on_and_ends_the_same(
    folder: Path, corpus: Corpus, tmp_path: Path
) -> None:
    records = train(corpus, TINY, tmp_path / "run")
    while not isinstance(next(records), Epoch):
        pass
    records.close()
    assert [type(record) for record in train(corpus, TINY, tmp_path / "run")] == (
        [Step] * 12 + [Epoch]
    )
    for name, tensor in weights(folder).items():
        assert torch.equal(tensor, weights(tmp_path / "run")[name]), name
    ended, expected = (read(f / "result.json") for f in (tmp_path / "run", folder))
    assert ended["test"] == expected["test"]
    assert ended["epochs"] == expected["epochs"]


@pytest.mark.usefixtures("bfloat16")
def test_bfloat16_is_another_run(folder: Path, corpus: Corpus, tmp_path: Path) -> None:
    one = replace(TINY, epochs=1)
    for precision in ("float32", "bfloat16"):
        list(train(corpus, one, tmp_path / precision, precision=precision))
    full, half = weights(tmp_path / "float32"), weights(tmp_path / "bfloat16")
    name = "image_projection.weight"
    assert half[name].dtype == torch.float32
    assert not torch.equal(full[name], half[name])


def test_a_processor_without_bfloat16_is_told_so_before_there_is_a_folder(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kit.training._missing_in_bfloat16", lambda onednn: ["LSTM"])
    with pytest.raises(
        ValueError, match=r"^train: precision 'bfloat16' .* use precision 'float32'"
    ):
        next(train(corpus, TINY, tmp_path / "run", precision="bfloat16"))
    assert not (tmp_path / "run").exists()


def test_splits_of_any_size_and_labels_of_any_number(tmp_path: Path) -> None:
    names = [f"{number}.jpg" for number in range(332)]
    feat = np.random.default_rng(0).normal(size=(332, 6)).astype(np.float32)
    np.savez(tmp_path / "features.npz", files=np.array(names), feat=feat)
    labels = [40 + number // 2 for number in range(332)]  # two pictures of each instance
    corpus = Corpus(
        "by hand",
        *(
            CaptionedImages(
                name, names[a:b], labels[a:b], names[a:b], range(b - a), Image.new, mirrored=False
            )
            for name, a, b in (("train", 0, 28), ("validation", 28, 32), ("test", 32, 332))
        ),
        notes=("made up",),
    )
    images = ImageInput(features=str(tmp_path / "features.npz"))
    config = replace(TINY, epochs=1, min_word_count=1)
    list(train(corpus, config, tmp_path / "run", images=images))
    assert read(tmp_path / "run" / "labels.json") == list(range(40, 54))
    assert read(tmp_path / "run" / "corpus.json")["notes"] == ["made up"]
    assert weights(tmp_path / "run")["classifier.weight"].shape == (16, 14)
    (epoch,) = kit.runs.read_history(tmp_path / "run")
    recalls = {name.split()[1] for name in epoch["scores"] if "R@" in name}
    assert recalls == {"R@1", "sum"}  # four pictures have no ten nearest
    retriever = kit.runs.load(tmp_path / "run")
    features, _ = retriever.encode_split(corpus.test)
    assert features.shape == (300, 16)
    torch.testing.assert_close(features, retriever.encode_features(torch.tensor(feat[32:])))
    kept = read_map(tmp_path / "run")
    assert kept.images.shape == (1, 40, 16)
    assert kept.captions == names[32:72]


def test_features_from_a_file_take_the_place_of_a_backbone(corpus: Corpus, tmp_path: Path) -> None:
    names = [name for split in corpus.splits for name in split.image_names]
    feat = np.random.default_rng(0).normal(size=(len(names), 20)).astype(np.float16)
    np.savez(tmp_path / "features.npz", files=np.array(names), feat=feat)
    images = ImageInput(features=str(tmp_path / "features.npz"))
    list(train(corpus, replace(TINY, epochs=1), tmp_path / "run", images=images))
    retriever = kit.runs.load(tmp_path / "run")
    assert retriever.evaluate(corpus.test).text_to_image.recall[1] >= 0
    with pytest.raises(
        ValueError, match=r"encode_images: .* this one was trained on features from"
    ):
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


@pytest.fixture
def cnn(tmp_path: Path) -> Path:
    torch.manual_seed(1)
    state = image_backbone("small_cnn").network.state_dict()
    save_file({k: v.contiguous() for k, v in state.items()}, tmp_path / "cnn.safetensors")
    return tmp_path / "cnn.safetensors"


def test_a_backbone_trained_along_from_a_file_needs_the_file_no_more(
    corpus: Corpus, cnn: Path, tmp_path: Path
) -> None:
    one = replace(TINY, epochs=1)
    list(train(corpus, one, tmp_path / "run", images=ImageInput(weights=str(cnn))))
    (tmp_path / "run").rename(tmp_path / "elsewhere")
    cnn.unlink()
    retriever = kit.runs.load(tmp_path / "elsewhere")
    scores = scores_by_name(retriever.evaluate(corpus.test))
    assert read(tmp_path / "elsewhere" / "result.json")["test"] == pytest.approx(scores)


class Counted:
    """A split's pictures, and how often each was opened."""

    def __init__(self, split: CaptionedImages, *, known: bool) -> None:
        self.of, self.times = split.open_image, Counter[int]()
        if known:
            self.content_hash = self.of.content_hash

    def __call__(self, index: int) -> Image.Image:
        self.times[index] += 1
        return self.of(index)


@pytest.mark.parametrize("known", [True, False])
def test_a_frozen_backbone_sees_each_picture_once(
    corpus: Corpus, cnn: Path, tmp_path: Path, known: bool
) -> None:
    counted = [replace(s, open_image=Counted(s, known=known)) for s in corpus.splits]
    images = ImageInput(weights=str(cnn), frozen=True, cache=str(tmp_path / "cache"))
    mine = Corpus("mine", *counted)
    for seed in range(2):
        list(train(mine, TINY, tmp_path / str(seed), images=images, seed=seed))
        for split in counted:
            # A plain callable is opened for its hash as well, once in the split's life.
            expected = dict.fromkeys(range(len(split.image_names)), 1 if known else 2)
            assert split.open_image.times == expected


def folder_corpus(folder: Path, corpus: Corpus) -> Corpus:
    """The corpus as files."""
    folder.mkdir()
    parts = []
    for split in corpus.splits:
        names = tuple(f"{name}.png" for name in split.image_names)
        for index, name in enumerate(names):
            split.open_image(index).save(folder / name)
        parts.append(replace(split, image_names=names, open_image=FolderImages(folder, names)))
    return Corpus("folder", *parts)


def test_a_run_on_other_pictures_is_another_run(corpus: Corpus, tmp_path: Path) -> None:
    mine = folder_corpus(tmp_path / "pictures", corpus)
    one = replace(TINY, epochs=1)
    list(train(mine, one, tmp_path / "run"))
    assert list(train(mine, one, tmp_path / "run")) == []
    path = tmp_path / "pictures" / mine.train.image_names[17]
    picture = Image.open(path)
    picture.putpixel((3, 3), (1, 2, 3))
    picture.save(path)
    with pytest.raises(ValueError, match=r"images\.pixels is .* there, .* was asked for"):
        next(train(mine, one, tmp_path / "run"))


def test_pictures_from_disk_through_workers_end_the_same_and_a_stopped_run_goes_on(
    folder: Path, corpus: Corpus, tmp_path: Path
) -> None:
    mine = folder_corpus(tmp_path / "pictures", corpus)
    records = train(mine, TINY, tmp_path / "run", workers=2)
    for _ in range(5):  # killed within the first epoch, while batches are under way
        next(records)
    records.close()
    assert not multiprocessing.active_children()
    assert len(list(train(mine, TINY, tmp_path / "run", workers=2))) == 2 * 13
    for name, tensor in weights(folder).items():  # trained from memory, without workers
        assert torch.equal(tensor, weights(tmp_path / "run")[name]), name


def test_grey_pictures_are_encoded_too(folder: Path) -> None:
    retriever = kit.runs.load(folder)
    assert retriever.encode_images([Image.new("L", (50, 30), 90)]).shape == (1, 16)
    assert retriever.encode_texts([]).shape == (0, 16)
    with pytest.raises(ValueError, match="encode_images: expected a list of one picture or more"):
        retriever.encode_images([])


def test_a_folder_without_an_epoch_is_refused(tmp_path: Path, corpus: Corpus) -> None:
    records = train(corpus, TINY, tmp_path / "run")
    next(records)
    records.close()
    with pytest.raises(ValueError, match=r"restore: .* holds no trained networks yet"):
        kit.runs.load(tmp_path / "run")
    with pytest.raises(ValueError, match=r"read_map_frames: .* holds no features of an epoch"):
        read_map(tmp_path / "run")


# ---- folders that were damaged, and folders that somebody made up


def killed(out: Path, corpus: Corpus, **how: Any) -> Path:
    """A run that was stopped after its first epoch."""
    records = train(corpus, TINY, out, **how)
    while not isinstance(next(records), Epoch):
        pass
    records.close()
    return out


@pytest.fixture(scope="module")
def frozen(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A finished and a stopped run of a frozen backbone: all kinds of files there are."""
    place = tmp_path_factory.mktemp("frozen")
    torch.manual_seed(1)
    state = image_backbone("small_cnn").network.state_dict()
    save_file({k: v.contiguous() for k, v in state.items()}, place / "cnn.safetensors")
    images = ImageInput(
        weights=str(place / "cnn.safetensors"), frozen=True, cache=str(place / "cache")
    )
    list(train(corpus, TINY, place / "finished", images=images))
    killed(place / "stopped", corpus, images=images)
    return {name: place / name for name in ("finished", "stopped")}


FILES = """best.safetensors backbone.safetensors blueprint.json corpus.json weights.json labels.json
    transform.json config.json history.jsonl map/epoch_000.safetensors map/pairs.json
    result.json done checkpoint.pt""".split()  # noqa: SIM905


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("state", ["finished", "stopped"])
def test_a_damaged_file_is_named_by_whoever_reads_it(
    state: str, damage: str, name: str, frozen: dict[str, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(frozen[state], folder)
    path = folder / name
    goes_unread = {
        *(("finished", "checkpoint.pt", any_damage) for any_damage in DAMAGE),
        ("finished", "done", "deleted"),  # its run goes on from the checkpoint
        ("stopped", "history.jsonl", "longer"),  # what comes after a checkpoint is written again
    }
    if not path.exists() or (state, name, damage) in goes_unread:
        return
    damage_file(path, damage)
    readers: list[Callable[[], object]] = [
        lambda: kit.runs.load(folder),
        lambda: restore(folder, ITMeetsALConfig),
    ]
    readers += [lambda: read_map(folder)] * name.startswith("map/")
    readers += [lambda: kit.runs.read_history(folder)] * name.startswith("history")
    for read_again in readers:
        with pytest.raises(ValueError, match=rf"{name} is (damaged|missing)|{name}:|no {name}"):
            read_again()


@pytest.mark.parametrize("damage", ["flipped", "truncated", "empty"])
@pytest.mark.parametrize("name", ["checkpoint.pt", "history.jsonl", "map/epoch_000.safetensors"])
def test_a_damaged_run_is_not_trained_on(
    name: str, damage: str, corpus: Corpus, tmp_path: Path
) -> None:
    folder = killed(tmp_path / "run", corpus)
    path = folder / name
    damage_file(path, damage)
    with pytest.raises(ValueError, match=rf"^resume: .*{name} is damaged.*put a copy back"):
        list(train(corpus, TINY, folder))


def test_what_a_run_writes_anew_heals_it(corpus: Corpus, folder: Path, tmp_path: Path) -> None:
    stopped = killed(tmp_path / "run", corpus)
    for name in ("blueprint.json", "corpus.json", "map/pairs.json", "labels.json"):
        (stopped / name).write_text("{")
    assert len(list(train(corpus, TINY, stopped))) == 13
    assert read(stopped / "result.json")["test"] == read(folder / "result.json")["test"]
    kit.runs.load(stopped)


def forge(folder: Path, **changes: Any) -> Path:
    """Other facts in a blueprint, with hashes that are right: what a stranger could send."""
    blueprint = read(folder / "blueprint.json") | changes
    (folder / "blueprint.json").write_text(json.dumps(blueprint))
    files = read(folder / "done")["files"]
    files["blueprint.json"] = file_hash("forge", folder / "blueprint.json")
    facts = {"hash": kit.runs.settings_hash(files), "files": files}
    (folder / "done").write_text(json.dumps(facts))
    return folder


@pytest.mark.parametrize(
    "changes",
    [
        {"config": {"dim": 10**7}},
        {"config": {"lstm_units": 10**7}},
        {"config": {"word_dim": 10**8}},
        {"config": {"dim": 10**30}},
        {"config": {"dim": "wide"}},
        {"config": {"depth": 3}},
        {"classes": 10**9},
        {"classes": None},
        {"image_feature_dim": 10**9},
        {"vocabulary": ["word"] * 10**6},
        {"vocabulary": 7},
        {"images": {"backbone": "vgg20"}},
        {"images": ["small_cnn"]},
        {"images": None},
        {"unknown": 1},
    ],
    ids=str,
)
def test_a_foreign_blueprint_builds_nothing_that_its_tensors_do_not_have(
    changes: dict[str, Any], folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(folder, tmp_path / "run")
    if isinstance(changes.get("config"), dict):
        changes = {"config": read(folder / "blueprint.json")["config"] | changes["config"]}
    forged = forge(tmp_path / "run", **changes)
    with pytest.raises(ValueError, match=r"^(restore|load_weights): .*run/(blueprint|best)\."):
        kit.runs.load(forged)


def test_a_foreign_folder_names_no_place_to_read_or_write(
    frozen: dict[str, Path], corpus: Corpus, tmp_path: Path
) -> None:
    shutil.copytree(frozen["finished"], tmp_path / "run")
    images = read(tmp_path / "run" / "blueprint.json")["images"]
    places = {"cache": str(tmp_path / "cache"), "weights": str(tmp_path / "nowhere.safetensors")}
    forged = forge(tmp_path / "run", images=images | places)
    (forged / "features").symlink_to(tmp_path / "other", target_is_directory=True)
    (tmp_path / "other").mkdir()
    images_there, _ = kit.runs.load(forged).encode_split(corpus.test)
    assert images_there.isfinite().all()
    assert not (tmp_path / "cache").exists()
    assert list((tmp_path / "other").iterdir()) == []


@pytest.mark.parametrize("wrong", ["nan", "integer", "missing", "more"])
def test_foreign_networks_are_checked_as_any_weights_are(
    wrong: str, folder: Path, tmp_path: Path
) -> None:
    forged = tmp_path / "run"
    shutil.copytree(folder, forged)
    state = weights(folder)
    key = "text_projection.weight"
    changed = {
        "nan": state | {key: torch.full_like(state[key], float("nan"))},
        "integer": state | {key: state[key].long()},
        "missing": {name: tensor for name, tensor in state.items() if name != key},
        "more": state | {"other": torch.zeros(1)},
    }
    save_file(changed[wrong], forged / "best.safetensors")
    files = read(forged / "done")["files"]
    files["best.safetensors"] = file_hash("forge", forged / "best.safetensors")
    (forged / "done").write_text(
        json.dumps({"hash": kit.runs.settings_hash(files), "files": files})
    )
    with pytest.raises(ValueError, match=rf"best\.safetensors: .*({key}|other)"):
        kit.runs.load(forged)


# ---- arguments


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"corpus": None}, "corpus must be a Corpus, got None"),
        ({"corpus": "flickr8k"}, "corpus must be a Corpus, got 'flickr8k'"),
        ({"config": {"dim": 16}}, "config must be a TowersConfig, got a dict"),
        ({"config": None}, "config must be a TowersConfig"),
        ({"images": "small_cnn"}, "images must be an ImageInput"),
        *(({"out": wrong}, "out must be a Path or a string") for wrong in (None, 5, b"a", ["a"])),
        *(({"seed": wrong}, "seed must be a whole number") for wrong in (1.0, "1", None, True)),
        *(({"seed": wrong}, "seed must be a whole number of at") for wrong in (-1, 2**64)),
        *(({"workers": wrong}, "workers must be a whole number") for wrong in ("2", 1.0, True, -1)),
        *(({"device": wrong}, "device must be a") for wrong in (None, 0, ["cpu"])),
        *(({"device": wrong}, "device must be one of") for wrong in ("gpu", "meta", "cuda:99")),
        *(({"precision": wrong}, "precision must be") for wrong in (None, 32, "float16")),
    ],
)
def test_arguments_of_another_type_are_named_before_there_is_a_folder(
    changes: dict[str, Any], message: str, corpus: Corpus, tmp_path: Path
) -> None:
    given: dict[str, Any] = {"corpus": corpus, "config": TINY, "out": tmp_path / "run"} | changes
    with pytest.raises(ValueError, match=rf"^train: {message}"):
        next(train(given.pop("corpus"), given.pop("config"), given.pop("out"), **given))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("place", ["file", "file/run", "/proc/run", "/dev/null"])
def test_where_there_can_be_no_folder_is_named(place: str, corpus: Corpus, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    out = tmp_path / place
    with pytest.raises(ValueError, match=rf"^open_run: no folder can be made at {out}: \w"):
        next(train(corpus, TINY, out))


def test_numbers_of_numpy_are_the_run_of_plain_ones(corpus: Corpus, tmp_path: Path) -> None:
    one = replace(TINY, epochs=1)
    same = replace(TINY, epochs=np.int64(1), dim=torch.tensor(16), learning_rate=np.float64(1e-3))
    assert list(train(corpus, one, tmp_path / "run", seed=1))
    assert list(train(corpus, same, tmp_path / "run", seed=np.int64(1))) == []


@pytest.mark.parametrize("wrong", ["a red thing", b"a", None, 5, [None], ["a", 3], {"a": 1}])
def test_sentences_are_a_list_of_text(wrong: Any, folder: Path) -> None:
    with pytest.raises(
        ValueError, match=r"encode_texts: sentences must be a list of strings, got "
    ):
        kit.runs.load(folder).encode_texts(wrong)


@pytest.mark.parametrize(
    "wrong", ["a.png", b"a", None, 5, [None], [3], np.zeros((2, 8, 8, 3)), {"a.png": 1}]
)
def test_pictures_are_a_list_of_paths_or_pictures(wrong: Any, folder: Path) -> None:
    with pytest.raises(ValueError, match=r"encode_images: pictures must be a list"):
        kit.runs.load(folder).encode_images(wrong)


def test_features_of_another_shape_are_refused(folder: Path) -> None:
    retriever = kit.runs.load(folder)
    for wrong in (torch.zeros(2, 256), torch.zeros(0, 3, 64, 64), torch.zeros(2, 3, 64, 64).long()):
        with pytest.raises(ValueError, match=r"^encode_features: expected \(rows, 3, height"):
            retriever.encode_features(wrong)
    with pytest.raises(ValueError, match=r"encode_features: features must be a tensor"):
        retriever.encode_features(np.zeros((2, 256)))  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [None, 5, b"run"])
def test_a_folder_is_a_path(wrong: Any) -> None:
    for function in (kit.runs.load, kit.runs.read_history, read_map):
        with pytest.raises(ValueError, match=r"^\w+: folder must be a path, got "):
            function(wrong)
    with pytest.raises(ValueError, match=r"^restore: folder must be a path"):
        restore(wrong, ITMeetsALConfig)


@pytest.mark.parametrize("images", [1, 2, 4])
def test_few_pictures_are_trained_tested_and_mapped(images: int, tmp_path: Path) -> None:
    names = [f"{number}.jpg" for number in range(4 + 2 * images)]
    splits = (("train", 0, 4), ("validation", 4, 4 + images), ("test", 4 + images, len(names)))
    draw = np.random.default_rng(0)
    pictures = [Image.fromarray(draw.integers(0, 256, (8, 8, 3), dtype=np.uint8)) for _ in names]
    corpus = Corpus(
        "few",
        *(
            CaptionedImages(
                name,
                names[a:b],
                range(a, b),
                ["a dog"] * (b - a),
                range(b - a),
                pictures[a:b].__getitem__,
            )
            for name, a, b in splits
        ),
    )
    list(train(corpus, replace(TINY, epochs=1, min_word_count=1), tmp_path / "run"))
    assert read(tmp_path / "run" / "result.json")["test"]["text_to_image mAP"] > 0
    assert read_map(tmp_path / "run").images.shape == (1, images, 16)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of pictures, and the finished run of `of_folder` on them."""
    place, draw = tmp_path_factory.mktemp("photographs"), np.random.default_rng(0)
    for number in range(20):
        pixels = draw.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(place / f"{number:02d}.bmp")
    list(train(of_folder(place), replace(TINY, epochs=1), place / "run"))
    return place


def of_folder(place: Path, **changes: Any) -> Corpus:
    """A corpus of the folder's pictures; `changes` are of the facts of all 20."""
    facts: dict[str, Any] = {
        "order": list(range(20)),
        "labels": list(range(20)),
        "captions": [f"a {('red', 'blue')[n % 2]} thing" for n in range(20)],
        "ends": (12, 16),
    } | changes
    a, b = facts["ends"]
    splits = []
    for name, part in (("train", slice(0, a)), ("validation", slice(a, b)), ("test", slice(b, 20))):
        numbers = facts["order"][part]
        names = tuple(f"{number:02d}.bmp" for number in numbers)
        labels = [facts["labels"][number] for number in numbers]
        captions = [facts["captions"][number] for number in numbers]
        splits.append(
            CaptionedImages(
                name, names, labels, captions, range(len(names)), FolderImages(place, names)
            )
        )
    return Corpus("folder", *splits)


def swapped(values: Sequence[Any], one: int, other: int) -> list[Any]:
    """A list with two of its values exchanged."""
    changed = list(values)
    changed[one], changed[other] = changed[other], changed[one]
    return changed


@pytest.mark.parametrize(
    ("changes", "fact"),
    [
        ({"captions": ["a red thing"] * 20}, "corpus.hash"),
        ({"captions": [f"a {('red', 'blue')[n % 2]} thing" + "." * (n == 19) for n in range(20)]},
         "corpus.hash"),
        ({"labels": [0, 0, *range(2, 20)]}, "corpus.hash"),
        ({"labels": swapped(range(20), 18, 19)}, "corpus.hash"),
        ({"order": swapped(range(20), 0, 1)}, "corpus.hash"),
        ({"order": swapped(range(20), 0, 19)}, "corpus.hash"),
        ({"ends": (12, 15)}, "corpus.counts"),
    ],
)  # fmt: skip
def test_a_finished_run_answers_for_no_other_words_labels_or_splits(
    changes: dict[str, Any], fact: str, photographs: Path
) -> None:
    one = replace(TINY, epochs=1)
    assert list(train(of_folder(photographs), one, photographs / "run")) == []
    with pytest.raises(ValueError, match=rf"run holds another run: .*{fact}"):
        next(train(of_folder(photographs, **changes), one, photographs / "run"))


@pytest.mark.parametrize("number", [3, 14, 19])
def test_a_finished_run_answers_for_no_picture_that_was_changed_in_its_place(
    number: int, photographs: Path
) -> None:
    one, path = replace(TINY, epochs=1), photographs / f"{number:02d}.bmp"
    content, before = path.read_bytes(), path.stat()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(ValueError, match=r"run holds another run: images\.pixels is "):
        next(train(of_folder(photographs), one, photographs / "run"))
    path.write_bytes(content)
    assert list(train(of_folder(photographs), one, photographs / "run")) == []
