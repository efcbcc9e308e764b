"""A method that is not in the package, trained by the same run: VSE++, as one would write it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from torch import Tensor

import kit.runs
from kit.data.pairs import PairBatch
from kit.itmeetsal.losses import inter_triplet_loss
from kit.itmeetsal.method import ITMeetsALConfig
from kit.retrieval.run import restore, train
from kit.retrieval.towers import SharedFeatures, Towers, TowersConfig
from kit.training import Epoch, Method, Turn
from kit.worlds.scenes import scenes


@dataclass(frozen=True)
class VSEPlusPlusConfig(TowersConfig):
    margin: float = 0.2

    def method(self, towers: Towers) -> VSEPlusPlus:
        return VSEPlusPlus(self, towers)


class VSEPlusPlus(Method[SharedFeatures, PairBatch]):
    def __init__(self, config: VSEPlusPlusConfig, towers: Towers) -> None:
        self.config, self.towers, self.networks = config, towers, towers.networks
        self.optimizers = {"generator": towers.optimizer()}

    def encode(self, batch: PairBatch) -> SharedFeatures:
        return self.towers.encode(batch)

    def turns(self, epoch: int) -> list[Turn[SharedFeatures, PairBatch]]:
        return [Turn("generator", self.optimizers["generator"], self.terms)]

    def terms(self, z: SharedFeatures, batch: PairBatch) -> dict[str, Tensor]:
        return {"ranking": inter_triplet_loss(*z, batch.labels, margin=self.config.margin)}


CONFIG = VSEPlusPlusConfig(
    dim=16, word_dim=8, lstm_units=8, epochs=2, batch_size=16, learning_rate=1e-3, min_word_count=2
)


def test_the_run_trains_keeps_tests_and_restores_it(tmp_path: Path) -> None:
    corpus = scenes(images=60, size=32)
    records = list(train(corpus, CONFIG, tmp_path, seed=1))
    epochs = [record for record in records if isinstance(record, Epoch)]
    assert [set(epoch.means) for epoch in epochs] == [{"ranking"}] * 2
    assert epochs[1].means["ranking"] < epochs[0].means["ranking"]
    assert list(train(corpus, CONFIG, tmp_path, seed=1)) == []  # it is finished
    retriever = restore(tmp_path, VSEPlusPlusConfig)
    assert retriever.encode_texts(["a red circle"]).shape == (1, 16)
    assert isinstance(retriever.method, VSEPlusPlus)


def test_load_knows_the_kits_methods_alone(tmp_path: Path) -> None:
    list(train(scenes(images=60, size=32), CONFIG, tmp_path))
    with pytest.raises(ValueError, match=r"^load: .* trained by '.*VSEPlusPlusConfig', which is n"):
        kit.runs.load(tmp_path)
    with pytest.raises(ValueError, match=r"^restore: .* was trained by .*VSEPlusPlusConfig, not b"):
        restore(tmp_path, ITMeetsALConfig)
