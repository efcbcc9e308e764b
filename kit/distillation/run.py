"""A training run on clips: what it takes in, what it leaves behind, and how it is used again.

for record in train(corpus, small(), "runs/amid", target=..., auxiliary=...):
    ...
classifier = kit.runs.load("runs/amid")
classifier.predict(clips)  # with the target modality alone
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from kit.code_version import code_version
from kit.data.clip_batches import ClipLoader, TrainingBatches
from kit.data.clips import ClipCorpus, Clips
from kit.data.epochs import spare_cores
from kit.distillation.classifier import Classifier, ClassifierBlueprint, restore, scores_of
from kit.distillation.config import TrainingConfig
from kit.distillation.inputs import ClipInput, ClipKind, crops, shifts
from kit.distillation.networks import ClipEncoder, Models
from kit.distillation.single import TeacherAlone
from kit.experiment import Experiment, carry_out
from kit.files import atomic, read_json, write_json
from kit.metrics.neighbours import evaluate_knn, same_class_cosine
from kit.runs import dotted_name, read_map_frames, seed_everything
from kit.training import Epoch, Record, check_precision

MAP_CLIPS = 200  # clips of the test split whose features are kept of each epoch

Inputs = Mapping[str, ClipInput]


def train(
    corpus: ClipCorpus,
    config: TrainingConfig,
    out: Path | str,
    *,
    target: Inputs,
    auxiliary: Inputs,
    teacher_run: Path | str | None = None,
    seed: int = 0,
    device: str = "cpu",
    precision: str = "float32",
    workers: int | None = None,
) -> Iterator[Record]:
    """Train student and teacher together (or one model alone), and score them on the test split.

    A run that was stopped goes on where it was; a finished one yields nothing and is read instead.
    The test split chooses nothing: what is tested is the last epoch, or the one that did best on
    the validation split, as `config.selection` says.

    Args:
        corpus: clips in three splits.
        config: the method's numbers.
        out: the run folder.
        target: how each modality enters that the student has; none for an auxiliary alone.
        auxiliary: how each of the others enters; none for a student alone.
        teacher_run: the finished run of a teacher alone, on the same corpus, for a fixed teacher.
        seed: of everything that is drawn.
        device: ``"cpu"``, ``"cuda"``, ...
        precision: ``"float32"`` or ``"bfloat16"`` (encoders under autocast, losses in float32).
        workers: loader processes; if not given, by the number of cores where videos are cut.

    Yields:
        The records of `kit.training.fit`.

    Raises:
        ValueError: modalities that the models asked for do not need or lack; two that are cropped;
            a teacher run of another corpus or with another crop; `out` holds another run (the
            difference is named); and whatever the encoders refuse.
        FloatingPointError: a term that is not finite.

    """
    check_precision("train", precision, device)
    # Their order is that of a network's inputs: one order, whoever asks.
    target, auxiliary = dict(sorted(target.items())), dict(sorted(auxiliary.items()))
    _check_modalities(config, target, auxiliary, teacher_run)
    fingerprint = corpus.fingerprint()
    teacher = None if teacher_run is None else _finished_teacher(Path(teacher_run), fingerprint)
    settings = {
        "method": dotted_name(type(config)),
        "config": asdict(config),
        "target": {name: one.facts() for name, one in target.items()},
        "auxiliary": {name: one.facts() for name, one in auxiliary.items()},
        "teacher": None if teacher is None else read_json(teacher / "config.json")["hash"],
        "corpus": {"name": corpus.name, "counts": corpus.counts, "hash": fingerprint},
        "seed": seed,
        "precision": precision,
        "code": code_version(type(config), __name__),
    }
    blueprint = _blueprint(corpus, config, target, auxiliary, teacher)
    # What does not fit is refused before there is a folder that remembers the attempt.
    inputs = _cut_alike(blueprint)
    batches = TrainingBatches(corpus.train, list(inputs), crops(inputs), shifts(inputs), seed=seed)
    pin = torch.device(device).type == "cuda"
    cutting = spare_cores() if crops(inputs) else 0
    opening = cutting if workers is None else workers
    loader = ClipLoader(batches, config.batch_size, workers=opening, pin=pin)
    teachers = None if teacher is None else restore(teacher, TeacherAlone).method.networks
    seed_everything(seed)
    method = blueprint.build(config, teachers)
    for encoder in _encoders(method).values():
        encoder.load()

    def build(folder: Path) -> Experiment:
        method.networks.to(device)
        for name, encoder in _encoders(method).items():
            encoder.learn_scaling(corpus.train.modality(name))
            encoder.remember(corpus.train, name)
        classifier = Classifier(method, blueprint)
        _keep_for_later(folder, classifier, corpus, settings)
        return Experiment(
            method=method,
            loader=loader,
            epochs=config.epochs,
            precision=precision,
            validate=lambda: classifier.scores(corpus.validation),
            better=f"{method.models[0]} top-1",
            selection="best" if config.selection == "validation" else "last",
            keep_epoch=partial(_keep_map, folder, classifier, corpus.test),
            test=lambda: _tested(folder, classifier, corpus),
        )

    yield from carry_out(out, settings, build)


class ClipMap(NamedTuple):
    """Features of the same test clips after each epoch: the frames of the embedding map.

    `epochs` numbers them; `student` and `teacher` are (epochs, clips, dim) float32; `ids` and
    `labels` have the clip's id and the name of its class; `same_class_cosine` (epochs,) is over all
    clips of the test split, nan if it has no two of a class.
    """

    epochs: list[int]
    student: Tensor
    teacher: Tensor
    ids: list[str]
    labels: list[str]
    same_class_cosine: Tensor


def read_map(folder: Path | str) -> ClipMap:
    """What a run of student and teacher kept for its embedding map and its cosine curve.

    Raises:
        ValueError: a folder whose first epoch is not done, or a model alone.

    """
    epochs, features = read_map_frames(folder)
    clips = read_json(Path(folder) / "map" / "clips.json")
    return ClipMap(epochs, ids=clips["ids"], labels=clips["labels"], **features)


class Tested(NamedTuple):
    """What a finished run said of the test split: probabilities (clips, classes) by model.

    `features` by model is (clips, dim); `labels` (clips,) are the true classes.
    """

    probabilities: dict[str, Tensor]
    features: dict[str, Tensor]
    labels: Tensor


def read_test(folder: Path | str) -> Tested:
    """What a finished run kept of the test split.

    Raises:
        ValueError: a run that is not finished.

    """
    path = Path(folder) / "test.safetensors"
    if not path.exists():
        raise ValueError(f"read_test: {folder} holds no finished run")
    tensors = load_file(path)
    models = [name.removesuffix(" features") for name in tensors if name.endswith(" features")]
    return Tested(
        {model: tensors[f"{model} probabilities"] for model in models},
        {model: tensors[f"{model} features"] for model in models},
        tensors["labels"],
    )


def _check_modalities(
    config: TrainingConfig, target: Inputs, auxiliary: Inputs, teacher_run: Path | str | None
) -> None:
    """Refuse modalities that the method does not read, and miss none that it does."""
    name = type(config).__name__
    for role, inputs in (("target", target), ("auxiliary", auxiliary)):
        if bool(inputs) != (role in config.reads):
            raise ValueError(
                f"train: {name} needs {'at least one' if role in config.reads else 'no'} "
                f"{role} modality, got {', '.join(inputs) or 'none'}"
            )
    shared = set(target) & set(auxiliary)
    if shared:
        raise ValueError(f"train: target and auxiliary share {', '.join(sorted(shared))}")
    if (teacher_run is not None) != ("frozen_teacher" in config.reads):
        needs = "needs a" if teacher_run is None else "takes no"
        raise ValueError(f"train: {name} {needs} teacher_run")


def _blueprint(
    corpus: ClipCorpus,
    config: TrainingConfig,
    target: dict[str, ClipInput],
    auxiliary: dict[str, ClipInput],
    teacher: Path | None,
) -> ClassifierBlueprint:
    """How the networks for this corpus are built, a frozen teacher's from its own folder."""
    counts = np.bincount(corpus.train.labels, minlength=len(corpus.classes))
    return ClassifierBlueprint(
        dotted_name(type(config)),
        asdict(config),
        target,
        auxiliary,
        {name: ClipKind.of(clips) for name, clips in corpus.train.modalities.items()},
        corpus.classes,
        tuple(counts.tolist()),
        None
        if teacher is None
        else ClassifierBlueprint.of_json(read_json(teacher / "blueprint.json")),
    )


def _cut_alike(blueprint: ClassifierBlueprint) -> dict[str, ClipInput]:
    """Every modality that anyone reads, each cut in one way for all; at most one is cut."""
    teachers = blueprint.teacher.inputs if blueprint.teacher else {}
    for name, settings in blueprint.target.items():
        if name in teachers and settings.crop != teachers[name].crop:
            raise ValueError(
                f"train: student and frozen teacher must crop {name!r} alike, "
                f"got {settings.crop} and {teachers[name].crop}"
            )
    inputs = blueprint.inputs
    if len(crops(inputs)) > 1:
        raise ValueError(
            f"train: expected at most one cropped modality, got {', '.join(crops(inputs))}"
        )
    return inputs


def _finished_teacher(folder: Path, corpus_hash: str) -> Path:
    """The folder of a finished run of a teacher alone that learnt from the same clips."""
    if not (folder / "done").exists():
        raise ValueError(f"train: teacher_run {folder} holds no finished run")
    settings = read_json(folder / "config.json")["settings"]
    if settings.get("method") != dotted_name(TeacherAlone):
        raise ValueError(f"train: teacher_run {folder} holds no teacher that was trained alone")
    if settings["corpus"]["hash"] != corpus_hash:
        raise ValueError(
            f"train: teacher_run {folder} learnt from other clips ({settings['corpus']['name']}): "
            "what it was trained on may be in this test split"
        )
    return folder


def _keep_for_later(
    folder: Path, classifier: Classifier, corpus: ClipCorpus, settings: Mapping[str, Any]
) -> None:
    """What someone who has nothing but the folder needs to use it again, or to judge it."""
    hashed = {role: settings[role] for role in ("target", "auxiliary")}  # weights, not their paths
    write_json(folder / "blueprint.json", asdict(classifier.blueprint) | hashed)
    encoders = _encoders(classifier.method).items()
    loaded = {name: asdict(one.loaded) for name, one in encoders if one.loaded is not None}
    if loaded:
        write_json(folder / "weights.json", loaded)
    notes = {"name": corpus.name, "counts": corpus.counts, "notes": list(corpus.notes)}
    write_json(folder / "corpus.json", notes)
    if len(classifier.method.models) == 2:
        ids, labels = corpus.test.ids, corpus.test.labels
        shown = [(ids[row], corpus.classes[labels[row]]) for row in _map_rows(corpus.test)]
        clips = dict(zip(("ids", "labels"), zip(*shown, strict=True), strict=True))
        write_json(folder / "map" / "clips.json", clips)


def _map_rows(test: Clips) -> list[int]:
    """Clips from one end of the split to the other: it may be sorted by class."""
    count = min(MAP_CLIPS, len(test))
    return [row * len(test) // count for row in range(count)]


def _keep_map(folder: Path, classifier: Classifier, test: Clips, record: Epoch) -> None:
    """Features of the same test clips after each epoch, and the cosine over all of them."""
    if len(classifier.method.models) < 2:
        return
    answers = classifier.answers(test)
    pair = answers["student"].features, answers["teacher"].features
    features = {name: one.features[_map_rows(test)] for name, one in answers.items()}
    twice = len(set(test.labels)) < len(test)
    cosine = same_class_cosine(*pair, test.labels) if twice else float("nan")
    features["same_class_cosine"] = torch.tensor(cosine)
    with atomic(folder / "map" / f"epoch_{record.epoch:03d}.safetensors") as part:
        save_file(features, part)


def _keep_networks(folder: Path, classifier: Classifier) -> None:
    """All networks, and each extractor's network by itself, as a weights file."""
    state = classifier.method.networks.state_dict()
    tensors = {name: value.contiguous() for name, value in state.items()}
    with atomic(folder / "networks.safetensors") as part:
        save_file(tensors, part)
    for name, encoder in _encoders(classifier.method).items():
        weights = {key: value.contiguous() for key, value in encoder.network.state_dict().items()}
        if weights:
            with atomic(folder / "extractors" / f"{name}.safetensors") as part:
                save_file(weights, part)


def _encoders(method: Models[Any]) -> dict[str, ClipEncoder]:
    """The encoder of each modality that a method has of its own."""
    return {
        name: encoder
        for role in ("target", "auxiliary")
        if role in method.networks
        for name, encoder in cast(nn.ModuleDict, method.networks[role]).items()
        if isinstance(encoder, ClipEncoder)
    }


def _tested(
    folder: Path, classifier: Classifier, corpus: ClipCorpus
) -> dict[str, dict[str, float]]:
    """Keep the networks; recognise the test split, and retrieve training clips by it (Table 2)."""
    _keep_networks(folder, classifier)
    test, train = classifier.answers(corpus.test), classifier.answers(corpus.train)
    scores = scores_of(test, corpus.test.labels)
    tensors = {"labels": torch.tensor(corpus.test.labels)}
    for model, answers in test.items():
        found = evaluate_knn(
            answers.features,
            train[model].features,
            corpus.test.labels,
            corpus.train.labels,
            query_ids=corpus.test.ids,
            gallery_ids=corpus.train.ids,
            ks=tuple(k for k in (1, 5) if k <= len(corpus.train)),
        )
        scores |= {f"{model} R@{k}": value for k, value in found.recall.items()}
        tensors |= {
            f"{model} features": answers.features.contiguous(),
            f"{model} probabilities": answers.probabilities(len(corpus.test)),
        }
    with atomic(folder / "test.safetensors") as part:
        save_file(tensors, part)
    return {"test": scores, "validation": classifier.scores(corpus.validation)}
