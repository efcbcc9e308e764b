"""Whole trainings under pretended CUDA: no tensor on the wrong device, few waits for the GPU."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from pretended_cuda import PretendedCuda
from torch import Tensor

import kit.runs
from kit.amid.config import AMIDConfig, ablations, small
from kit.data.clips import ClipCorpus
from kit.data.log_mel import LogMel
from kit.distillation.inputs import ClipInput
from kit.distillation.run import train as train_clips
from kit.distillation.study import pretrain_auxiliary, train_configurations
from kit.itmeetsal import method
from kit.itmeetsal.method import PRESETS
from kit.retrieval.images import ImageInput
from kit.retrieval.run import train as train_pairs
from kit.training import Step
from kit.worlds.actions import sounding_actions
from kit.worlds.scenes import scenes, small_cnn_from_scenes

SIZES: dict[str, Any] = {"dim": 16, "word_dim": 8, "lstm_units": 8, "batch_size": 16, "epochs": 1}
AMID = replace(small(), dim=16, epochs=2, warm_up_epochs=1, linear_decay_epochs=1, batch_size=8)
VIDEO = {"video": ClipInput("small_video", shift=1)}
SOUND = {"log_mel": ClipInput("small_audio")}
METERED_EVERY = 10  # steps, of `fit`: there the loop looks as often as it likes


@pytest.fixture(scope="module")
def actions() -> ClipCorpus:
    corpus = sounding_actions(classes=4, clips_per_class=30)
    return corpus.with_modality("log_mel", "sound", LogMel())


def pairs(out: Path, preset: str = "paper", **how: Any) -> Iterator[Any]:
    config = replace(PRESETS[preset](), discriminator_every=1, **SIZES)
    return train_pairs(scenes(images=60, size=32), config, out, device="cuda", **how)


def waits_by_step(gpu: PretendedCuda, records: Iterator[Any]) -> list[int]:
    """Waits of every training step where nothing is metered."""
    found, before = [], 0
    for record in records:
        counted = sum(gpu.waits.values())
        if isinstance(record, Step) and record.progress.step % METERED_EVERY > 1:
            found.append(counted - before)
        before = sum(gpu.waits.values())
    return found


@pytest.mark.parametrize("preset", ["paper", "separate"])
def test_itmeetsal_trains_evaluates_and_goes_on(preset: str, tmp_path: Path) -> None:
    with PretendedCuda() as gpu:
        waits = waits_by_step(gpu, pairs(tmp_path / "whole", preset))
        records = pairs(tmp_path / "torn", preset)
        next(records)
        with pytest.raises(KeyboardInterrupt):
            records.throw(KeyboardInterrupt)
        for _ in pairs(tmp_path / "torn", preset):
            pass
    assert gpu.mixes == Counter()
    assert waits
    assert max(waits) <= 2
    assert any("metrics" in where for where, _ in gpu.waits), "evaluated on the device"


def test_frozen_features_are_computed_on_the_device(tmp_path: Path) -> None:
    weights = str(small_cnn_from_scenes(tmp_path, pictures=16, epochs=1))
    images = ImageInput(weights=weights, frozen=True)
    with PretendedCuda() as gpu:
        waits = waits_by_step(gpu, pairs(tmp_path / "run", images=images))
    assert gpu.mixes == Counter()
    assert max(waits) <= 2
    assert any("retrieval/features" in where for where, _ in gpu.waits), "they came back from it"


def test_amid_trains_with_two_adversaries_with_fixed_sound_and_with_a_frozen_teacher(
    actions: ClipCorpus, tmp_path: Path
) -> None:
    with PretendedCuda() as gpu:
        records = train_clips(
            actions, AMID, tmp_path / "amid", target=VIDEO, auxiliary=SOUND, device="cuda"
        )
        waits = waits_by_step(gpu, records)
        rows = {name: ablations(AMID)[name] for name in ("teacher alone", "with fixed teacher")}
        fixed = pretrain_auxiliary(actions, AMID, tmp_path, auxiliary=SOUND, device="cuda")
        how: dict[str, Any] = {"target": VIDEO, "auxiliary": fixed, "device": "cuda"}
        train_configurations(actions, rows, tmp_path, **how)
    assert gpu.mixes == Counter()
    assert waits
    assert max(waits) <= 2
    assert kit.runs.load(tmp_path / "amid").predict(actions.test)


def mixed(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def planted(*args: Any, **kwargs: Any) -> Tensor:
        return (function(*args, **kwargs) * torch.ones(1)).squeeze()  # on the CPU, no scalar

    return planted


def waiting(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def planted(*args: Any, **kwargs: Any) -> Tensor:
        loss = function(*args, **kwargs)
        return loss if loss.item() > 0 else 2 * loss

    return planted


def taken_to_numpy(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def planted(*args: Any, **kwargs: Any) -> Tensor:
        loss = function(*args, **kwargs)
        return loss + 0 * float(loss.detach().numpy())

    return planted


@pytest.mark.parametrize("fault", [mixed, waiting, taken_to_numpy])
def test_planted_faults_are_found(
    fault: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loss = method.bidirectional_triplet_loss
    monkeypatch.setattr(method, "bidirectional_triplet_loss", fault(loss))
    with PretendedCuda() as gpu:
        waits = waits_by_step(gpu, pairs(tmp_path))
    assert bool(gpu.mixes) == (fault is not waiting)
    assert (max(waits) > 2) == (fault is waiting)


def test_two_waits_are_those_of_two_turns(tmp_path: Path) -> None:
    with PretendedCuda() as gpu:
        waits = waits_by_step(gpu, pairs(tmp_path))
    assert set(waits) == {2}
    assert AMIDConfig().reads == ("target", "auxiliary")
