"""What comes of a run of AMID: a student, and its teacher, that say what a clip shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from kit.amid.config import Config
from kit.amid.method import AMID
from kit.data.clip_batches import evaluation_batches
from kit.data.clips import Clips, Modality
from kit.data.crops import VideoCrop
from kit.distillation.inputs import ClipInput, ClipKind, clip_encoders, crops
from kit.distillation.single import Alone
from kit.files import read_json
from kit.metrics.classification import evaluate_classification
from kit.metrics.neighbours import same_class_cosine
from kit.training import evaluating, to_device


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
        shares = torch.zeros(clips, self.logits.shape[1])
        shares.index_add_(0, self.clips, self.logits.softmax(1))
        return shares / self.clips.bincount(minlength=clips)[:, None]


@dataclass(frozen=True)
class Recogniser:
    """A trained student and teacher, or one of them: clips to classes.

    `target` is what the student reads, `others` what anyone reads beside it, `kinds` what the clips
    were like that they learnt from.
    """

    method: AMID | Alone
    classes: tuple[str, ...]
    target: dict[str, ClipInput]
    others: dict[str, ClipInput]
    kinds: dict[str, ClipKind]
    folder: Path

    def answers(self, clips: Clips, models: Sequence[str] | None = None) -> dict[str, SplitAnswers]:
        """Features and logits of clips, by model; the student needs the target modalities alone.

        Raises:
            ValueError: a model that this run did not train; clips without a modality, or of another
                shape or kind of number than those that were learnt.

        """
        models = self.method.models if models is None else tuple(models)
        unknown = [model for model in models if model not in self.method.models]
        if unknown:
            raise ValueError(
                f"answers: expected models among {', '.join(self.method.models)}, "
                f"got {', '.join(unknown)}"
            )
        inputs = self.target if models == ("student",) else {**self.target, **self.others}
        self._check_kinds(clips, inputs)
        device = next(self.method.networks.parameters()).device
        parts: dict[str, list[SplitAnswers]] = {model: [] for model in models}
        with evaluating(self.method.networks):
            for batch in evaluation_batches(clips, list(inputs), crops=crops(inputs)):
                said = self.method.answers(to_device(batch, device), models)
                for model, (features, logits) in said.items():
                    rows = (features.float().cpu(), logits.float().cpu())
                    parts[model].append(SplitAnswers(*rows, batch.indices))
        return {model: _gathered(said, len(clips)) for model, said in parts.items()}

    def _check_kinds(self, clips: Clips, inputs: Iterable[str]) -> None:
        """Bytes and shares of one look alike to a network, and mean something else."""
        said = {True: "whole numbers", False: "fractions"}
        for name in inputs:
            learnt, given = self.kinds[name], ClipKind.of(clips.modality(name))
            if learnt.whole != given.whole:
                raise ValueError(
                    f"answers: expected {name!r} in {said[learnt.whole]}, as they were learnt, "
                    f"got {said[given.whole]} ({clips.name!r})"
                )

    def predict(self, clips: Clips | Mapping[str, Modality]) -> list[str]:
        """The class of each clip, as the student says (or the one model there is).

        Args:
            clips: a split, or arrays (clips, ...) by modality, of which no class is known.

        Raises:
            ValueError: as `answers`; what is no clips, and arrays that are no numbers.

        """
        if not isinstance(clips, Clips | Mapping):
            raise ValueError(
                f"predict: expected Clips, or arrays by modality, got {type(clips).__name__}"
            )
        if not isinstance(clips, Clips):
            count = len(next(iter(clips.values()), ()))
            numbers = [str(number) for number in range(count)]
            clips = Clips("new", numbers, [0] * count, dict(clips))
        models = ("student",) if "student" in self.method.models else self.method.models
        (said,) = self.answers(clips, models).values()
        return [self.classes[label] for label in said.probabilities(len(clips)).argmax(1).tolist()]

    def scores(self, clips: Clips) -> dict[str, float]:
        """Top-1 and mean of class recalls (UA) of each model, percent; of both, how they differ."""
        return scores_of(self.answers(clips), clips.labels)


def scores_of(answers: Mapping[str, SplitAnswers], labels: Sequence[int]) -> dict[str, float]:
    """The numbers of a split under plain names: percent, and a cosine of teacher and student."""
    named: dict[str, float] = {}
    for model, said in answers.items():
        truth = torch.tensor(labels)[said.clips]
        groups = said.clips if len(said.clips) > len(labels) else None
        scores = evaluate_classification(said.logits, truth, groups=groups)
        named |= {f"{model} top-1": scores.top1, f"{model} UA": scores.unweighted_accuracy}
    if {"student", "teacher"} <= set(answers):
        named["gap"] = named["teacher top-1"] - named["student top-1"]
        if len(set(labels)) < len(labels):
            pair = answers["teacher"].features, answers["student"].features
            named["same-class cosine"] = same_class_cosine(*pair, torch.tensor(labels))
    return named


def restore(folder: Path | str) -> Recogniser:
    """The recogniser of a finished run folder, in evaluation mode, on the CPU.

    `kit.runs.load` calls it for folders that this module wrote.

    Raises:
        ValueError: a run that is not finished.

    """
    folder = Path(folder).resolve()
    if not (folder / "networks.safetensors").exists():
        raise ValueError(f"restore: {folder} holds no trained networks yet")
    kept = read_json(folder / "models.json")
    target, auxiliary = asked_again(kept["target"]), asked_again(kept["auxiliary"])
    teacher = None
    if (theirs := kept["teacher"]) is not None:
        inputs = asked_again(theirs["target"]), asked_again(theirs["auxiliary"])
        teacher = method_of(theirs, *inputs, load=False).networks
    method = method_of(kept, target, auxiliary, teacher, load=False)
    method.networks.load_state_dict(load_file(folder / "networks.safetensors"))
    method.networks.eval()
    others = others_of(kept, target, auxiliary)
    return Recogniser(method, tuple(kept["classes"]), target, others, kinds_again(kept), folder)


def others_of(
    kept: Mapping[str, Any], target: Mapping[str, ClipInput], auxiliary: Mapping[str, ClipInput]
) -> dict[str, ClipInput]:
    """What is read beside `target`: the auxiliary modalities, and a fixed teacher's own."""
    theirs = kept["teacher"] or {"target": {}, "auxiliary": {}}
    own = asked_again(theirs["target"]) | asked_again(theirs["auxiliary"])
    return {name: one for name, one in {**own, **auxiliary}.items() if name not in target}


def method_of(
    kept: Mapping[str, Any],
    target: Mapping[str, ClipInput],
    auxiliary: Mapping[str, ClipInput],
    fixed_teacher: nn.ModuleDict | None = None,
    *,
    load: bool = True,
) -> AMID | Alone:
    """Build what a run's `models.json` describes, with these inputs; its networks are new.

    Args:
        kept: config, class_counts, kinds.
        target: by modality.
        auxiliary: by modality.
        fixed_teacher: the networks of a teacher alone.
        load: whether weights files are read, as in `ClipEncoder`.

    """
    config = Config(**kept["config"])
    kinds = kinds_again(kept)
    parts: dict[str, Any] = {
        "target": clip_encoders(target, kinds, dim=config.dim, load=load),
        "auxiliary": clip_encoders(auxiliary, kinds, dim=config.dim, load=load),
        "class_counts": kept["class_counts"],
    }
    if config.trained != "both":
        return Alone(config, **parts)
    return AMID(config, **parts, fixed_teacher=fixed_teacher)


def kinds_again(kept: Mapping[str, Any]) -> dict[str, ClipKind]:
    """What the clips were like, from a file."""
    return {name: ClipKind(tuple(shape), *rest) for name, (shape, *rest) in kept["kinds"].items()}


def asked_again(inputs: Mapping[str, Any]) -> dict[str, ClipInput]:
    """Inputs from their facts: weights are a hash there, and are not to be read."""
    crops = {name: one["crop"] for name, one in inputs.items()}
    return {
        name: ClipInput(**one | {"crop": crops[name] and VideoCrop(**crops[name])})
        for name, one in inputs.items()
    }


def _gathered(parts: Sequence[SplitAnswers], clips: int) -> SplitAnswers:
    """Batches as one; features as the mean over the windows of a clip."""
    features, logits, of = (torch.cat(column) for column in zip(*parts, strict=True))
    mean = torch.zeros(clips, features.shape[1]).index_add_(0, of, features)
    return SplitAnswers(mean / of.bincount(minlength=clips)[:, None], logits, of)
