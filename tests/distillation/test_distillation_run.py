"""A run of AMID from clips to a folder that someone who has nothing else can use again."""

from __future__ import annotations

import json
import math
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from amid_cases import changed
from damage import DAMAGE, damage_file
from safetensors.torch import load_file, save_file
from torch import Tensor

import kit.runs
from kit.amid.config import AMIDConfig, ablations
from kit.amid.method import AMID
from kit.code_version import code_version
from kit.data.clip_batches import VideoCrop
from kit.data.clips import ClipCorpus, Clips
from kit.data.ragged import Ragged
from kit.data.splits import stratified_split
from kit.distillation.classifier import Classifier, SplitAnswers, restore, scores_of
from kit.distillation.inputs import ClipInput
from kit.distillation.run import read_map, read_test, train
from kit.distillation.single import AuxiliaryAlone, StudentAlone, TeacherAlone
from kit.files import file_hash
from kit.metrics import evaluate_classification, evaluate_knn, same_class_cosine
from kit.training import Epoch, Step

ALONE = {"student": StudentAlone, "teacher": TeacherAlone, "auxiliary": AuxiliaryAlone}
CLASSES = ("bounce", "spin", "pour", "fade")
TINY = AMIDConfig(
    dim=8,
    warm_up_epochs=1,
    epochs=3,
    decay_at=(),
    batch_size=8,
    optimizer="adam",
    learning_rate=1e-2,
    weight_decay=1e-4,
)
SEEN = {"seen": ClipInput("identity")}
HEARD = {"heard": ClipInput("identity")}
TOLD = {"told": ClipInput("lstm")}
BOTH: dict[str, Any] = {"target": SEEN, "auxiliary": {**HEARD, **TOLD}}


def clips(*, per_class: int = 10, noise: float = 0.5, seed: int = 0) -> Clips:
    """Each class has a place in what is seen, heard and told; noise is around it."""
    draw = np.random.default_rng((seed, 0))
    places = {name: draw.normal(size=(len(CLASSES), 6)) for name in ("seen", "heard", "told")}
    labels = [label for label in range(len(CLASSES)) for _ in range(per_class)]
    near = {
        name: place[labels] + noise * draw.normal(size=(len(labels), 6))
        for name, place in places.items()
    }
    steps = [
        near["told"][row] + noise * draw.normal(size=(1 + row % 4, 6)) for row in range(len(labels))
    ]
    return Clips(
        "all",
        [f"clip {row}" for row in range(len(labels))],
        labels,
        {
            "seen": near["seen"].astype(np.float32),
            "heard": 100 + 10 * near["heard"].astype(np.float32),
            "told": Ragged.of([one.astype(np.float32) for one in steps]),
        },
    )


@pytest.fixture(scope="module")
def corpus() -> ClipCorpus:
    return stratified_split(clips(), CLASSES, name="places", seed=0)  # 24, 8 and 8 clips


def exhausted(corpus: ClipCorpus, config: AMIDConfig, out: Path, **how: Any) -> Path:
    """A folder of a run that is done."""
    for _ in train(corpus, config, out, **BOTH | how):
        pass
    return out


@pytest.fixture(scope="module")
def folder(corpus: ClipCorpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("amid")
    records = list(train(corpus, TINY, folder, **BOTH))
    assert [type(record) for record in records] == ([Step] * 3 + [Epoch]) * 3
    return folder


@pytest.fixture(scope="module")
def teacher(corpus: ClipCorpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exhausted(corpus, TeacherAlone.like(TINY), tmp_path_factory.mktemp("teacher"))


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def networks(folder: Path) -> dict[str, Tensor]:
    return load_file(folder / "networks.safetensors")


def same(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def with_test(corpus: ClipCorpus, test: Clips) -> ClipCorpus:
    return replace(corpus, test=test)


# ---- what a run leaves behind


def test_folder_holds_all_that_is_needed_to_judge_it(folder: Path, corpus: ClipCorpus) -> None:
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert files == {
        "blueprint.json",
        "best.safetensors",
        "checkpoint.pt",
        "config.json",
        "corpus.json",
        "done",
        "environment.json",
        "extractors/told.safetensors",  # an identity has nothing to keep
        "history.jsonl",
        "map/clips.json",
        "map/epoch_000.safetensors",
        "map/epoch_001.safetensors",
        "map/epoch_002.safetensors",
        "networks.safetensors",
        "result.json",
        "test.safetensors",
    }
    asked = read(folder / "config.json")["settings"]
    assert AMIDConfig(**asked["config"]) == TINY
    assert asked["corpus"]["counts"] == corpus.counts == {"train": 24, "validation": 8, "test": 8}
    assert (asked["seed"], asked["precision"], asked["teacher"]) == (0, "float32", None)
    assert asked["code"] == code_version("kit.amid.config", "kit.distillation.run")
    assert [*asked["target"], *asked["auxiliary"]] == ["seen", "heard", "told"]
    facts = {"name": "places", "counts": corpus.counts, "notes": []}
    assert read(folder / "corpus.json") == facts
    assert read(folder / "environment.json")["torch"] == torch.__version__


def test_result_says_how_both_did_on_validation_and_test(folder: Path) -> None:
    result = read(folder / "result.json")
    assert result.keys() == {"test", "validation", "best", "epochs", "minutes", "alarms"}
    scores = {f"{model} {name}" for model in ("student", "teacher") for name in ("top-1", "UA")}
    scores |= {"gap", "same-class cosine"}
    recalls = {f"{model} R@{k}" for model in ("student", "teacher") for k in (1, 5)}
    assert result["validation"].keys() == scores
    assert result["test"].keys() == scores | recalls
    assert result["epochs"] == 3
    assert result["minutes"] > 0
    history = kit.runs.read_history(folder)
    assert [epoch["scores"].keys() for epoch in history] == [scores] * 3
    assert history[-1]["scores"] == pytest.approx(result["validation"])
    best = max(epoch["scores"]["student top-1"] for epoch in history)
    assert (result["best"]["score"], result["best"]["by"]) == (best, "student top-1")
    for part in (result["test"], *(epoch["scores"] for epoch in history)):
        assert part["gap"] == pytest.approx(part["teacher top-1"] - part["student top-1"])


def test_history_has_the_terms_of_warm_up_and_distillation(folder: Path) -> None:
    first, *rest = (epoch["means"] for epoch in kit.runs.read_history(folder))
    assert "jensen_shannon" in first
    assert not [name for name in first if "information" in name or "adversarial" in name]
    for means in rest:
        assert {"student_information", "auxiliary_information", "own_cosine"} <= means.keys()
        assert {"sample_discriminator", "class_discriminator_adversarial"} <= means.keys()


def test_the_result_can_be_had_again_from_the_folder(folder: Path, corpus: ClipCorpus) -> None:
    classifier, result = kit.runs.load(folder), read(folder / "result.json")
    assert not any(module.training for module in classifier.method.networks.modules())
    assert classifier.scores(corpus.validation) == pytest.approx(result["validation"])
    test, gallery = (classifier.answers(split) for split in (corpus.test, corpus.train))
    for model in ("student", "teacher"):
        scores = evaluate_classification(test[model].logits, corpus.test.labels)
        assert result["test"][f"{model} top-1"] == scores.top1
        assert result["test"][f"{model} UA"] == pytest.approx(scores.unweighted_accuracy)
        found = evaluate_knn(
            test[model].features,
            gallery[model].features,
            corpus.test.labels,
            corpus.train.labels,
            query_ids=corpus.test.ids,
            gallery_ids=corpus.train.ids,
        )
        assert {k: result["test"][f"{model} R@{k}"] for k in (1, 5)} == found.recall
    cosine = same_class_cosine(
        test["student"].features, test["teacher"].features, corpus.test.labels
    )
    assert result["test"]["same-class cosine"] == pytest.approx(cosine)


def test_what_was_said_of_the_test_split_is_kept(folder: Path, corpus: ClipCorpus) -> None:
    kept, said = read_test(folder), kit.runs.load(folder).answers(corpus.test)
    assert kept.labels.tolist() == corpus.test.labels
    assert kept.probabilities.keys() == kept.features.keys() == {"student", "teacher"}
    for model in said:
        torch.testing.assert_close(kept.features[model], said[model].features)
        torch.testing.assert_close(kept.probabilities[model], said[model].logits.softmax(1))
    right = (kept.probabilities["student"].argmax(1) == kept.labels).float().mean().item()
    assert 100 * right == read(folder / "result.json")["test"]["student top-1"]


def test_map_holds_test_clips_after_each_epoch(folder: Path, corpus: ClipCorpus) -> None:
    kept, said = read_map(folder), kit.runs.load(folder).answers(corpus.test)
    assert kept.epochs == [0, 1, 2]
    assert kept.student.shape == kept.teacher.shape == (3, 8, 8)
    assert kept.labels == [CLASSES[label] for label in corpus.test.labels]
    assert read(folder / "map" / "clips.json")["ids"] == corpus.test.ids
    torch.testing.assert_close(kept.student[-1], said["student"].features)
    torch.testing.assert_close(kept.teacher[-1], said["teacher"].features)
    assert not torch.allclose(kept.student[0], kept.student[1])
    expected = [
        same_class_cosine(*pair, corpus.test.labels)
        for pair in zip(kept.student, kept.teacher, strict=True)
    ]
    assert kept.same_class_cosine.tolist() == pytest.approx(expected)


def test_a_map_of_many_clips_keeps_some_of_all_classes_and_the_cosine_of_all(
    corpus: ClipCorpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kit.distillation.run.MAP_CLIPS", 3)
    out = exhausted(corpus, replace(TINY, epochs=2), tmp_path / "run")
    kept = read_map(out)
    assert kept.student.shape == (2, 3, 8)
    rows = [0, len(corpus.test) // 3, 2 * len(corpus.test) // 3]  # the split is sorted by class
    assert kept.ids == [corpus.test.ids[row] for row in rows]
    assert kept.labels == [CLASSES[corpus.test.labels[row]] for row in rows] == list(CLASSES[:3])
    last = kit.runs.load(out).answers(corpus.test)["student"].features
    torch.testing.assert_close(kept.student[-1], last[rows])
    score = kit.runs.load(out).scores(corpus.test)["same-class cosine"]
    assert kept.same_class_cosine[-1].item() == pytest.approx(score)


def test_a_test_split_without_two_clips_of_a_class_has_no_cosine(
    corpus: ClipCorpus, tmp_path: Path
) -> None:
    rows = [corpus.test.labels.index(label) for label in range(len(CLASSES))]
    few = with_test(corpus, corpus.test.take(sorted(rows)))
    out = exhausted(few, replace(TINY, epochs=2), tmp_path / "run")
    assert read_map(out).same_class_cosine.isnan().all()
    result = read(out / "result.json")
    assert "same-class cosine" not in result["test"]
    assert "same-class cosine" in result["validation"]


# ---- a trained student is used again


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        (
            "seen",
            np.zeros((8, 6), np.uint8),
            r"^answers: expected 'seen' in fractions, as they were learnt, got whole numbers \('n",
        ),
        (
            "heard",
            np.zeros((8, 1), np.float32),
            r"identity was built for clips of \(6,\), got \(1,\)",
        ),
        ("told", np.zeros((8, 2, 5), np.float32), r"of \('steps', 6\), got \(2, 5\)$"),
    ],
)
def test_clips_unlike_those_that_were_learnt_are_refused(
    name: str, values: Any, message: str, folder: Path, corpus: ClipCorpus
) -> None:
    test = corpus.test
    other = Clips("new", test.ids, test.labels, {**test.modalities, name: values})
    with pytest.raises(ValueError, match=message):
        kit.runs.load(folder).answers(other)


def test_arrays_of_which_no_class_is_known_are_named(folder: Path, corpus: ClipCorpus) -> None:
    classifier = kit.runs.load(folder)
    seen = corpus.test.modality("seen")
    assert classifier.predict({"seen": seen}) == classifier.predict(corpus.test)
    with pytest.raises(ValueError, match=r"^predict: expected Clips or arrays, got nd"):
        classifier.predict(seen)
    with pytest.raises(ValueError, match=r"^Clips: "):
        classifier.predict({})


def test_sequences_that_happen_to_be_of_one_length_are_answered(
    folder: Path, corpus: ClipCorpus
) -> None:
    classifier, (row, *_) = (
        kit.runs.load(folder),
        np.flatnonzero(corpus.test.modality("told").lengths == 2),
    )
    one = corpus.test.take([row])
    stacked = {**one.modalities, "told": one.modality("told")[0][None]}
    again = classifier.answers(Clips("one", one.ids, one.labels, stacked))["teacher"]
    torch.testing.assert_close(again.logits, classifier.answers(one)["teacher"].logits)


def test_the_student_recognises_with_the_target_modality_alone(
    folder: Path, corpus: ClipCorpus
) -> None:
    classifier, test = kit.runs.load(folder), corpus.test
    alone = Clips(
        "new", [f"new {i}" for i in test.ids], test.labels, {"seen": test.modality("seen")}
    )
    said = classifier.answers(test)["student"].logits.argmax(1)
    predicted = classifier.predict(alone)
    assert predicted == classifier.predict(test) == [CLASSES[label] for label in said.tolist()]
    (found,) = classifier.answers(alone, ["student"]).values()
    torch.testing.assert_close(found.logits, classifier.answers(test)["student"].logits)
    with pytest.raises(ValueError, match=r"split 'new' has no modality 'heard', only seen$"):
        classifier.answers(alone)
    with pytest.raises(ValueError, match=r"^answers: model must be 'student' or 'teacher', got 'n"):
        classifier.answers(alone, ["nobody"])


def test_probabilities_are_means_over_windows() -> None:
    logits = torch.tensor([[0.0, 0.0], [math.log(3), 0.0], [0.0, math.log(9)]])
    said = SplitAnswers(torch.zeros(2, 8), logits, torch.tensor([0, 0, 1]))
    expected = torch.tensor([[(0.5 + 0.75) / 2, (0.5 + 0.25) / 2], [0.1, 0.9]])
    torch.testing.assert_close(said.probabilities(2), expected)


def test_scores_by_hand() -> None:
    student = torch.tensor([[3.0, 0], [0, 1], [0, 2], [0, 1]])  # right: 0, 2, 3
    teacher = torch.tensor([[3.0, 0], [2, 1], [0, 2], [5, 1]])  # right: 0, 1, 2
    features = {"student": torch.eye(4), "teacher": torch.eye(4)[[1, 0, 2, 3]]}
    said = {
        name: SplitAnswers(features[name], logits, torch.arange(4))
        for name, logits in (("student", student), ("teacher", teacher))
    }
    assert scores_of(said, [0, 0, 1, 1]) == pytest.approx(
        {
            "student top-1": 75.0,
            "student UA": (50 + 100) / 2,
            "teacher top-1": 75.0,
            "teacher UA": (100 + 50) / 2,
            "gap": 0.0,
            "same-class cosine": (1 + 1 + 0 + 0) / 4,
        }
    )
    assert "gap" not in scores_of({"student": said["student"]}, [0, 0, 1, 1])


def test_a_clip_of_several_windows_is_one_clip_by_their_mean() -> None:
    logits = torch.tensor([[math.log(9), 0.0], [0.0, math.log(1.5)], [0.0, 1.0]])
    said = {"student": SplitAnswers(torch.eye(2), logits, torch.tensor([0, 0, 1]))}
    # Clip 0: 0.9 and 0.4 for its class, more than half on average. Two of three windows are right.
    assert scores_of(said, [0, 1]) == {"student top-1": 100.0, "student UA": 100.0}


# ---- which epoch, and what chooses it


@pytest.mark.parametrize("selection", ["last", "validation"])
def test_the_epoch_that_is_kept_is_the_last_or_the_best_on_validation(
    selection: Any, corpus: ClipCorpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    falling = iter((2.0, 1.0, 0.0, 0.0))  # three epochs, then the validation split again
    scores = Classifier.scores
    monkeypatch.setattr(
        Classifier, "scores", lambda *given: scores(*given) | {"student top-1": next(falling)}
    )
    monkeypatch.setattr(AMID, "alarms", lambda *_: ("look",))
    out = exhausted(corpus, replace(TINY, selection=selection), tmp_path / "run")
    result = read(out / "result.json")
    assert result["best"] == {"epoch": 0, "score": 2.0, "by": "student top-1"}
    assert result["alarms"] == ["epoch 0: look", "epoch 1: look", "epoch 2: look"]
    last = torch.load(out / "checkpoint.pt", weights_only=True)["networks"]
    best = load_file(out / "best.safetensors")
    assert not same(last, best)
    assert same(networks(out), last if selection == "last" else best)
    kept = read_map(out).student[-1 if selection == "last" else 0]
    torch.testing.assert_close(read_test(out).features["student"], kept)


@pytest.mark.parametrize("selection", ["last", "validation"])
def test_the_test_split_chooses_nothing(selection: Any, corpus: ClipCorpus, tmp_path: Path) -> None:
    test = corpus.test
    rolled = Clips(
        "test",
        test.ids,
        [(label + 1) % len(CLASSES) for label in test.labels],
        {
            "seen": -5 * test.modality("seen"),
            "heard": test.modality("heard") ** 2,
            "told": test.modality("told").take([*range(len(test))][::-1]),
        },
    )
    config = replace(TINY, selection=selection)
    ours = exhausted(corpus, config, tmp_path / "ours")
    theirs = exhausted(with_test(corpus, rolled), config, tmp_path / "theirs")
    assert same(networks(ours), networks(theirs))
    results = [read(out / "result.json") for out in (ours, theirs)]
    assert results[0]["test"] != results[1]["test"]
    assert results[0]["validation"] == results[1]["validation"]
    assert results[0]["best"] == results[1]["best"]


def test_the_last_epoch_does_not_depend_on_validation_either(
    folder: Path, corpus: ClipCorpus, tmp_path: Path
) -> None:
    swapped = replace(
        corpus,
        validation=corpus.test.take(range(8), name="validation"),
        test=corpus.validation.take(range(8), name="test"),
    )
    assert same(networks(exhausted(swapped, TINY, tmp_path / "run")), networks(folder))


def test_scaling_is_learnt_from_the_training_split_alone(folder: Path, corpus: ClipCorpus) -> None:
    state = networks(folder)
    for name, role in (("seen", "target"), ("heard", "auxiliary"), ("told", "auxiliary")):
        modality = corpus.train.modality(name)
        values = modality.values if isinstance(modality, Ragged) else modality
        np.testing.assert_allclose(state[f"{role}.{name}.mean"], values.mean(0), rtol=1e-4)
        np.testing.assert_allclose(state[f"{role}.{name}.deviation"], values.std(0), rtol=1e-4)


# ---- models alone, and a fixed teacher


@pytest.mark.parametrize(
    ("trained", "inputs", "extractors"),
    [
        ("student", {"target": {**SEEN, **TOLD}, "auxiliary": {}}, {"told.safetensors"}),
        ("teacher", BOTH, {"told.safetensors"}),
        ("auxiliary", {"target": {}, "auxiliary": TOLD}, {"told.safetensors"}),
        ("auxiliary", {"target": {}, "auxiliary": HEARD}, set()),
    ],
)
def test_a_model_alone_is_trained_tested_and_used(
    trained: Any, inputs: Any, extractors: set[str], corpus: ClipCorpus, tmp_path: Path
) -> None:
    out = exhausted(corpus, ALONE[trained].like(TINY), tmp_path / "run", **inputs)
    result = read(out / "result.json")
    scores = {f"{trained} top-1", f"{trained} UA"}
    assert result["validation"].keys() == scores
    assert result["test"].keys() == scores | {f"{trained} R@1", f"{trained} R@5"}
    assert result["best"]["by"] == f"{trained} top-1"
    classifier = kit.runs.load(out)
    assert classifier.scores(corpus.validation) == pytest.approx(result["validation"])
    needed = {**inputs["target"], **inputs["auxiliary"]}
    given = {name: corpus.test.modality(name) for name in needed}
    alone = Clips("new", corpus.test.ids, corpus.test.labels, given)
    said = read_test(out).probabilities[trained].argmax(1)
    assert classifier.predict(alone) == [CLASSES[label] for label in said.tolist()]
    assert {path.name for path in out.glob("extractors/*")} == extractors
    with pytest.raises(ValueError, match=r"^read_map_frames: .* holds no features of an epoch$"):
        read_map(out)


def test_a_frozen_teacher_stays_what_it_was_and_the_student_learns_beside_it(
    teacher: Path, corpus: ClipCorpus, tmp_path: Path
) -> None:
    config = ablations(TINY)["with fixed teacher"]
    out = exhausted(corpus, config, tmp_path / "run", auxiliary={}, teacher_run=teacher)
    state, before = networks(out), networks(teacher)
    kept = {
        name.removeprefix("frozen_teacher.networks."): value
        for name, value in state.items()
        if name.startswith("frozen_teacher.")
    }
    assert same(kept, before)
    assert not torch.equal(state["classifier.weight"], before["classifier.weight"])
    assert not torch.equal(state["target_head.weight"], before["target_head.weight"])
    result, alone = (read(folder / "result.json") for folder in (out, teacher))
    for name in ("teacher top-1", "teacher UA", "teacher R@1", "teacher R@5"):
        assert result["test"][name] == alone["test"][name]
    assert read(out / "config.json")["settings"]["teacher"] == read(teacher / "config.json")["hash"]
    torch.testing.assert_close(read_map(out).teacher[0], read_map(out).teacher[-1])


def test_a_student_of_a_frozen_teacher_is_used_without_its_teachers_folder(
    teacher: Path, corpus: ClipCorpus, tmp_path: Path
) -> None:
    gone = Path(shutil.copytree(teacher, tmp_path / "teacher"))
    config = replace(ablations(TINY)["with fixed teacher"], epochs=2)
    out = exhausted(corpus, config, tmp_path / "run", auxiliary={}, teacher_run=gone)
    shutil.rmtree(gone)
    classifier = kit.runs.load(out)
    assert classifier.scores(corpus.test)["teacher top-1"] == pytest.approx(
        read(out / "result.json")["test"]["teacher top-1"]
    )
    seen = {"seen": corpus.test.modality("seen")}
    assert classifier.predict(Clips("new", corpus.test.ids, corpus.test.labels, seen))


def test_another_teacher_is_another_run(teacher: Path, corpus: ClipCorpus, tmp_path: Path) -> None:
    config = replace(ablations(TINY)["with fixed teacher"], epochs=2)
    how: dict[str, Any] = {"target": SEEN, "auxiliary": {}}
    exhausted(corpus, config, tmp_path / "run", **how, teacher_run=teacher)
    second = exhausted(corpus, replace(TeacherAlone.like(TINY), epochs=2), tmp_path / "second")
    with pytest.raises(ValueError, match=r"open_run: .* teacher is '\w+' there, '\w+' was asked"):
        next(train(corpus, config, tmp_path / "run", **how, teacher_run=second))
    assert list(train(corpus, config, tmp_path / "run", **how, teacher_run=teacher)) == []


def test_an_extractor_that_was_trained_alone_goes_in_fixed(
    corpus: ClipCorpus, tmp_path: Path
) -> None:
    alone = AuxiliaryAlone.like(TINY)
    first = exhausted(corpus, alone, tmp_path / "alone", target={}, auxiliary=TOLD)
    file = first / "extractors" / "told.safetensors"
    fixed = {"told": replace(TOLD["told"], weights=str(file), frozen=True)}
    out = exhausted(corpus, TINY, tmp_path / "run", auxiliary=fixed)
    prefix = "auxiliary.told.network."
    before, after = (
        {name: value for name, value in networks(run).items() if name.startswith(prefix)}
        for run in (first, out)
    )
    assert same(before, after)
    assert {prefix + name for name in load_file(file)} == before.keys()
    assert same(load_file(out / "extractors" / "told.safetensors"), load_file(file))
    trained = {"told": replace(fixed["told"], frozen=False)}
    more = exhausted(corpus, replace(TINY, epochs=2), tmp_path / "more", auxiliary=trained)
    assert not same(load_file(more / "extractors" / "told.safetensors"), load_file(file))
    shutil.rmtree(first)  # the run holds all its networks itself
    classifier = kit.runs.load(out)
    expected = read(out / "result.json")["validation"]
    assert classifier.scores(corpus.validation) == pytest.approx(expected)


def test_a_run_says_what_it_loaded_and_what_it_left_over(
    corpus: ClipCorpus, tmp_path: Path
) -> None:
    from kit.encoders.sequence import LSTMPool

    file = tmp_path / "weights.safetensors"
    state = LSTMPool(6, units=8).state_dict()
    save_file(state | {"head.weight": torch.zeros(2)}, file)
    asked = {"told": ClipInput("lstm", weights=str(file), frozen=True)}
    out = exhausted(corpus, replace(TINY, epochs=2), tmp_path / "run", auxiliary=asked)
    said = read(out / "weights.json")["told"]
    assert said == {
        "source": str(file),
        "loaded": list(state),
        "unexpected": ["head.weight"],
    }


def test_the_order_in_which_modalities_are_named_changes_nothing(
    corpus: ClipCorpus, folder: Path, tmp_path: Path
) -> None:
    """It would be the order of a network's inputs, and a resumed run's would be another."""
    turned = {"target": SEEN, "auxiliary": {**TOLD, **HEARD}}
    out = exhausted(corpus, TINY, tmp_path / "run", **turned)
    assert same(networks(out), networks(folder))


def test_what_failed_at_once_can_be_asked_rightly(corpus: ClipCorpus, tmp_path: Path) -> None:
    for wrong in ({"precision": "float16"}, {"seed": -1}):
        with pytest.raises(ValueError, match=r"precision must be|seed must be a whole number"):
            next(train(corpus, TINY, tmp_path, **BOTH, **wrong))
    assert (exhausted(corpus, replace(TINY, epochs=2), tmp_path) / "done").exists()


def test_a_student_begins_alike_with_a_frozen_teacher_and_without(
    corpus: ClipCorpus, teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows of a table are compared within a seed."""
    began: list[dict[str, Tensor]] = []

    def note(method: Any, *_: Any, **__: Any) -> Iterator[Any]:
        extractor = method.networks["target"]["told"].network.state_dict()
        began.append({name: value.clone() for name, value in extractor.items()})
        raise InterruptedError

    monkeypatch.setattr("kit.experiment.fit", note)
    fixed = replace(TINY, teacher="frozen", auxiliary_information_weight=0.0)
    online: dict[str, Any] = {"auxiliary": HEARD}
    for config, how in ((TINY, online), (fixed, {"auxiliary": {}, "teacher_run": teacher})):
        how = {"target": TOLD, **how}
        with pytest.raises(InterruptedError):
            next(train(corpus, config, tmp_path / config.teacher, **how))
    assert len(began[0]) > 0
    assert same(*began)


def test_moved_weights_are_the_same_run_and_other_weights_another(
    corpus: ClipCorpus, tmp_path: Path
) -> None:
    from kit.encoders.sequence import LSTMPool

    def fixed(seed: int, name: str) -> dict[str, ClipInput]:
        torch.manual_seed(seed)
        save_file(LSTMPool(6, units=8).state_dict(), tmp_path / name)
        return {"told": ClipInput("lstm", weights=str(tmp_path / name), frozen=True)}

    one = replace(TINY, epochs=2)
    out = exhausted(corpus, one, tmp_path / "run", auxiliary=fixed(0, "a.safetensors"))
    moved = fixed(0, "b.safetensors")
    assert list(train(corpus, one, out, target=SEEN, auxiliary=moved)) == []
    other = fixed(1, "a.safetensors")
    message = r"auxiliary\.told\.weights is '\w{16}' there, '\w{16}' was asked for$"
    with pytest.raises(ValueError, match=message):
        next(train(corpus, one, out, target=SEEN, auxiliary=other))


# ---- any tuple of modalities


@pytest.mark.parametrize(
    ("target", "auxiliary"),
    [
        (SEEN, HEARD),  # A-V
        (SEEN, TOLD),  # L-V
        (SEEN, {**HEARD, **TOLD}),  # AL-V
        (TOLD, SEEN),  # ragged target
        ({**SEEN, **TOLD}, HEARD),  # two targets
    ],
    ids=["A-V", "L-V", "AL-V", "ragged", "two"],
)
def test_any_modalities_are_target_and_auxiliary(
    target: Any, auxiliary: Any, corpus: ClipCorpus, tmp_path: Path
) -> None:
    one = replace(TINY, epochs=2)
    out = exhausted(corpus, one, tmp_path / "run", target=target, auxiliary=auxiliary)
    state, widths = networks(out), {"seen": 6, "heard": 6, "told": 8}
    assert state["teacher.0.weight"].shape == (8, 8 + sum(widths[name] for name in auxiliary))
    width = sum(widths[name] for name in target)
    assert ("target_head.weight" in state) == ([*target] != ["told"])
    if "target_head.weight" in state:
        assert state["target_head.weight"].shape == (8, width)
    test = {name: corpus.test.modality(name) for name in target}
    classifier = kit.runs.load(out)
    student = classifier.answers(
        Clips("new", corpus.test.ids, corpus.test.labels, test), ["student"]
    )
    torch.testing.assert_close(student["student"].features, read_test(out).features["student"])


CROP = VideoCrop(frames=2, size=16)
FILMED: dict[str, Any] = {
    "target": {"seen": ClipInput("small_video", crop=CROP)},
    "auxiliary": {"heard": ClipInput("small_audio")},
}


def lights() -> ClipCorpus:
    """Videos of 2..6 frames, dark or light, and a spectrogram of each."""
    draw = np.random.default_rng(0)
    labels = [row % 2 for row in range(20)]
    videos = [
        draw.integers(0, 40, (2 + row % 5, 20, 24, 3), dtype=np.uint8) + 180 * np.uint8(row % 2)
        for row in range(20)
    ]
    heard = draw.normal(size=(20, 16, 16)) + np.array(labels)[:, None, None]
    modalities = {"seen": Ragged.of(videos), "heard": heard.astype(np.float32)}
    everything = Clips("all", [f"{row}" for row in range(20)], labels, modalities)
    return stratified_split(everything, ("dark", "light"), name="lights", seed=0)


def test_long_videos_come_in_windows(tmp_path: Path) -> None:
    corpus = lights()
    config = replace(TINY, epochs=2, batch_size=4)
    out = exhausted(corpus, config, tmp_path / "run", **FILMED)
    classifier = kit.runs.load(out)
    assert classifier.blueprint.target["seen"].crop == CROP
    said = classifier.answers(corpus.test, ["student"])["student"]
    frames = [len(corpus.test.modality("seen")[row]) for row in range(len(corpus.test))]
    windows = [max(1, count // 2) for count in frames]
    assert max(windows) > 1
    assert said.clips.tolist() == [row for row, count in enumerate(windows) for _ in range(count)]
    assert said.features.shape == (len(corpus.test), 8)
    network = classifier.method.networks
    with torch.no_grad():
        for row in range(len(corpus.test)):
            clip = CROP.evaluation(corpus.test.modality("seen")[row])
            features = network["target_head"](network["target"]["seen"](clip))
            torch.testing.assert_close(said.features[row], features.mean(0), rtol=1e-4, atol=1e-5)
            logits = network["classifier"](features)
            mean = said.probabilities(len(corpus.test))[row]
            torch.testing.assert_close(mean, logits.softmax(1).mean(0), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(read_test(out).features["student"], said.features)


# ---- the same run again, goes on, or another one


def test_a_finished_run_is_read_and_not_trained_again(folder: Path, corpus: ClipCorpus) -> None:
    before = (folder / "history.jsonl").read_bytes()
    assert list(train(corpus, TINY, folder, **BOTH)) == []
    assert (folder / "history.jsonl").read_bytes() == before


@pytest.mark.usefixtures("bfloat16")
def test_another_run_is_refused_by_what_differs(folder: Path, corpus: ClipCorpus) -> None:
    relabelled = replace(
        corpus.test, labels=[(label + 1) % len(CLASSES) for label in corpus.test.labels]
    )
    asked: list[tuple[dict[str, Any], str]] = [
        (
            {"config": replace(TINY, temperature=0.6)},
            r"config\.temperature is 0\.5 there, 0\.6 was",
        ),
        ({"seed": 4}, r"seed is 0 there, 4 was asked for$"),
        ({"precision": "bfloat16"}, r"precision is 'float32' there, 'bfloat16' was asked for"),
        ({"auxiliary": TOLD}, r"auxiliary\.heard is \{.*'identity'.*\} there, None was asked for"),
        (
            {"target": {"seen": ClipInput("identity", scaling="none")}},
            r"target\.seen\.scaling is 'training' there, 'none' was asked for$",
        ),
        ({"corpus": with_test(corpus, relabelled)}, r"corpus\.hash is .* there, .* was asked for$"),
    ]
    for other, message in asked:
        given = {"corpus": corpus, "config": TINY, **BOTH, **other}
        with pytest.raises(ValueError, match=rf"open_run: .* holds another run: .*{message}"):
            next(train(given.pop("corpus"), given.pop("config"), folder, **given))


def test_the_seed_decides_everything(folder: Path, corpus: ClipCorpus, tmp_path: Path) -> None:
    again, other = (
        networks(exhausted(corpus, TINY, tmp_path / str(seed), seed=seed)) for seed in (0, 1)
    )
    assert same(again, networks(folder))
    assert changed(other, again) >= {"target_head", "teacher", "classifier", "adversary_weights"}


def interrupted(records: Iterator[Any], *, steps: int) -> None:
    """Stop as Ctrl-C does, when so many steps are done."""
    done = 0
    while done < steps - 1:
        done += isinstance(next(records), Step)
    signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt, match=r"stopped; .* goes on from here when run again"):
        next(records)


def closed(records: Iterator[Any], *, steps: int) -> None:
    """Stop as a killed process does: what came after the last checkpoint is lost."""
    done = 0
    while done < steps:
        done += isinstance(next(records), Step)
    records.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("stop", [interrupted, closed])
def test_a_run_that_was_stopped_twice_ends_the_same(
    stop: Callable[..., None], folder: Path, corpus: ClipCorpus, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    stop(train(corpus, TINY, out, **BOTH), steps=2)  # in the warm-up
    stop(train(corpus, TINY, out, **BOTH), steps=3 if stop is interrupted else 5)
    if stop is interrupted:
        state = torch.load(out / "checkpoint.pt", weights_only=True)
        assert (state["progress"]["epoch"], state["progress"]["step"]) == (1, 2)
        sums = state["networks"]["adversary_weights.pair_counts"]
        assert sums[0] == 2 * TINY.batch_size  # of an epoch that is not done
    with pytest.raises(ValueError, match=r"^restore: .* holds no trained networks yet$"):
        kit.runs.load(out)
    with pytest.raises(ValueError, match=r"^read_test: .* holds no finished run$"):
        read_test(out)
    exhausted(corpus, TINY, out)
    assert same(networks(out), networks(folder))
    assert same(load_file(out / "test.safetensors"), load_file(folder / "test.safetensors"))
    for epoch in range(3):
        name = f"map/epoch_{epoch:03d}.safetensors"
        assert same(load_file(out / name), load_file(folder / name)), name
    histories = [
        [{k: v for k, v in e.items() if k != "seconds"} for e in kit.runs.read_history(run)]
        for run in (out, folder)
    ]
    assert histories[0] == histories[1]
    assert read(out / "result.json")["test"] == read(folder / "result.json")["test"]
    assert not (out / "lock").exists()


def test_a_run_that_died_while_it_was_scored_is_scored(
    folder: Path, corpus: ClipCorpus, tmp_path: Path
) -> None:
    out = Path(shutil.copytree(folder, tmp_path / "run"))
    for name in ("done", "result.json", "networks.safetensors", "test.safetensors"):
        (out / name).unlink()
    assert list(train(corpus, TINY, out, **BOTH)) == []
    assert read(out / "result.json") == read(folder / "result.json")
    for name in ("networks", "test"):
        assert same(*(load_file(run / f"{name}.safetensors") for run in (out, folder)))


def test_a_folder_without_an_epoch_has_no_map(corpus: ClipCorpus, tmp_path: Path) -> None:
    closed(train(corpus, TINY, tmp_path / "run", **BOTH), steps=1)
    with pytest.raises(ValueError, match=r"^read_map_frames: .* holds no features of an epoch$"):
        read_map(tmp_path / "run")


def test_workers_change_nothing(folder: Path, corpus: ClipCorpus, tmp_path: Path) -> None:
    out = exhausted(corpus, TINY, tmp_path / "run", workers=2)
    assert same(networks(out), networks(folder))


@pytest.mark.usefixtures("bfloat16")
def test_bfloat16_is_another_run(corpus: ClipCorpus, tmp_path: Path) -> None:
    full, half = (
        networks(exhausted(corpus, TINY, tmp_path / precision, precision=precision))
        for precision in ("float32", "bfloat16")
    )
    assert {value.dtype for value in half.values()} == {value.dtype for value in full.values()}
    assert not same(full, half)


# ---- what is refused, and before anything is written


def test_a_processor_without_bfloat16_is_told_so_before_there_is_a_folder(
    corpus: ClipCorpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kit.training._missing_in_bfloat16", lambda onednn: ["LSTM"])
    with pytest.raises(
        ValueError, match=r"^train: precision 'bfloat16' .* use precision 'float32'"
    ):
        exhausted(corpus, TINY, tmp_path / "run", precision="bfloat16")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("config", "given", "message"),
    [
        ({}, {"target": {}}, r"^train: AMIDConfig needs target and auxiliary, got auxiliary$"),
        ({}, {"auxiliary": {}}, r"^train: AMIDConfig needs target and auxiliary, got target$"),
        (
            {},
            {"auxiliary": {**SEEN, **HEARD}},
            r"^train: target and auxiliary share seen$",
        ),
        (
            {},
            {"teacher_run": "x"},
            r"needs target and auxiliary, got target and auxiliary and frozen_teacher$",
        ),
        (
            {"teacher": "frozen", "auxiliary_information_weight": 0.0},
            {"auxiliary": {}},
            r"^train: AMIDConfig needs target and frozen_teacher, got target$",
        ),
        (
            {"teacher": "frozen", "auxiliary_information_weight": 0.0},
            {"teacher_run": "x"},
            r"needs target and frozen_teacher, got target and auxiliary and frozen_teacher$",
        ),
        (
            {"teacher": "frozen", "auxiliary_information_weight": 0.0},
            {"auxiliary": {}, "teacher_run": "nowhere"},
            r"^train: teacher_run nowhere holds no finished run$",
        ),
        ({}, {"target": {"felt": ClipInput("identity")}}, r"^modality 'felt': the clips have only"),
        ({}, {"target": {"seen": ClipInput("lstm")}}, r"^modality 'seen': ClipEncoder: lstm takes"),
        (
            {"batch_size": 25},
            {},
            r"^TrainingClips: expected 1..24 clips a batch, got 25$",
        ),
        (
            {},
            {
                "target": {"seen": ClipInput("small_video", crop=VideoCrop())},
                "auxiliary": {"heard": ClipInput("small_video", crop=VideoCrop())},
            },
            r"^train: expected at most one cropped modality, got seen, heard$",
        ),
        ({"dim": 6}, {}, r"AMIDConfig: dim must be a whole number of at least 8, got 6$"),
        (
            {},
            {"auxiliary": {"told": ClipInput("lstm", weights="none.pt", frozen=True)}},
            r"^ClipInput: cannot read none\.pt: No such file or directory$",
        ),
    ],
)
def test_what_does_not_fit_is_refused_before_there_is_a_folder(
    config: dict[str, Any], given: dict[str, Any], message: str, corpus: ClipCorpus, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        next(train(corpus, replace(TINY, **config), tmp_path / "run", **BOTH | given))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("model", "given", "message"),
    [
        ("student", {}, r"^train: StudentAlone needs target, got target and auxiliary$"),
        ("student", {"target": {}}, r"^train: StudentAlone needs target, got auxiliary$"),
        ("auxiliary", {}, r"^train: AuxiliaryAlone needs auxiliary, got target and auxiliary$"),
    ],
)
def test_a_model_alone_takes_what_it_reads(
    model: str, given: dict[str, Any], message: str, corpus: ClipCorpus, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        next(train(corpus, ALONE[model].like(TINY), tmp_path / "run", **BOTH | given))
    assert not (tmp_path / "run").exists()


def test_teachers_that_do_not_fit_are_refused(
    folder: Path, teacher: Path, corpus: ClipCorpus, tmp_path: Path
) -> None:
    config = ablations(TINY)["with fixed teacher"]
    how: dict[str, Any] = {"target": SEEN, "auxiliary": {}}
    with pytest.raises(ValueError, match=r"^restore: .* trained by .*AMIDConfig, not by .*Alone$"):
        next(train(corpus, config, tmp_path / "run", **how, teacher_run=folder))
    other = stratified_split(clips(), CLASSES, name="places", seed=1)
    message = (
        r"^train: teacher_run .* learnt from other clips \(places\): .* be in this test split$"
    )
    with pytest.raises(ValueError, match=message):
        next(train(other, config, tmp_path / "run", **how, teacher_run=teacher))
    with pytest.raises(ValueError, match=r"^AMID: expected a frozen teacher of width 16, got 8$"):
        next(train(corpus, replace(config, dim=16), tmp_path / "run", **how, teacher_run=teacher))
    assert not (tmp_path / "run").exists()


def test_student_and_frozen_teacher_cut_a_video_in_one_way(tmp_path: Path) -> None:
    corpus, one = lights(), replace(TINY, epochs=2, batch_size=4)
    teacher = exhausted(corpus, TeacherAlone.like(one), tmp_path / "teacher", **FILMED)
    config = ablations(one)["with fixed teacher"]
    longer = {"seen": ClipInput("small_video", crop=replace(CROP, frames=3))}
    message = r"^train: student and teacher must crop 'seen' alike, got VideoCrop\(frames=3"
    for target in (longer, {"seen": ClipInput("small_video")}):
        with pytest.raises(
            ValueError, match=message if target is longer else "alike, got None and"
        ):
            next(
                train(
                    corpus,
                    config,
                    tmp_path / "run",
                    target=target,
                    auxiliary={},
                    teacher_run=teacher,
                )
            )
    ours = {**FILMED, "auxiliary": {}}
    out = exhausted(corpus, config, tmp_path / "run", **ours, teacher_run=teacher)
    said = [read_test(folder).features["teacher"] for folder in (out, teacher)]
    torch.testing.assert_close(*said)


# ---- it learns


@pytest.mark.parametrize("row", ["L_MI_s + L_MI_a + L_adv (AMID)", "AMID with L_nce", "w/o D_2"])
def test_student_and_teacher_recognise_unseen_clips(row: str, tmp_path: Path) -> None:
    corpus = stratified_split(
        clips(per_class=30, noise=0.6, seed=2), CLASSES, name="places", seed=0
    )
    config = replace(
        TINY, dim=16, epochs=12, warm_up_epochs=3, batch_size=12, linear_decay_epochs=4
    )
    out = exhausted(corpus, ablations(config)[row], tmp_path / "run")
    scores = read(out / "result.json")["test"]
    assert scores["student top-1"] >= 75  # chance: 25
    assert scores["teacher top-1"] >= 90
    assert scores["student R@1"] >= 75
    assert scores["same-class cosine"] > 0.5


# ---- folders that were damaged, and folders that somebody made up

FILES = """networks.safetensors best.safetensors blueprint.json corpus.json config.json
    history.jsonl map/epoch_000.safetensors map/clips.json result.json test.safetensors
    extractors/told.safetensors done""".split()  # noqa: SIM905


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_named_by_whoever_reads_it(
    damage: str, name: str, folder: Path, corpus: ClipCorpus, tmp_path: Path
) -> None:
    damaged = tmp_path / "run"
    shutil.copytree(folder, damaged)
    damage_file(damaged / name, damage)
    if (name, damage) == ("done", "deleted"):  # goes on from its checkpoint, and is tested again
        assert exhausted(corpus, TINY, damaged) == damaged
        kit.runs.load(damaged)
        return
    readers: list[Callable[[], object]] = [
        lambda: kit.runs.load(damaged),
        lambda: restore(damaged, AMIDConfig),
        lambda: exhausted(corpus, TINY, damaged),
    ]
    readers += [lambda: read_map(damaged)] * name.startswith("map/")
    readers += [lambda: read_test(damaged)] * name.startswith("test")
    readers += [lambda: kit.runs.read_history(damaged)] * name.startswith("history")
    for read_again in readers:
        with pytest.raises(ValueError, match=rf"{name} is (damaged|missing)|{name}:|no {name}"):
            read_again()


@pytest.mark.parametrize("name", ["networks.safetensors", "blueprint.json", "config.json"])
@pytest.mark.parametrize("damage", DAMAGE)
def test_nobody_learns_from_a_damaged_teacher(
    damage: str, name: str, teacher: Path, corpus: ClipCorpus, tmp_path: Path
) -> None:
    damaged = tmp_path / "teacher"
    shutil.copytree(teacher, damaged)
    damage_file(damaged / name, damage)
    config = replace(TINY, teacher="frozen", auxiliary_information_weight=0.0)
    how: dict[str, Any] = {"auxiliary": {}, "teacher_run": damaged}
    with pytest.raises(ValueError, match=rf"{name} is (damaged|missing)|{name}:|no {name}"):
        exhausted(corpus, config, tmp_path / "run", **how)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"config": {"dim": 10**7}},
        {"config": {"dim": 10**30}},
        {"config": {"dim": None}},
        {"config": {"depth": 3}},
        {"kinds": {"seen": [[10**9], False, False]}},
        {"kinds": {"told": [[10**9], True, False]}},
        {"kinds": {}},
        {"kinds": 5},
        {"class_counts": [1] * 10**6},
        {"target": {"seen": {"encoder": "vgg"}}},
        {"target": None},
        {"teacher": {"method": 1}},
    ],
    ids=lambda changes: str(changes)[:60],
)
def test_a_foreign_blueprint_builds_nothing_that_its_tensors_do_not_have(
    changes: dict[str, Any], folder: Path, tmp_path: Path
) -> None:
    forged = tmp_path / "run"
    shutil.copytree(folder, forged)
    blueprint = read(forged / "blueprint.json")
    for key, value in changes.items():
        merged = isinstance(value, dict) and value and isinstance(blueprint[key], dict)
        blueprint[key] = blueprint[key] | value if merged else value
    (forged / "blueprint.json").write_text(json.dumps(blueprint))
    files = read(forged / "done")["files"]
    files["blueprint.json"] = file_hash("forge", forged / "blueprint.json")
    facts = {"hash": kit.runs.settings_hash(files), "files": files}
    (forged / "done").write_text(json.dumps(facts))
    with pytest.raises(ValueError, match=r"^(restore|load_weights): .*run/(blueprint|networks)\."):
        kit.runs.load(forged)


# ---- arguments


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"corpus": None}, "corpus must be a ClipCorpus, got None"),
        ({"config": {"dim": 8}}, "config must be a TrainingConfig, got a dict"),
        ({"out": None}, "out must be a Path or a string"),
        ({"target": None}, "target must be a mapping"),
        ({"target": ["seen"]}, "target must be a mapping"),
        ({"auxiliary": {"heard": "identity"}}, "auxiliary must be a mapping to a ClipInput"),
        *(({"seed": wrong}, "seed must be a whole number") for wrong in (1.0, "1", True, -1)),
        *(({"workers": wrong}, "workers must be a whole number") for wrong in ("2", -1)),
        *(({"device": wrong}, "device must be ") for wrong in (None, "gpu", "meta")),
    ],
)
def test_arguments_of_another_type_are_named_before_there_is_a_folder(
    changes: dict[str, Any], message: str, corpus: ClipCorpus, tmp_path: Path
) -> None:
    given = {"corpus": corpus, "config": TINY, "out": tmp_path / "run", **BOTH} | changes
    with pytest.raises(ValueError, match=rf"^train: {message}"):
        next(train(**given))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("wrong", [5, b"teacher"])
def test_a_teachers_folder_is_a_path(wrong: Any, corpus: ClipCorpus, tmp_path: Path) -> None:
    config = replace(TINY, teacher="frozen", auxiliary_information_weight=0.0)
    with pytest.raises(ValueError, match=r"^train: teacher_run must be a Path or a string"):
        exhausted(corpus, config, tmp_path / "run", auxiliary={}, teacher_run=wrong)


def test_numbers_of_numpy_are_the_run_of_plain_ones(folder: Path, corpus: ClipCorpus) -> None:
    same = replace(TINY, dim=np.int64(8), learning_rate=np.float64(1e-2), epochs=torch.tensor(3))
    assert list(train(corpus, same, folder, seed=np.int64(0), **BOTH)) == []


@pytest.mark.parametrize("kept", [1, 2])
def test_few_clips_without_every_class_are_tested(
    kept: int, corpus: ClipCorpus, tmp_path: Path
) -> None:
    test, validation = (part.take(range(kept)) for part in (corpus.test, corpus.validation))
    few = replace(corpus, test=test, validation=validation)
    folder = exhausted(few, replace(TINY, epochs=2), tmp_path / "run")
    assert 0 <= read(folder / "result.json")["test"]["student top-1"] <= 100
    assert read_map(folder).student.shape == (2, kept, 8)
    assert read_test(folder).labels.tolist() == list(test.labels)


@pytest.mark.parametrize("wrong", [None, 5, "clips", [1, 2], np.zeros((2, 6))])
def test_what_is_no_clips_is_named(wrong: Any, folder: Path) -> None:
    classifier = kit.runs.load(folder)
    for function in (classifier.answers, classifier.scores):
        with pytest.raises(ValueError, match=r"(answers|scores): clips must be a Clips, got "):
            function(wrong)
    with pytest.raises(ValueError, match=r"^predict: expected Clips or arrays"):
        classifier.predict(wrong)


@pytest.mark.parametrize("wrong", ["student", [None], 5])
def test_models_are_a_list_of_names(wrong: Any, folder: Path, corpus: ClipCorpus) -> None:
    with pytest.raises(ValueError, match=r"answers: models must be a list of strings"):
        kit.runs.load(folder).answers(corpus.test, wrong)
