"""What comes of a run on clips: a student, and its teacher, that say what a clip shows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from kit.arguments import checked
from kit.checks import check_choice
from kit.data.clip_batches import evaluation_batches
from kit.data.clips import Clips
from kit.data.ragged import Modality
from kit.distillation.config import TrainingConfig
from kit.distillation.inputs import ClipInput, ClipKind, crops
from kit.distillation.networks import Encoders, Models, clip_encoders
from kit.distillation.single import TeacherAlone
from kit.experiment import restored
from kit.metrics.classification import evaluate_classification
from kit.metrics.neighbours import same_class_cosine
from kit.training import device_of, evaluating


class SplitAnswers(NamedTuple):
    """What one model says of a split.

    Attributes:
        features: (clips, dim), mean over the windows of a clip.
        logits: (windows, classes).
        clips: (windows,) which clip each window is of.

    """

    features: Tensor
    logits: Tensor
    clips: Tensor

    def probabilities(self, clips: int) -> Tensor:
        """(clips, classes): softmax, mean over the windows of a clip."""
        return _mean_over_windows(self.logits.softmax(1), self.clips, clips)


@dataclass(frozen=True)
class Classifier:
    """A trained student and teacher, or one of them: clips to classes.

    `blueprint` says what each of them reads, and what the clips were like that they learnt from.
    """

    method: Models[Any]
    blueprint: ClassifierBlueprint

    @checked
    def answers(self, clips: Clips, models: Sequence[str] | None = None) -> dict[str, SplitAnswers]:
        """Features and logits of clips, by model; the student needs the target modalities alone.

        Raises:
            ValueError: a model that this run did not train; clips without a modality, or of another
                shape or kind of number than those that were learnt.

        """
        models = self.method.models if models is None else tuple(models)
        for model in models:
            check_choice("answers", among=self.method.models, model=model)
        inputs = self.blueprint.target if models == ("student",) else self.blueprint.inputs
        self._check_kinds(clips, inputs)
        device = device_of(self.method.networks)
        parts: dict[str, list[SplitAnswers]] = {model: [] for model in models}
        with evaluating(self.method.networks):
            for batch in evaluation_batches(clips, list(inputs), crops=crops(inputs)):
                answer = self.method.answers(batch.to(device), models)
                for model, (features, logits) in answer.items():
                    rows = (features.float().cpu(), logits.float().cpu())
                    parts[model].append(SplitAnswers(*rows, batch.indices))
        return {model: _gathered(answer, len(clips)) for model, answer in parts.items()}

    def _check_kinds(self, clips: Clips, inputs: Iterable[str]) -> None:
        """Bytes and shares of one look alike to a network, and mean something else."""
        kinds = {True: "whole numbers", False: "fractions"}
        for name in inputs:
            learnt, given = self.blueprint.kinds[name], ClipKind.of(clips.modality(name))
            if learnt.whole != given.whole:
                raise ValueError(
                    f"answers: expected {name!r} in {kinds[learnt.whole]}, as they were learnt, "
                    f"got {kinds[given.whole]} ({clips.name!r})"
                )

    def predict(self, clips: Clips | Mapping[str, Modality]) -> list[str]:
        """The class of each clip, as the student says (or the one model there is).

        Args:
            clips: a split, or arrays (clips, ...) by modality, of which no class is known.

        Raises:
            ValueError: as `answers`; what is no clips, and arrays that are no numbers.

        """
        if isinstance(clips, Mapping):
            count = len(next(iter(clips.values()), ()))
            clips = Clips("new", [str(row) for row in range(count)], [0] * count, clips)
        if not isinstance(clips, Clips):
            raise ValueError(f"predict: expected Clips or arrays, got {type(clips).__name__}")
        models = ("student",) if "student" in self.method.models else self.method.models
        (answer,) = self.answers(clips, models).values()
        return [
            self.blueprint.classes[label]
            for label in answer.probabilities(len(clips)).argmax(1).tolist()
        ]

    @checked
    def scores(self, clips: Clips) -> dict[str, float]:
        """Top-1 and mean of class recalls (UA) of each model, percent; of both, how they differ."""
        return scores_of(self.answers(clips), clips.labels)


def scores_of(answers: Mapping[str, SplitAnswers], labels: Sequence[int]) -> dict[str, float]:
    """The numbers of a split under plain names: percent, and a cosine of student and teacher."""
    named: dict[str, float] = {}
    for model, answer in answers.items():
        truth = torch.tensor(labels)[answer.clips]
        groups = answer.clips if len(answer.clips) > len(labels) else None
        scores = evaluate_classification(answer.logits, truth, groups=groups)
        named |= {f"{model} top-1": scores.top1, f"{model} UA": scores.unweighted_accuracy}
    if {"student", "teacher"} <= set(answers):
        named["gap"] = named["teacher top-1"] - named["student top-1"]
        if len(set(labels)) < len(labels):
            pair = answers["student"].features, answers["teacher"].features
            named["same-class cosine"] = same_class_cosine(*pair, torch.tensor(labels))
    return named


@dataclass(frozen=True)
class ClassifierBlueprint:
    """How a run's networks are built again, before their state is loaded: plain values.

    Args:
        method: the dotted name of the configuration's class.
        config: its numbers.
        target: how each modality enters that the student has.
        auxiliary: how each of the others enters.
        kinds: what the clips of each modality are like.
        classes: their names.
        class_counts: training clips of each class.
        teacher: of a frozen teacher, if there is one.

    """

    method: str
    config: dict[str, Any]
    target: dict[str, ClipInput]
    auxiliary: dict[str, ClipInput]
    kinds: dict[str, ClipKind]
    classes: Sequence[str]
    class_counts: Sequence[int]
    teacher: ClassifierBlueprint | None = None

    @classmethod
    def of_json(cls, facts: Mapping[str, Any]) -> ClassifierBlueprint:
        """What was written as JSON; weights are a hash there, and are not to be read."""
        enter = {
            role: {name: ClipInput(**settings) for name, settings in facts[role].items()}
            for role in ("target", "auxiliary")
        }
        kinds = facts["kinds"].items()
        kinds = {name: ClipKind(tuple(shape), *rest) for name, (shape, *rest) in kinds}
        teacher = facts["teacher"] and cls.of_json(facts["teacher"])
        return cls(**{**facts, **enter, "kinds": kinds, "teacher": teacher})

    @property
    def inputs(self) -> dict[str, ClipInput]:
        """Every modality that anyone reads, a frozen teacher's own included; the target first."""
        teachers = self.teacher.inputs if self.teacher else {}
        return self.target | {
            n: i for n, i in {**teachers, **self.auxiliary}.items() if n not in self.target
        }

    def build(
        self, config: TrainingConfig, frozen_teacher: nn.ModuleDict | None = None
    ) -> Models[Any]:
        """The method of these numbers with new networks, also of a teacher that is not given."""
        if self.teacher is not None and frozen_teacher is None:
            frozen_teacher = self.teacher.build(TeacherAlone(**self.teacher.config)).networks
        encoders = Encoders(
            clip_encoders(self.target, self.kinds, dim=config.dim),
            clip_encoders(self.auxiliary, self.kinds, dim=config.dim),
            self.class_counts,
            frozen_teacher,
        )
        return config.method(encoders)


def restore(folder: Path | str, config_type: type[TrainingConfig]) -> Classifier:
    """The classifier of a finished run folder, in evaluation mode, on the CPU.

    `kit.runs.load` calls it for the methods of the kit.

    Args:
        folder: of a run.
        config_type: the class of the numbers that it was trained with.

    Raises:
        ValueError: a run that is not finished, or of another method; damaged or missing files.

    """

    def prepare(_: Path, facts: Mapping[str, Any]) -> Callable[[], Classifier]:
        blueprint = ClassifierBlueprint.of_json(facts)
        config = config_type(**blueprint.config)
        return lambda: Classifier(blueprint.build(config), blueprint)

    return restored(folder, config_type, "networks.safetensors", prepare)


def _gathered(parts: Sequence[SplitAnswers], clips: int) -> SplitAnswers:
    """Batches as one; features as the mean over the windows of a clip."""
    features, logits, of = (torch.cat(column) for column in zip(*parts, strict=True))
    return SplitAnswers(_mean_over_windows(features, of, clips), logits, of)


def _mean_over_windows(rows: Tensor, of: Tensor, clips: int) -> Tensor:
    sums = torch.zeros(clips, rows.shape[1]).index_add_(0, of, rows)
    return sums / of.bincount(minlength=clips)[:, None]
