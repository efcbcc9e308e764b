"""A training run on clips: what it takes in, what it leaves behind, and how it is used again.

for record in train(corpus, small(), "runs/amid", target=..., auxiliary=...):
    ...
classifier = kit.runs.load("runs/amid")
classifier.predict(clips)  # with the target modality alone
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from kit.arguments import checked
from kit.code_version import code_version
from kit.data.clip_batches import TrainingClips, VideoCrop
from kit.data.clips import ClipCorpus, Clips
from kit.data.epochs import TrainingLoader, spare_cores
from kit.distillation.classifier import Classifier, ClassifierBlueprint, restore, scores_of
from kit.distillation.config import TrainingConfig
from kit.distillation.inputs import ClipInput, ClipKind, crops, shifts
from kit.distillation.networks import ClipEncoder, Models
from kit.distillation.single import TeacherAlone
from kit.experiment import Experiment, carry_out, check_setting
from kit.files import as_path, atomic, read_json, write_json
from kit.metrics.neighbours import evaluate_knn, same_class_cosine
from kit.runs import (
    check_run,
    dotted_name,
    read_map_frames,
    run_settings,
    seed_everything,
    settings_hash,
)
from kit.training import Epoch, Record

MAP_CLIPS = 200  # clips of the test split whose features are kept of each epoch

Inputs = Mapping[str, ClipInput]


@checked
def train(
    corpus: ClipCorpus,
    config: TrainingConfig,
    out: Path | str,
    *,
    target: Inputs,
    auxiliary: Inputs,
    teacher_run: Path | str | None = None,
    seed: int = 0,
    device: str | torch.device = "cpu",
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
        ValueError: an argument of another kind, by its name; modalities that the models asked for
            do not need or lack; two that are cropped; a teacher run of another corpus or with
            another crop; `out` holds another run (the difference is named); and whatever the
            encoders refuse.
        FloatingPointError: a term that is not finite.

    """
    setting = check_setting(out, seed, device, precision, workers)
    # Their order is that of a network's inputs: one order, whoever asks.
    target, auxiliary = dict(sorted(target.items())), dict(sorted(auxiliary.items()))
    _check_modalities(config, target, auxiliary, teacher_run)
    fingerprint = corpus.fingerprint()
    teacher, teacher_hash = _finished_teacher(teacher_run, fingerprint)
    settings = {
        "method": dotted_name(type(config)),
        "config": asdict(config),
        "target": {name: one.facts() for name, one in target.items()},
        "auxiliary": {name: one.facts() for name, one in auxiliary.items()},
        "teacher": teacher_hash,
        "corpus": {"name": corpus.name, "counts": corpus.counts, "hash": fingerprint},
        "seed": setting.seed,
        "precision": precision,
        "code": code_version(type(config), __name__),
    }
    blueprint = _blueprint(corpus, config, target, auxiliary, teacher)
    # What does not fit is refused before there is a folder that remembers the attempt.
    cut = _cut_alike(blueprint)
    inputs, moved = blueprint.inputs, shifts(blueprint.inputs)
    batches = TrainingClips(corpus.train, list(inputs), cut, moved, seed=setting.seed)
    pin, size, spare = "cuda" in setting.device, config.batch_size, spare_cores() if cut else 0
    workers = spare if setting.workers is None else setting.workers
    loader = TrainingLoader(batches, size, workers=workers, pin=pin)
    seed_everything(setting.seed)
    method = blueprint.build(config, teacher.method.networks if teacher else None)
    for encoder in _encoders(method).values():
        encoder.load()

    def build(folder: Path) -> Experiment:
        method.networks.to(setting.device)
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

    yield from carry_out(setting.out, settings, build)


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
    clips = read_json(as_path("read_map", folder, "folder") / "map" / "clips.json")
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
    folder = as_path("read_test", folder, "folder")
    path = folder / "test.safetensors"
    if not (folder / "done").exists():
        raise ValueError(f"read_test: {folder} holds no finished run")
    check_run("read_test", folder, path.name)
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
    """Refuse what the method does not read, and miss nothing that it does."""
    roles = {"target": target, "auxiliary": auxiliary, "frozen_teacher": teacher_run}
    given = [role for role, value in roles.items() if value]
    if set(given) != set(config.reads):
        found, name = " and ".join(given) or "nothing", type(config).__name__
        raise ValueError(f"train: {name} needs {' and '.join(config.reads)}, got {found}")
    shared = set(target) & set(auxiliary)
    if shared:
        raise ValueError(f"train: target and auxiliary share {', '.join(sorted(shared))}")


def _blueprint(
    corpus: ClipCorpus,
    config: TrainingConfig,
    target: dict[str, ClipInput],
    auxiliary: dict[str, ClipInput],
    teacher: Classifier | None,
) -> ClassifierBlueprint:
    """How the networks for this corpus are built."""
    return ClassifierBlueprint(
        dotted_name(type(config)),
        asdict(config),
        target,
        auxiliary,
        {name: ClipKind.of(clips) for name, clips in corpus.train.modalities.items()},
        corpus.classes,
        np.bincount(corpus.train.labels, minlength=len(corpus.classes)).tolist(),
        teacher.blueprint if teacher else None,
    )


def _cut_alike(blueprint: ClassifierBlueprint) -> dict[str, VideoCrop]:
    """The crop of the one modality that is cut, if any; it is the same for all that read it."""
    teachers = blueprint.teacher.inputs if blueprint.teacher else {}
    for name, settings in blueprint.target.items():
        if name in teachers and settings.crop != teachers[name].crop:
            both = f"{settings.crop} and {teachers[name].crop}"
            raise ValueError(f"train: student and teacher must crop {name!r} alike, got {both}")
    cut = crops(blueprint.inputs)
    if len(cut) > 1:
        raise ValueError(f"train: expected at most one cropped modality, got {', '.join(cut)}")
    return cut


def _finished_teacher(
    teacher_run: Path | str | None, corpus_hash: str
) -> tuple[Classifier | None, str | None]:
    """A teacher alone whose run is finished, that learnt from the same clips, and its hash."""
    if teacher_run is None:
        return None, None
    folder = as_path("train", teacher_run, "teacher_run")
    if not (folder / "done").exists():
        raise ValueError(f"train: teacher_run {folder} holds no finished run")
    teacher, settings = restore(folder, TeacherAlone), run_settings("train", folder)
    corpus = settings["corpus"]
    if corpus["hash"] != corpus_hash:
        raise ValueError(
            f"train: teacher_run {folder} learnt from other clips ({corpus['name']}): "
            "what it was trained on may be in this test split"
        )
    return teacher, settings_hash(settings)


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
    _save(folder / "map" / f"epoch_{record.epoch:03d}.safetensors", features)


def _save(path: Path, tensors: Mapping[str, Tensor]) -> None:
    with atomic(path) as part:
        save_file({name: value.contiguous() for name, value in tensors.items()}, part)


def _encoders(method: Models[Any]) -> dict[str, ClipEncoder]:
    """The encoder of each modality that a method has of its own."""
    networks: Any = method.networks
    roles = [networks[role] for role in ("target", "auxiliary") if role in networks]
    return {name: encoder for encoders in roles for name, encoder in encoders.items()}


def _tested(
    folder: Path, classifier: Classifier, corpus: ClipCorpus
) -> dict[str, dict[str, float]]:
    """Keep the networks; recognise the test split, and retrieve training clips by it (Table 2).

    Each extractor's network is also kept by itself, as a weights file.
    """
    _save(folder / "networks.safetensors", classifier.method.networks.state_dict())
    for name, encoder in _encoders(classifier.method).items():
        if weights := encoder.network.state_dict():
            _save(folder / "extractors" / f"{name}.safetensors", weights)
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
            f"{model} features": answers.features,
            f"{model} probabilities": answers.probabilities(len(corpus.test)),
        }
    _save(folder / "test.safetensors", tensors)
    return {"test": scores, "validation": classifier.scores(corpus.validation)}
