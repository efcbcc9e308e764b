"""AMID as `kit.training.fit` trains it: what is computed of a batch, and whose turn it is.

A step is one forward pass, then the discriminators' turn on detached features, then the main turn,
in which the student meets the discriminators that have just moved. During the warm-up the main turn
comes alone, with L_cls + L_JSD.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD, Adam, Optimizer

from kit.amid.config import Config
from kit.amid.losses import (
    adversarial_loss,
    contrastive_nce_loss,
    discriminator_loss,
    has_classmate,
    jensen_shannon_loss,
    mutual_information_estimate,
    mutual_information_loss,
    shared_classification_loss,
)
from kit.amid.networks import (
    class_discriminator,
    extracted_auxiliary,
    full_modality_model,
    modality_head,
    sample_discriminator,
    student,
    student_features,
    teacher_features,
)
from kit.amid.weights import AdversaryWeights, expected_classmates
from kit.data.clips import ClipBatch
from kit.distillation.inputs import feature_dims
from kit.training import Turn, scale_learning_rates

STUDENT = ("target", "target_head")  # its networks beside the classifier


class DistilledFeatures(NamedTuple):
    """S, M and A of a batch: (batch, dim) each."""

    student: Tensor
    teacher: Tensor
    auxiliary: Tensor


class Answer(NamedTuple):
    """What one model says of a batch: features (batch, dim), logits (batch, classes)."""

    features: Tensor
    logits: Tensor


class AMID:
    """Student and teacher trained together (Equation 17).

    Args:
        config: the numbers; `config.trained` is ``"both"``.
        target: `ClipEncoder` of each target modality; the student is built on them.
        auxiliary: `ClipEncoder` of each auxiliary modality, fixed ones or not.
        class_counts: training clips of each class.
        fixed_teacher: the networks of a teacher that was trained alone, for `config.teacher`
            ``"fixed"``: it has its own extractors and its own classifier, of which the student's is
            a copy at first.

    Raises:
        ValueError: a fixed teacher where none is asked for, or none where it is; one whose features
            are of another width; a student of which nothing can be trained.

    """

    models = ("student", "teacher")

    def __init__(
        self,
        config: Config,
        *,
        target: nn.ModuleDict,
        auxiliary: nn.ModuleDict,
        class_counts: Sequence[int],
        fixed_teacher: nn.ModuleDict | None = None,
    ) -> None:
        if (fixed_teacher is not None) != (config.teacher == "fixed"):
            raise ValueError(
                f"AMID: teacher {config.teacher!r} {'takes no' if fixed_teacher else 'needs a'} "
                "fixed_teacher"
            )
        self.config = config
        self.fixed: Fixed | None = None
        self.weights = AdversaryWeights() if config.adversarial_weight else None
        self.divisor = expected_classmates(class_counts, config.batch_size)  # d
        dim, classes = config.dim, len(class_counts)
        if fixed_teacher is None:
            self.networks = full_modality_model(target, auxiliary, dim=dim)
            if config.auxiliary_information_weight:
                self.networks["auxiliary_head"] = modality_head(feature_dims(auxiliary), dim=dim)
        else:
            self.networks = student(target, dim=dim)
            self.networks["fixed_teacher"] = self.fixed = Fixed(fixed_teacher)
        if not any(p.requires_grad for n in STUDENT for p in self.networks[n].parameters()):
            raise ValueError(
                "AMID: expected a student that can be trained, got a fixed target modality of the "
                f"shared space's width {dim}, which needs no head; another dim gives it one"
            )
        self.networks["classifier"] = nn.Linear(dim, classes)
        if fixed_teacher is not None:
            theirs = fixed_teacher["classifier"]
            if theirs.in_features != dim:
                raise ValueError(
                    f"AMID: expected a fixed teacher of width {dim}, got {theirs.in_features}"
                )
            self.networks["classifier"].load_state_dict(theirs.state_dict())
        if self.weights is not None:
            self.networks["sample_discriminator"] = sample_discriminator(dim)
            if config.adversaries != "sample_only":
                self.networks["class_discriminator"] = class_discriminator(dim)
            self.networks["adversary_weights"] = self.weights
        self.optimizers = self._optimizers()

    def _optimizers(self) -> dict[str, Optimizer]:
        """Both discriminators; all else that is not fixed."""
        players = [n for n in ("sample_discriminator", "class_discriminator") if n in self.networks]
        main = [p for n, net in self.networks.items() if n not in players for p in net.parameters()]
        optimizers = {"main": optimizer_of(self.config, main)}
        if self.weights is not None:
            judged = [p for n in players for p in self.networks[n].parameters()]
            rate = self.config.discriminator_learning_rate
            optimizers["discriminators"] = Adam(judged, lr=rate, betas=(0.5, 0.999))
        return optimizers

    def begin_epoch(self, epoch: int) -> None:
        """The learning rate of the main turn."""
        scale_learning_rates(self.optimizers["main"], rate_factor(self.config, epoch))

    def encode(self, batch: ClipBatch) -> DistilledFeatures:
        """One forward pass: M reads S with its graph, so the teacher's terms train S's extractor.

        Without L_MIa there is no A to compare with; it is then empty, (batch, 0).
        """
        features = student_features(self.networks, batch)
        if self.fixed is not None:
            with torch.no_grad():
                source = self.fixed.networks
                extracted = extracted_auxiliary(source, batch)
                teacher = teacher_features(source, student_features(source, batch), extracted)
        else:
            extracted = extracted_auxiliary(self.networks, batch)
            teacher = teacher_features(self.networks, features, extracted)
        if "auxiliary_head" in self.networks:
            auxiliary = self.networks["auxiliary_head"](extracted)
        else:
            auxiliary = extracted[:, :0]
        return DistilledFeatures(features, teacher, auxiliary)

    def turns(self, epoch: int) -> tuple[Turn[DistilledFeatures, ClipBatch], ...]:
        """During the warm-up the main turn alone; then the discriminators first."""
        main = self.optimizers["main"]
        if epoch < self.config.warm_up_epochs:
            return (Turn("warm-up", main, self.prediction_terms),)
        turn = Turn("main", main, self.distillation_terms)
        if self.weights is None:
            return (turn,)
        judges = self.optimizers["discriminators"]
        return Turn("discriminators", judges, self.discriminator_terms), turn

    def prediction_terms(self, z: DistilledFeatures, batch: ClipBatch) -> dict[str, Tensor]:
        """L_cls + L_JSD (Equations 15, 16): the warm-up, and the head of Equation 17."""
        ours, theirs = self.logits(z)
        if self.fixed is not None:
            classification = F.cross_entropy(ours, batch.labels)
        else:
            classification = shared_classification_loss(ours, theirs, batch.labels)
        return {
            "classification": classification,
            "jensen_shannon": jensen_shannon_loss(ours, theirs),
        }

    def distillation_terms(self, z: DistilledFeatures, batch: ClipBatch) -> dict[str, Tensor]:
        """Equation 17, weighted."""
        c = self.config
        terms = self.prediction_terms(z, batch)
        contrast = (
            mutual_information_loss if c.contrast == "mutual_information" else contrastive_nce_loss
        )
        if c.student_information_weight:
            loss = contrast(z.teacher, z.student, batch.labels, temperature=c.temperature)
            terms["student_information"] = c.student_information_weight * loss
        if "auxiliary_head" in self.networks:
            loss = contrast(z.teacher, z.auxiliary, batch.labels, temperature=c.temperature)
            terms["auxiliary_information"] = c.auxiliary_information_weight * loss
        for name, judge, rows, weight, divisor in self._games(batch.labels):
            game = adversarial_loss(judge(z.student[rows]), weight=weight, divisor=divisor)
            if game is not None:
                terms[f"{name}_adversarial"] = c.adversarial_weight * game
        return terms

    def discriminator_terms(self, z: DistilledFeatures, batch: ClipBatch) -> dict[str, Tensor]:
        """Equation 13: neither student nor teacher moves, so the features are detached."""
        ours, theirs = z.student.detach(), z.teacher.detach()
        terms: dict[str, Tensor] = {}
        for name, judge, rows, weight, divisor in self._games(batch.labels):
            loss = discriminator_loss(
                judge(theirs[rows]), judge(ours[rows]), weight=weight, divisor=divisor
            )
            if loss is not None:
                terms[name] = loss
        return terms

    def _games(self, labels: Tensor) -> Iterable[tuple[str, nn.Module, Tensor, Tensor, float]]:
        """Name, discriminator, rows that it sees, lambda, and B or d; without D2, lambda_1 is 1."""
        if self.weights is None:
            return []
        everyone = torch.ones_like(labels, dtype=torch.bool)
        batch_size = float(len(labels))
        first = self.networks["sample_discriminator"]
        if "class_discriminator" not in self.networks:
            one = torch.ones((), device=labels.device)
            return [("sample_discriminator", first, everyone, one, batch_size)]
        second = self.networks["class_discriminator"]
        lambda_1, lambda_2 = self.weights()
        return [
            ("sample_discriminator", first, everyone, lambda_1, batch_size),
            ("class_discriminator", second, has_classmate(labels), lambda_2, self.divisor),
        ]

    def logits(self, z: DistilledFeatures) -> tuple[Tensor, Tensor]:
        """Of S and of M, by one classifier; a fixed teacher keeps its own."""
        theirs = self.networks["classifier"]
        if self.fixed is not None:
            theirs = self.fixed.networks["classifier"]
        return self.networks["classifier"](z.student), theirs(z.teacher)

    def answers(self, batch: ClipBatch, models: Sequence[str] = models) -> dict[str, Answer]:
        """What each model says of a batch; the student alone needs no auxiliary modality."""
        if "teacher" not in models:
            features = student_features(self.networks, batch)
            return {"student": Answer(features, self.networks["classifier"](features))}
        z = self.encode(batch)
        ours, theirs = self.logits(z)
        both = {"student": Answer(z.student, ours), "teacher": Answer(z.teacher, theirs)}
        return {name: both[name] for name in models}

    def meters(self, z: DistilledFeatures, batch: ClipBatch) -> dict[str, Tensor]:
        """Norms, cosines, Equation 4's estimates in nats, what each discriminator answers."""
        labels, cosine = batch.labels, F.normalize(z.teacher) @ F.normalize(z.student).T
        watched = {
            "student_norm": z.student.norm(dim=1).mean(),
            "teacher_norm": z.teacher.norm(dim=1).mean(),
            "own_cosine": cosine.diagonal().mean(),
        }
        same = (labels[:, None] == labels[None, :]).fill_diagonal_(False)
        if same.any():
            watched["same_class_cosine"] = cosine[same].mean()
        if (labels != labels[0]).any():
            for name, other in (("student", z.student), ("auxiliary", z.auxiliary)):
                if other.shape[1]:
                    estimate = mutual_information_estimate(
                        z.teacher, other, labels, temperature=self.config.temperature
                    )
                    watched[f"{name}_nats"] = torch.tensor(estimate.nats)
                    watched["nats_ceiling"] = torch.tensor(estimate.ceiling)
        for name, judge, rows, weight, _ in self._games(labels):
            watched[f"{name}_lambda"] = weight
            if rows.any():
                watched[f"{name}_of_teacher"] = judge(z.teacher[rows]).sigmoid().mean()
                watched[f"{name}_of_student"] = judge(z.student[rows]).sigmoid().mean()
        return {name: value.to(z.student.device) for name, value in watched.items()}

    def alarms(self, means: Mapping[str, float]) -> tuple[str, ...]:
        """What an epoch's means warn of, in words."""
        said = []
        for name, letter in (("sample", "D1"), ("class", "D2")):
            of_teacher = means.get(f"{name}_discriminator_of_teacher", 0.5)
            of_student = means.get(f"{name}_discriminator_of_student", 0.5)
            if of_teacher - of_student > 0.98:
                said.append(
                    f"{letter} tells teacher and student apart nearly always: "
                    "the student is far from where it could take it in"
                )
        if means.get("same_class_cosine", 0.0) > 0.999:
            said.append(
                "teacher and student features of a class have become one direction "
                f"(mean cosine {means['same_class_cosine']:.4f})"
            )
        return tuple(said)

    def end_step(self, epoch: int, z: DistilledFeatures, batch: ClipBatch) -> None:
        """Equation 14 averages over all pairs of an epoch after the warm-up."""
        if self.weights is not None and self._adapts(epoch):
            self.weights.watch(z.teacher, z.student, batch.labels)

    def end_epoch(self, epoch: int) -> None:
        """Equation 14, unless the weights are to stay."""
        if self.weights is not None and self._adapts(epoch):
            self.weights.update()

    def _adapts(self, epoch: int) -> bool:
        return self.config.adversaries == "adaptive" and epoch >= self.config.warm_up_epochs


class Fixed(nn.Module):
    """Networks of which nothing changes any more: no parameter, no buffer."""

    def __init__(self, networks: nn.ModuleDict) -> None:
        super().__init__()
        self.networks = networks
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> Fixed:
        """Stay in evaluation mode."""
        return super().train(False)


def optimizer_of(config: Config, parameters: Iterable[nn.Parameter]) -> Optimizer:
    """The main turn's optimizer, with all of `parameters` that are trained."""
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    numbers: dict[str, Any] = {"lr": config.learning_rate, "weight_decay": config.weight_decay}
    if config.optimizer == "sgd":
        return SGD(trained, momentum=config.momentum, **numbers)
    return Adam(trained, **numbers)


def rate_factor(config: Config, epoch: int) -> float:
    """What share of its learning rate an epoch has: tenths at `decay_at`, a line to 0 at the end.

    >>> from kit.amid.config import video
    >>> [rate_factor(video(), epoch) for epoch in (149, 150)]
    [1.0, 0.1]

    """
    factor = 0.1 ** sum(epoch >= at for at in config.decay_at)
    left = config.epochs - epoch
    if config.linear_decay_epochs:
        factor *= min(1.0, left / (config.linear_decay_epochs + 1))
    return float(factor)
