"""The small CNN trained on drawn pictures: what it is asked, what it learns, and its one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from kit.encoders.image import BACKBONES, image_backbone
from kit.retrieval.images import ImageInput
from kit.worlds.scenes import Scene, Thing, draw, pretraining, scenes
from kit.worlds.scenes.pretraining import _named, small_cnn_from_scenes
from kit.worlds.scenes.world import random_scene

RING = Thing("large", "dotted", "green", "ring", "left")
STAR = Thing("small", "plain", "red", "star", "left")
MOON = Thing("large", "dotted", "blue", "moon", "right")
# Of each place: small, large, plain, striped, dotted, checked, eight colours, eight shapes.
OF_RING, OF_STAR, OF_MOON = (1, 4, 9, 19), (0, 2, 6, 17), (1, 4, 10, 21)
LEFT, RIGHT, ANYWHERE, BEHIND = 3 * 22, 5 * 22, 9 * 22, 10 * 22


@pytest.mark.parametrize(
    ("things", "at"),
    [
        ([RING], {LEFT: OF_RING, ANYWHERE: OF_RING}),
        ([RING, STAR], {LEFT: OF_RING + OF_STAR, ANYWHERE: OF_RING + OF_STAR}),
        ([MOON, RING], {LEFT: OF_RING, RIGHT: OF_MOON, ANYWHERE: OF_RING + OF_MOON}),
    ],
)
def test_answers_by_hand(things: list[Thing], at: dict[int, tuple[int, ...]]) -> None:
    answers = _named(Scene(tuple(things), "night"))
    assert answers.shape == (10 * 22 + 6,)
    yes = {first + one for first, several in at.items() for one in several} | {BEHIND + 3}
    assert {*answers.nonzero().flatten().tolist()} == yes
    assert answers.sum() == len(yes)
    if len(things) == 1:
        assert len(yes) == 4 + 4 + 1


# ---- the file


def make(folder: Path, **other: int) -> Path:
    """In less than a second."""
    return small_cnn_from_scenes(folder, **{"pictures": 33, "epochs": 1, "seed": 0, **other})


def test_same_arguments_same_weights_and_another_seed_other_weights(tmp_path: Path) -> None:
    first = load_file(make(tmp_path / "a"))
    torch.manual_seed(5)
    again, other = load_file(make(tmp_path / "b")), load_file(make(tmp_path / "a", seed=1))
    assert first.keys() == again.keys() == other.keys()
    for name, tensor in first.items():
        assert torch.equal(tensor, again[name]), name
        if tensor.is_floating_point():
            assert not torch.equal(tensor, other[name]), name


def test_a_file_that_is_there_is_used_again_and_other_arguments_have_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make(tmp_path)
    made = path.stat().st_mtime_ns
    monkeypatch.setattr(pretraining, "_trained", lambda network, *_: network)
    assert make(tmp_path) == path
    assert path.stat().st_mtime_ns == made
    others = [make(tmp_path, **{name: 34}) for name in ("pictures", "epochs", "seed")]
    assert len({path, *others}) == len([*tmp_path.iterdir()]) == 4


def test_what_is_interrupted_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: dict[str, Tensor], path: Path) -> None:
        Path(path).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(pretraining, "save_file", interrupted)
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path)
    monkeypatch.undo()
    assert [*tmp_path.iterdir()] == []
    assert load_file(make(tmp_path))


def test_chance_outside_stays_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also on GPUs: else the first run, which trains, and the second, which reads, would differ."""
    seeds: list[int] = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeds.append)
    torch.manual_seed(3)
    seeds.clear()
    before = torch.get_rng_state()
    make(tmp_path)
    assert torch.equal(torch.get_rng_state(), before)
    assert seeds == []


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"pictures": 1}, "expected pictures to be at least 2, got 1"),
        ({"epochs": 0}, "expected epochs to be at least 1, got 0"),
    ],
)
def test_too_little_is_refused(tmp_path: Path, wrong: dict[str, int], said: str) -> None:
    with pytest.raises(ValueError, match=f"small_cnn_from_scenes: {said}"):
        make(tmp_path / "new", **wrong)
    assert not (tmp_path / "new").exists()


# ---- what it has learnt


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_cnn_from_scenes(tmp_path_factory.mktemp("weights"), pictures=128, epochs=12)


def test_it_is_weights_for_a_frozen_backbone(trained: Path) -> None:
    given = ImageInput(weights=str(trained), frozen=True)
    backbone = image_backbone(given.backbone, weights=given.weights, frozen=given.frozen)
    loaded = backbone.loaded
    assert loaded is not None
    assert loaded.unexpected == ()
    tensors = load_file(trained)
    assert {*loaded.loaded} == tensors.keys() == backbone.network.state_dict().keys()
    for name, tensor in backbone.network.state_dict().items():
        assert torch.equal(tensor, tensors[name]), name


def explained(network: nn.Module) -> float:
    """The share of what stands where in new pictures that a line through the features tells."""
    rng = np.random.default_rng(99)
    shown = [random_scene(rng) for _ in range(300)]
    transform = BACKBONES["small_cnn"].transform
    pictures = [transform(draw(one, noise=0.02, seed=(99, row))) for row, one in enumerate(shown)]
    places = torch.stack([_named(one) for one in shown])[:, :198].reshape(-1, 9, 22)
    places = places[:, :, :2].sum(2)  # how many things, small ones and large ones
    with torch.no_grad():
        features = network.eval()(torch.stack(pictures))
    learnt, held_out = slice(150), slice(150, None)
    features = (features - features[learnt].mean(0)) / features[learnt].std(0)
    places = places - places[learnt].mean(0)
    shares = []
    for penalty in (10.0, 100.0, 1000.0):  # each network with the one that suits it
        gram = features[learnt].T @ features[learnt] + penalty * torch.eye(256)
        lines = torch.linalg.solve(gram, features[learnt].T @ places[learnt])
        rest = (places - features @ lines)[held_out]
        shares.append(1 - float(rest.square().sum() / places[held_out].square().sum()))
    return max(shares)


def test_it_sees_what_stands_where_better_than_an_untrained_network(trained: Path) -> None:
    untrained = []
    for seed in range(3):
        torch.manual_seed(seed)
        untrained.append(explained(image_backbone("small_cnn").network))
    assert explained(image_backbone("small_cnn", weights=trained).network) > max(untrained) + 0.15


def test_its_pictures_are_not_those_of_a_corpus_of_any_seed_nor_of_another_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[int, set[Scene]] = {0: set(), 1: set()}
    monkeypatch.setattr(pretraining, "_trained", lambda network, *_: network)
    for seed, noted in seen.items():

        def drawn(scene: Scene, *, noted: set[Scene] = noted, **dials: Any) -> Any:
            noted.add(scene)
            return draw(scene, **dials)

        monkeypatch.setattr(pretraining, "draw", drawn)
        make(tmp_path, pictures=200, seed=seed)
        assert len(noted) > 190
    for seed, noted in seen.items():
        corpus: Any = scenes(images=250, seed=seed)
        known = {scene for split in corpus.splits for scene in split.open_image.scenes}
        assert len(noted & (known | seen[1 - seed])) <= 4  # a few of the scenes of one thing
