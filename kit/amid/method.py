"""AMID as `kit.training.fit` trains it: what is computed of a batch, and whose turn it is.

A step is one forward pass, then the discriminators' turn on detached features, then the main turn,
in which the student meets the discriminators that have just moved. During the warm-up the main turn
comes alone, with L_cls + L_JSD.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam, Optimizer

from kit.amid import losses
from kit.amid.discriminators import class_discriminator, sample_discriminator
from kit.data.clips import ClipBatch
from kit.distillation import networks as parts
from kit.distillation.networks import Answer, Encoders, Frozen, Models
from kit.training import Turn, scale_learning_rates

if TYPE_CHECKING:
    from kit.amid.config import AMIDConfig

STUDENT = ("target", "target_head")  # its networks beside the classifier
JUDGES = ("sample_discriminator", "class_discriminator")  # D1, D2


class DistilledFeatures(NamedTuple):
    """S, M and A of a batch: (batch, dim) each."""

    student: Tensor
    teacher: Tensor
    auxiliary: Tensor


class AMID(Models[DistilledFeatures]):
    """Student and teacher trained together (Equation 17).

    Args:
        config: the numbers.
        encoders: the student is built on the target's. With ``teacher="frozen"`` they hold the
            networks of a teacher that was trained alone: it has its own extractors and its own
            classifier, of which the student's is a copy at first.

    Raises:
        ValueError: a frozen teacher where none is asked for, or none where it is, or one of another
            width; a student of which nothing can be trained.

    """

    models: tuple[str, ...] = ("student", "teacher")

    def __init__(self, config: AMIDConfig, encoders: Encoders) -> None:
        if (encoders.frozen_teacher is None) != (config.teacher == "online"):
            needs = "needs a" if encoders.frozen_teacher is None else "takes no"
            raise ValueError(f"AMID: teacher {config.teacher!r} {needs} frozen_teacher")
        self.config = config
        self.frozen: Frozen | None = None
        self.weights = losses.AdversaryWeights() if config.adversarial_weight else None
        self.adaptive = self.weights if config.adversaries == "adaptive" else None
        self.divisor = losses.expected_classmates(encoders.class_counts, config.batch_size)  # d
        dim, classes = config.dim, len(encoders.class_counts)
        if encoders.frozen_teacher is None:
            self.networks = parts.full_modality_model(encoders.target, encoders.auxiliary, dim=dim)
            if config.auxiliary_information_weight:
                head = parts.modality_head(parts.feature_dims(encoders.auxiliary), dim=dim)
                self.networks["auxiliary_head"] = head
        else:
            self.networks = parts.modality_network("target", encoders.target, dim=dim)
            self.networks["frozen_teacher"] = self.frozen = Frozen(encoders.frozen_teacher)
        if not any(p.requires_grad for n in STUDENT for p in self.networks[n].parameters()):
            raise ValueError(f"AMID: a frozen target of width dim {dim} has no head to be trained")
        self.networks["classifier"] = nn.Linear(dim, classes)
        if encoders.frozen_teacher is not None:
            teachers = encoders.frozen_teacher["classifier"]
            width = teachers.in_features
            if width != dim:
                raise ValueError(f"AMID: expected a frozen teacher of width {dim}, got {width}")
            self.networks["classifier"].load_state_dict(teachers.state_dict())
        if self.weights is not None:
            self.networks["sample_discriminator"] = sample_discriminator(dim)
            if config.adversaries != "sample_only":
                self.networks["class_discriminator"] = class_discriminator(dim)
            self.networks["adversary_weights"] = self.weights
        self.optimizers = self._optimizers()

    def _optimizers(self) -> dict[str, Optimizer]:
        """Both discriminators; all else that is not frozen."""
        main = [network for name, network in self.networks.items() if name not in JUDGES]
        optimizers = {"main": self.config.main_optimizer(main)}
        if self.weights is not None:
            judged = [p for judge in self._judges().values() for p in judge.parameters()]
            rate = self.config.discriminator_learning_rate
            optimizers["discriminators"] = Adam(judged, rate, (0.5, 0.999), fused=True)
        return optimizers

    def _judges(self) -> dict[str, nn.Module]:
        return {name: self.networks[name] for name in JUDGES if name in self.networks}

    def begin_epoch(self, epoch: int) -> None:
        """The learning rate of the main turn."""
        scale_learning_rates(self.optimizers["main"], self.config.rate_factor(epoch))

    def encode(self, batch: ClipBatch) -> DistilledFeatures:
        """One forward pass: M reads S with its graph, so the teacher's terms train S's extractor.

        Without L_MIa there is no A to compare with; it is then empty, (batch, 0).
        """
        if self.frozen is None:
            student, extracted, teacher = parts.full_modality_features(self.networks, batch)
        else:
            student = parts.modality_features(self.networks, batch)
            with torch.no_grad():
                source = self.frozen.networks
                _, extracted, teacher = parts.full_modality_features(source, batch)
        informed = "auxiliary_head" in self.networks
        auxiliary = self.networks["auxiliary_head"](extracted) if informed else extracted[:, :0]
        return DistilledFeatures(student, teacher, auxiliary)

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
        student, teacher = self.logits(z)
        if self.frozen is not None:
            classification = F.cross_entropy(student, batch.labels)
        else:
            classification = losses.shared_classification_loss(student, teacher, batch.labels)
        return {
            "classification": classification,
            "jensen_shannon": losses.jensen_shannon_loss(student, teacher),
        }

    def distillation_terms(self, z: DistilledFeatures, batch: ClipBatch) -> dict[str, Tensor]:
        """Equation 17, weighted."""
        c = self.config
        terms = self.prediction_terms(z, batch)
        nce = c.contrast == "nce"
        contrast = losses.contrastive_nce_loss if nce else losses.mutual_information_loss
        if c.student_information_weight:
            loss = contrast(z.student, z.teacher, batch.labels, temperature=c.temperature)
            terms["student_information"] = c.student_information_weight * loss
        if "auxiliary_head" in self.networks:
            loss = contrast(z.auxiliary, z.teacher, batch.labels, temperature=c.temperature)
            terms["auxiliary_information"] = c.auxiliary_information_weight * loss
        for name, judge, rows, weight, divisor in self._games(batch):
            game = losses.adversarial_loss(judge(z.student[rows]), weight=weight, divisor=divisor)
            if game is not None:
                terms[f"{name}_adversarial"] = c.adversarial_weight * game
        return terms

    def discriminator_terms(self, z: DistilledFeatures, batch: ClipBatch) -> dict[str, Tensor]:
        """Equation 13: neither student nor teacher moves, so the features are detached."""
        student, teacher = z.student.detach(), z.teacher.detach()
        terms: dict[str, Tensor] = {}
        for name, judge, rows, weight, divisor in self._games(batch):
            logits = judge(torch.cat([student[rows], teacher[rows]]))
            loss = losses.discriminator_loss(*logits.chunk(2), weight=weight, divisor=divisor)
            if loss is not None:
                terms[name] = loss
        return terms

    def _games(
        self, batch: ClipBatch
    ) -> Iterator[tuple[str, nn.Module, Tensor | slice, Tensor, float]]:
        """Name, discriminator, rows that it sees, lambda, and B or d; without D2, lambda_1 is 1."""
        if self.weights is None:
            return
        judges, alone = self._judges(), torch.ones(1, device=batch.labels.device)
        lambdas = self.weights() if len(judges) == 2 else alone
        seen, divisors = (slice(None), batch.classmates), (float(len(batch.labels)), self.divisor)
        yield from zip(judges, judges.values(), seen, lambdas, divisors, strict=False)

    def logits(self, z: DistilledFeatures) -> tuple[Tensor, Tensor]:
        """Of S and of M, by one classifier; a fixed teacher keeps its own."""
        classifier = self.networks["classifier"]
        teachers = classifier if self.frozen is None else self.frozen.networks["classifier"]
        return classifier(z.student), teachers(z.teacher)

    def answers(
        self, batch: ClipBatch, models: Sequence[str] = ("student", "teacher")
    ) -> dict[str, Answer]:
        """What each model says of a batch; the student alone needs no auxiliary modality."""
        if "teacher" not in models:
            features = parts.modality_features(self.networks, batch)
            return {"student": Answer(features, self.networks["classifier"](features))}
        z = self.encode(batch)
        student, teacher = self.logits(z)
        both = {"student": Answer(z.student, student), "teacher": Answer(z.teacher, teacher)}
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
                    estimate = losses.mutual_information_estimate(
                        other, z.teacher, labels, temperature=self.config.temperature
                    )
                    watched[f"{name}_nats"] = torch.tensor(estimate.nats)
                    watched["nats_ceiling"] = torch.tensor(estimate.ceiling)
        for name, judge, rows, weight, _ in self._games(batch):
            watched[f"{name}_lambda"] = weight
            if len(z.student[rows]):
                watched[f"{name}_of_teacher"] = judge(z.teacher[rows]).sigmoid().mean()
                watched[f"{name}_of_student"] = judge(z.student[rows]).sigmoid().mean()
        return {name: value.to(z.student.device) for name, value in watched.items()}

    def alarms(self, means: Mapping[str, float]) -> tuple[str, ...]:
        """What an epoch's means warn of, in words."""
        messages = []
        for name, letter in (("sample", "D1"), ("class", "D2")):
            of_teacher = means.get(f"{name}_discriminator_of_teacher", 0.5)
            of_student = means.get(f"{name}_discriminator_of_student", 0.5)
            if of_teacher - of_student > 0.98:
                messages.append(
                    f"{letter} tells teacher and student apart nearly always: "
                    "the student is far from where it could take it in"
                )
        if means.get("same_class_cosine", 0.0) > 0.999:
            messages.append(
                "teacher and student features of a class have become one direction "
                f"(mean cosine {means['same_class_cosine']:.4f})"
            )
        return tuple(messages)

    def end_step(self, epoch: int, z: DistilledFeatures, batch: ClipBatch) -> None:
        """Equation 14 averages over all pairs of an epoch after the warm-up."""
        if self.adaptive is not None and epoch >= self.config.warm_up_epochs:
            self.adaptive.watch(z.student, z.teacher, batch.labels)

    def end_epoch(self, epoch: int) -> None:
        """Equation 14, unless the weights are to stay."""
        if self.adaptive is not None and epoch >= self.config.warm_up_epochs:
            self.adaptive.update()
