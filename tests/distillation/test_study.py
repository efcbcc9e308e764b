"""A table of configurations: who is trained once, who gets which modalities, what is read again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kit.amid.config import AMIDConfig, ablations, small
from kit.data.clips import ClipCorpus, Clips
from kit.data.splits import stratified_split
from kit.distillation.inputs import ClipInput
from kit.distillation.single import StudentAlone, TeacherAlone
from kit.distillation.study import pretrain_auxiliary, train_configurations
from kit.files import read_json

CONFIG = replace(small(), dim=8, epochs=2, warm_up_epochs=1, linear_decay_epochs=1, batch_size=4)
TARGET = {"seen": ClipInput("identity")}
VECTORS = {"heard": ClipInput("identity", frozen=True)}
SOUNDS = {"sound": ClipInput("small_audio")}
TWO = {"student alone": StudentAlone.like(CONFIG), "L_MI_s": CONFIG}


@pytest.fixture(scope="module")
def corpus() -> ClipCorpus:
    rng, labels = np.random.default_rng(0), [0, 1] * 10
    signs = 2.0 * np.array(labels)[:, None] - 1
    modalities = {
        "seen": (signs + rng.normal(size=(20, 6))).astype(np.float32),
        "heard": (signs + rng.normal(size=(20, 5))).astype(np.float32),
        "sound": rng.normal(size=(20, 8, 8)).astype(np.float32),
    }
    ids = [f"clip {row}" for row in range(20)]
    clips = Clips("all", ids, labels, modalities)
    return stratified_split(clips, ("no", "yes"), name="toy", seed=0)


def asked(folder: Path) -> dict[str, object]:
    config: dict[str, object] = read_json(folder / "config.json")["settings"]
    return config


def test_every_row_of_the_ablations_is_trained_with_what_it_needs(
    corpus: ClipCorpus, tmp_path: Path
) -> None:
    rows = ablations(CONFIG)
    folders = train_configurations(corpus, rows, tmp_path, target=TARGET, auxiliary=VECTORS, seed=3)
    assert list(folders) == list(rows)
    assert all((folder / "done").exists() for folder in folders.values())
    for row, folder in folders.items():
        heard = row not in ("student alone", "with fixed teacher")
        assert bool(asked(folder)["auxiliary"]) == heard, row
        assert asked(folder)["seed"] == 3
    teacher = read_json(folders["teacher alone"] / "config.json")["hash"]
    assert asked(folders["with fixed teacher"])["teacher"] == teacher


def test_finished_rows_are_read(corpus: ClipCorpus, tmp_path: Path) -> None:
    given = {"target": TARGET, "auxiliary": VECTORS}
    first = train_configurations(corpus, TWO, tmp_path, **given)
    written = [(folder / "result.json").stat().st_mtime_ns for folder in first.values()]
    again = train_configurations(corpus, TWO, tmp_path, **given)
    assert again == first
    assert [(folder / "result.json").stat().st_mtime_ns for folder in again.values()] == written


def test_an_auxiliary_network_is_trained_alone_and_then_fixed(
    corpus: ClipCorpus, tmp_path: Path
) -> None:
    config = replace(CONFIG, decay_at=(1,), selection="validation")
    fixed = pretrain_auxiliary(corpus, config, tmp_path, auxiliary=SOUNDS, seed=1)
    assert list(fixed) == ["sound"]
    assert fixed["sound"].frozen
    assert Path(str(fixed["sound"].weights)).exists()
    facts = asked(tmp_path / "auxiliary_sound")
    assert facts["target"] == {}
    assert facts["method"] == "kit.distillation.single.AuxiliaryAlone"
    (folder,) = train_configurations(
        corpus, {"AMID": CONFIG}, tmp_path, target=TARGET, auxiliary=fixed, seed=1
    ).values()
    assert (folder / "done").exists()


def test_what_is_fixed_or_has_weights_or_is_a_vector_stays(
    corpus: ClipCorpus, tmp_path: Path
) -> None:
    given = {
        "heard": ClipInput("identity"),
        "seen": ClipInput("identity", frozen=True),
        "sound": ClipInput("small_audio", weights="mine.safetensors"),
    }
    assert pretrain_auxiliary(corpus, CONFIG, tmp_path, auxiliary=given) == given
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"a b": CONFIG, "a-b": CONFIG}, r"names that differ in letters or figures, got a b, a-b"),
        (
            {"lonely": replace(CONFIG, teacher="frozen", auxiliary_information_weight=0.0)},
            r"lonely: expected one configuration that trains the teacher alone, got none",
        ),
        (
            {
                "one": TeacherAlone.like(CONFIG),
                "two": replace(TeacherAlone.like(CONFIG), learning_rate=1.0),
                "torn": replace(CONFIG, teacher="frozen", auxiliary_information_weight=0.0),
            },
            r"torn: expected one configuration that trains the teacher alone, got one, two",
        ),
    ],
)
def test_tables_that_cannot_be_are_refused(
    rows: dict[str, AMIDConfig], message: str, corpus: ClipCorpus, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        train_configurations(corpus, rows, tmp_path, target=TARGET, auxiliary=VECTORS)
    assert list(tmp_path.iterdir()) == []
