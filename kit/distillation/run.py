"""A training run of AMID: what it takes in, what it leaves behind, and how it is used again.

for record in train(corpus, small(), "runs/amid", target=..., auxiliary=...):
    ...
recogniser = kit.runs.load("runs/amid")
recogniser.predict(clips)  # with the target modality alone
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

from kit.amid.config import Config
from kit.amid.method import AMID
from kit.data.clip_batches import ClipLoader, TrainingBatches
from kit.data.clips import ClipCorpus, Clips
from kit.distillation.classifier import Recogniser, method_of, others_of, restore, scores_of
from kit.distillation.inputs import ClipEncoder, ClipInput, ClipKind, crops, shifts
from kit.distillation.single import Alone
from kit.files import atomic, read_json, write_json
from kit.metrics.neighbours import evaluate_knn, same_class_cosine
from kit.runs import (
    code_version,
    environment,
    open_run,
    read_history,
    read_map_frames,
    seed_everything,
)
from kit.training import Epoch, Method, Record, fit

MAP_CLIPS = 200  # clips of the test split whose features are kept of each epoch

Inputs = Mapping[str, ClipInput]


def train(
    corpus: ClipCorpus,
    config: Config,
    out: Path | str,
    *,
    target: Inputs,
    auxiliary: Inputs,
    teacher_run: Path | str | None = None,
    seed: int = 0,
    device: str = "cpu",
    precision: str = "float32",
    workers: int = 0,
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
        workers: loader processes, for videos that are cut.

    Yields:
        The records of `kit.training.fit`.

    Raises:
        ValueError: modalities that the models asked for do not need or lack; two that are cropped;
            a teacher run of another corpus or with another crop; `out` holds another run (the
            difference is named); and whatever the encoders refuse.
        FloatingPointError: a term that is not finite.

    """
    # Their order is that of a network's inputs: one order, whoever asks.
    target, auxiliary = dict(sorted(target.items())), dict(sorted(auxiliary.items()))
    _check_modalities(config, target, auxiliary, teacher_run)
    fingerprint = corpus.fingerprint()
    teacher = None if teacher_run is None else _finished_teacher(Path(teacher_run), fingerprint)
    asked = {
        "restored_by": "kit.distillation.classifier",
        "config": asdict(config),
        "target": {name: one.facts() for name, one in target.items()},
        "auxiliary": {name: one.facts() for name, one in auxiliary.items()},
        "teacher": None if teacher is None else read_json(teacher / "config.json")["hash"],
        "corpus": {"name": corpus.name, "counts": corpus.counts, "hash": fingerprint},
        "seed": seed,
        "precision": precision,
        "code": code_version("amid"),
    }
    kept = _described(corpus, asked, teacher)
    # What does not fit is refused before there is a folder that remembers the attempt.
    inputs = _inputs(kept, target, auxiliary)
    batches = TrainingBatches(corpus.train, list(inputs), crops(inputs), shifts(inputs), seed=seed)
    loader = ClipLoader(batches, config.batch_size, workers=workers)
    theirs = None if teacher is None else restore(teacher).method.networks
    seed_everything(seed)
    method = method_of(kept, target, auxiliary, theirs)
    with open_run(out, asked) as run:
        if run.finished:
            return
        for name, encoder in _encoders(method).items():
            encoder.learn_scaling(corpus.train.modality(name))
        method.networks.to(device)
        others = others_of(kept, target, auxiliary)
        seed_everything(seed)  # what training draws does not depend on which networks were made
        kinds = kept["kinds"]
        recogniser = Recogniser(method, corpus.classes, dict(target), others, kinds, run.folder)
        _keep_for_later(recogniser, corpus, kept)

        start = run.resume(method)
        records = fit(
            cast(Method[Any, Any], method),  # either of two, each with its own features
            loader,
            epochs=config.epochs,
            start=start,
            evaluate=lambda: recogniser.scores(corpus.validation),
            precision=precision,
        )
        keep_map = partial(_keep_map, recogniser, corpus.test)
        selects = f"{method.models[0]} top-1"
        yield from run.keep(method, records, better=selects, at_epoch=keep_map)

        if config.selection == "validation":
            method.networks.load_state_dict(load_file(run.folder / "best.safetensors"))
        _keep_networks(recogniser)
        history = read_history(run.folder)
        run.finish(
            {
                "test": _tested(recogniser, corpus),
                "validation": recogniser.scores(corpus.validation),
                "best": read_json(run.folder / "best.json"),
                "epochs": len(history),
                "minutes": sum(epoch["seconds"] for epoch in history) / 60,
                "alarms": [f"epoch {e['epoch']}: {a}" for e in history for a in e["alarms"]],
            }
        )


class MapFeatures(NamedTuple):
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


def read_map(folder: Path | str) -> MapFeatures:
    """What a run of student and teacher kept for its embedding map and its cosine curve.

    Raises:
        ValueError: a folder whose first epoch is not done, or a model alone.

    """
    epochs, features = read_map_frames(folder)
    clips = read_json(Path(folder) / "map" / "clips.json")
    return MapFeatures(epochs, ids=clips["ids"], labels=clips["labels"], **features)


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
    kept = load_file(path)
    models = [name.removesuffix(" features") for name in kept if name.endswith(" features")]
    return Tested(
        {model: kept[f"{model} probabilities"] for model in models},
        {model: kept[f"{model} features"] for model in models},
        kept["labels"],
    )


def _check_modalities(
    config: Config, target: Inputs, auxiliary: Inputs, teacher_run: Path | str | None
) -> None:
    """Refuse modalities that the models asked for lack, or would ignore."""
    needs = {"target": config.trained != "auxiliary", "auxiliary": config.trained != "student"}
    if config.teacher == "fixed":
        needs["auxiliary"] = False  # it comes with its own
    for role, inputs in (("target", target), ("auxiliary", auxiliary)):
        if bool(inputs) != needs[role]:
            raise ValueError(
                f"train: {config.trained!r} with teacher {config.teacher!r} needs "
                f"{'at least one' if needs[role] else 'no'} {role} modality, "
                f"got {', '.join(inputs) or 'none'}"
            )
    shared = set(target) & set(auxiliary)
    if shared:
        raise ValueError(f"train: target and auxiliary share {', '.join(sorted(shared))}")
    if (teacher_run is not None) != (config.teacher == "fixed"):
        raise ValueError(
            f"train: teacher {config.teacher!r} "
            f"{'needs a' if teacher_run is None else 'takes no'} teacher_run"
        )


def _described(
    corpus: ClipCorpus, asked: Mapping[str, Any], teacher: Path | None
) -> dict[str, Any]:
    """What the run's networks are built from, now and when it is used again."""
    return {
        **{name: asked[name] for name in ("config", "target", "auxiliary")},
        "classes": list(corpus.classes),
        "class_counts": np.bincount(corpus.train.labels, minlength=len(corpus.classes)).tolist(),
        "kinds": {name: ClipKind.of(clips) for name, clips in corpus.train.modalities.items()},
        "teacher": None if teacher is None else read_json(teacher / "models.json"),
    }


def _inputs(kept: Mapping[str, Any], target: Inputs, auxiliary: Inputs) -> dict[str, ClipInput]:
    """Every modality that anyone reads, each cut in one way for all; at most one is cut."""
    beside = others_of(kept, {}, auxiliary)
    for name in sorted(set(target) & set(beside)):
        if target[name].crop != beside[name].crop:
            raise ValueError(
                f"train: student and fixed teacher must crop {name!r} alike, "
                f"got {target[name].crop} and {beside[name].crop}"
            )
    inputs = {**target, **others_of(kept, target, auxiliary)}
    if len(crops(inputs)) > 1:
        raise ValueError(
            f"train: expected at most one cropped modality, got {', '.join(crops(inputs))}"
        )
    return inputs


def _finished_teacher(folder: Path, corpus_hash: str) -> Path:
    """The folder of a finished run of a teacher alone that learnt from the same clips."""
    if not (folder / "done").exists():
        raise ValueError(f"train: teacher_run {folder} holds no finished run")
    asked = read_json(folder / "config.json")["asked"]
    if asked.get("config", {}).get("trained") != "teacher":
        raise ValueError(f"train: teacher_run {folder} holds no teacher that was trained alone")
    if asked["corpus"]["hash"] != corpus_hash:
        raise ValueError(
            f"train: teacher_run {folder} learnt from other clips ({asked['corpus']['name']}): "
            "what it was trained on may be in this test split"
        )
    return folder


def _keep_for_later(recogniser: Recogniser, corpus: ClipCorpus, kept: Mapping[str, object]) -> None:
    """What someone who has nothing but the folder needs to use it again, or to judge it."""
    folder = recogniser.folder
    write_json(folder / "models.json", kept)
    device = next(recogniser.method.networks.parameters()).device
    write_json(folder / "environment.json", environment(device))
    loaded = {n: e.loaded for n, e in _encoders(recogniser.method).items() if e.loaded is not None}
    if loaded:
        write_json(folder / "weights.json", {name: asdict(one) for name, one in loaded.items()})
    notes = {"name": corpus.name, "counts": corpus.counts, "notes": list(corpus.notes)}
    write_json(folder / "corpus.json", notes)
    if len(recogniser.method.models) == 2:
        ids, labels = corpus.test.ids, corpus.test.labels
        shown = [(ids[row], corpus.classes[labels[row]]) for row in _map_rows(corpus.test)]
        clips = dict(zip(("ids", "labels"), zip(*shown, strict=True), strict=True))
        write_json(folder / "map" / "clips.json", clips)


def _map_rows(test: Clips) -> list[int]:
    """Clips from one end of the split to the other: it may be sorted by class."""
    count = min(MAP_CLIPS, len(test))
    return [row * len(test) // count for row in range(count)]


def _keep_map(recogniser: Recogniser, test: Clips, record: Epoch) -> None:
    """Features of the same test clips after each epoch, and the cosine over all of them."""
    if len(recogniser.method.models) < 2:
        return
    said = recogniser.answers(test)
    pair = said["teacher"].features, said["student"].features
    features = {name: one.features[_map_rows(test)] for name, one in said.items()}
    twice = len(set(test.labels)) < len(test)
    cosine = same_class_cosine(*pair, test.labels) if twice else float("nan")
    features["same_class_cosine"] = torch.tensor(cosine)
    with atomic(recogniser.folder / "map" / f"epoch_{record.epoch:03d}.safetensors") as part:
        save_file(features, part)


def _keep_networks(recogniser: Recogniser) -> None:
    """All networks, and each extractor's network by itself, as a weights file."""
    folder, state = recogniser.folder, recogniser.method.networks.state_dict()
    tensors = {name: value.contiguous() for name, value in state.items()}
    with atomic(folder / "networks.safetensors") as part:
        save_file(tensors, part)
    for name, encoder in _encoders(recogniser.method).items():
        weights = {key: value.contiguous() for key, value in encoder.network.state_dict().items()}
        if weights:
            with atomic(folder / "extractors" / f"{name}.safetensors") as part:
                save_file(weights, part)


def _encoders(method: AMID | Alone) -> dict[str, ClipEncoder]:
    """The encoder of each modality that a method has of its own."""
    return {
        name: encoder
        for role in ("target", "auxiliary")
        if role in method.networks
        for name, encoder in cast(nn.ModuleDict, method.networks[role]).items()
        if isinstance(encoder, ClipEncoder)
    }


def _tested(recogniser: Recogniser, corpus: ClipCorpus) -> dict[str, float]:
    """Recognition on the test split, and retrieval of training clips by test clips (Table 2)."""
    test, train = recogniser.answers(corpus.test), recogniser.answers(corpus.train)
    named = scores_of(test, corpus.test.labels)
    kept = {"labels": torch.tensor(corpus.test.labels)}
    for model, said in test.items():
        found = evaluate_knn(
            said.features,
            train[model].features,
            corpus.test.labels,
            corpus.train.labels,
            query_ids=corpus.test.ids,
            gallery_ids=corpus.train.ids,
            ks=tuple(k for k in (1, 5) if k <= len(corpus.train)),
        )
        named |= {f"{model} R@{k}": value for k, value in found.recall.items()}
        kept |= {
            f"{model} features": said.features.contiguous(),
            f"{model} probabilities": said.probabilities(len(corpus.test)),
        }
    with atomic(recogniser.folder / "test.safetensors") as part:
        save_file(kept, part)
    return named
