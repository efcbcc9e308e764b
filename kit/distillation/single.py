"""One model by itself, by cross-entropy alone: student or teacher of Table 4, or an auxiliary.

An auxiliary model trained so plays the part of a network pre-trained on much sound: its extractor
goes into the distillation fixed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

from kit.amid.config import Config
from kit.amid.method import Answer, optimizer_of, rate_factor
from kit.amid.networks import (
    extracted_auxiliary,
    full_modality_model,
    modality_head,
    student,
    student_features,
    teacher_features,
)
from kit.data.clips import ClipBatch
from kit.distillation.inputs import feature_dims
from kit.training import Turn, scale_learning_rates


class OneFeature(NamedTuple):
    """The one model's features of a batch: (batch, dim)."""

    feature: Tensor


class Alone:
    """S, M or A with its own classifier.

    Args:
        config: the numbers; `config.trained` says which model.
        target: `ClipEncoder` of each target modality; none for the auxiliary alone.
        auxiliary: `ClipEncoder` of each auxiliary modality; none for the student alone.
        class_counts: training clips of each class.

    """

    def __init__(
        self,
        config: Config,
        *,
        target: nn.ModuleDict,
        auxiliary: nn.ModuleDict,
        class_counts: Sequence[int],
    ) -> None:
        self.config = config
        self.models = (config.trained,)
        if config.trained == "student":
            self.networks = student(target, dim=config.dim)
        elif config.trained == "teacher":
            self.networks = full_modality_model(target, auxiliary, dim=config.dim)
        else:
            head = modality_head(feature_dims(auxiliary), dim=config.dim)
            self.networks = nn.ModuleDict({"auxiliary": auxiliary, "auxiliary_head": head})
        self.networks["classifier"] = nn.Linear(config.dim, len(class_counts))
        self.optimizers = {"main": optimizer_of(config, self.networks.parameters())}

    def begin_epoch(self, epoch: int) -> None:
        """The learning rate."""
        scale_learning_rates(self.optimizers["main"], rate_factor(self.config, epoch))

    def encode(self, batch: ClipBatch) -> OneFeature:
        """The one model's features."""
        if self.config.trained == "student":
            return OneFeature(student_features(self.networks, batch))
        extracted = extracted_auxiliary(self.networks, batch)
        if self.config.trained == "auxiliary":
            return OneFeature(self.networks["auxiliary_head"](extracted))
        features = student_features(self.networks, batch)
        return OneFeature(teacher_features(self.networks, features, extracted))

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
        return {self.config.trained: Answer(feature, self.networks["classifier"](feature))}

    def meters(self, z: OneFeature, batch: ClipBatch) -> dict[str, Tensor]:
        """The features' norm."""
        return {f"{self.config.trained}_norm": z.feature.norm(dim=1).mean()}

    def alarms(self, means: Mapping[str, float]) -> tuple[str, ...]:
        """None."""
        return ()

    def end_step(self, epoch: int, z: OneFeature, batch: ClipBatch) -> None:
        """Nothing is counted."""

    def end_epoch(self, epoch: int) -> None:
        """Nothing comes between epochs."""
