"""One model by itself, by cross-entropy alone: student or teacher of Table 4, or an auxiliary.

An auxiliary model trained so plays the part of a network pre-trained on much sound: its extractor
goes into the distillation frozen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from kit.data.clips import ClipBatch
from kit.distillation import networks as parts
from kit.distillation.config import TrainingConfig
from kit.distillation.networks import Answer, Encoders, Models
from kit.training import Turn, scale_learning_rates


@dataclass(frozen=True)
class StudentAlone(TrainingConfig):
    """The student of Table 4 that learns from nobody."""

    reads = ("target",)

    def method(self, encoders: Encoders) -> SingleModel:
        """S and a classifier."""
        networks = parts.modality_network("target", encoders.target, dim=self.dim)
        features = parts.modality_features
        return SingleModel(self, "student", networks, features, encoders.class_counts)


@dataclass(frozen=True)
class TeacherAlone(TrainingConfig):
    """The teacher of Table 4 that nobody learns from."""

    def method(self, encoders: Encoders) -> SingleModel:
        """M on all modalities and a classifier."""
        networks = parts.full_modality_model(encoders.target, encoders.auxiliary, dim=self.dim)
        return SingleModel(self, "teacher", networks, _teacher, encoders.class_counts)


@dataclass(frozen=True)
class AuxiliaryAlone(TrainingConfig):
    """A model of the auxiliary modalities, whose extractors are to be used frozen."""

    reads = ("auxiliary",)

    def method(self, encoders: Encoders) -> SingleModel:
        """A and a classifier."""
        networks = parts.modality_network("auxiliary", encoders.auxiliary, dim=self.dim)
        features = partial(parts.modality_features, role="auxiliary")
        return SingleModel(self, "auxiliary", networks, features, encoders.class_counts)


def _teacher(networks: nn.ModuleDict, batch: ClipBatch) -> Tensor:
    return parts.full_modality_features(networks, batch)[-1]


class OneFeature(NamedTuple):
    """The one model's features of a batch: (batch, dim)."""

    feature: Tensor


class SingleModel(Models[OneFeature]):
    """A network of features with its own classifier.

    Args:
        config: the numbers.
        name: of the model: student, teacher or auxiliary.
        networks: those of its features.
        features: networks and batch to (batch, dim).
        class_counts: training clips of each class.

    """

    def __init__(
        self,
        config: TrainingConfig,
        name: str,
        networks: nn.ModuleDict,
        features: Callable[[nn.ModuleDict, ClipBatch], Tensor],
        class_counts: Sequence[int],
    ) -> None:
        self.config, self.features = config, features
        self.models: tuple[str, ...] = (name,)
        self.networks = networks
        self.networks["classifier"] = nn.Linear(config.dim, len(class_counts))
        main = config.main_optimizer(self.networks.values())
        self.optimizers: dict[str, Optimizer] = {"main": main}

    def begin_epoch(self, epoch: int) -> None:
        """The learning rate."""
        scale_learning_rates(self.optimizers["main"], self.config.rate_factor(epoch))

    def encode(self, batch: ClipBatch) -> OneFeature:
        """The one model's features."""
        return OneFeature(self.features(self.networks, batch))

    def turns(self, epoch: int) -> tuple[Turn[OneFeature, ClipBatch], ...]:
        """One turn."""
        return (Turn("main", self.optimizers["main"], self.terms),)

    def terms(self, z: OneFeature, batch: ClipBatch) -> dict[str, Tensor]:
        """Cross-entropy."""
        logits = self.networks["classifier"](z.feature)
        return {"classification": F.cross_entropy(logits, batch.labels)}

    def answers(self, batch: ClipBatch, models: Sequence[str] = ()) -> dict[str, Answer]:
        """What the model says of a batch; there is but one."""
        (feature,) = self.encode(batch)
        return {self.models[0]: Answer(feature, self.networks["classifier"](feature))}

    def meters(self, z: OneFeature, batch: ClipBatch) -> dict[str, Tensor]:
        """The features' norm."""
        return {f"{self.models[0]}_norm": z.feature.norm(dim=1).mean()}
