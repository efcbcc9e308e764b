"""The numbers of any training on clips: a method adds its own, and says how it is built."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, Literal, Self

from torch import nn
from torch.optim import SGD, Adam, Optimizer

from kit.checks import check_choice, check_fields, check_number, check_whole
from kit.distillation.networks import Encoders, Models


@dataclass(frozen=True)
class TrainingConfig:
    """Width, optimiser and schedule; the values on video, with their section in AMID's paper.

    Raises:
        ValueError: an impossible value, named.

    """

    dim: int = 512  # width of every feature (4.2); 768 on IEMOCAP
    # The supplement was not available: values of the works that the paper builds on.
    optimizer: Literal["sgd", "adam"] = "sgd"
    learning_rate: float = 1e-3
    weight_decay: float = 5e-4
    momentum: float = 0.9  # of SGD
    decay_at: tuple[int, ...] = (150, 225)  # epochs at whose start the rate falls to a tenth
    linear_decay_epochs: int = 0  # over the last of them the rate falls to 0; 30 on IEMOCAP
    batch_size: int = 16  # 128 on IEMOCAP
    epochs: int = 300  # 60 on IEMOCAP
    selection: Literal["last", "validation"] = "last"  # whose epoch's networks are kept and tested

    def __post_init__(self) -> None:
        check_fields(self)
        name = type(self).__name__
        check_whole(name, at_least=8, dim=self.dim)
        check_whole(name, at_least=2, batch_size=self.batch_size)  # one sample has no other
        check_whole(name, at_least=1, epochs=self.epochs)
        check_whole(name, at_least=0, linear_decay_epochs=self.linear_decay_epochs)
        check_choice(name, among=("sgd", "adam"), optimizer=self.optimizer)
        check_choice(name, among=("last", "validation"), selection=self.selection)
        check_number(name, learning_rate=self.learning_rate)
        check_number(name, at_least=0, weight_decay=self.weight_decay)
        if not 0 <= self.momentum < 1:
            raise ValueError(f"{name}: momentum must lie in [0, 1), got {self.momentum}")
        if self.optimizer == "adam" and self.momentum != TrainingConfig.momentum:
            raise ValueError(f"{name}: momentum is for sgd, adam ignores {self.momentum}")
        for at in self.decay_at:
            check_whole(name, at_least=1, **{"each of decay_at": at})
        if any(at >= self.epochs for at in self.decay_at):
            raise ValueError(f"{name}: decay_at must lie below {self.epochs}, got {self.decay_at}")
        linear = self.linear_decay_epochs
        if linear > self.epochs:
            found = f"{linear} of {self.epochs} epochs"
            raise ValueError(f"{name}: linear_decay_epochs goes beyond the run, got {found}")

    @property
    def reads(self) -> tuple[str, ...]:
        """What of `Encoders` the method is built on."""
        return ("target", "auxiliary")

    @classmethod
    def like(cls, other: TrainingConfig) -> Self:
        """The same numbers for another model: the student alone beside AMID, for one."""
        return cls(**{field.name: getattr(other, field.name) for field in fields(TrainingConfig)})

    def main_optimizer(self, networks: Iterable[nn.Module]) -> Optimizer:
        """The main turn's optimizer, with all parameters of `networks` that are trained.

        Each network is a group: of a group, torch's fused SGD wants all first gradients at once.
        """
        trained = [[p for p in network.parameters() if p.requires_grad] for network in networks]
        groups = [{"params": parameters} for parameters in trained if parameters]
        rate, decay = self.learning_rate, self.weight_decay
        if self.optimizer == "sgd":
            return SGD(groups, rate, self.momentum, weight_decay=decay, fused=True)
        return Adam(groups, rate, weight_decay=decay, fused=True)

    def rate_factor(self, epoch: int) -> float:
        """What share of its learning rate an epoch has: tenths at `decay_at`, a line to 0 at last.

        >>> [TrainingConfig().rate_factor(epoch) for epoch in (149, 150)]
        [1.0, 0.1]

        """
        factor = 0.1 ** sum(epoch >= at for at in self.decay_at)
        if self.linear_decay_epochs:
            factor *= min(1.0, (self.epochs - epoch) / (self.linear_decay_epochs + 1))
        return float(factor)

    def method(self, encoders: Encoders) -> Models[Any]:
        """The method of these numbers on these encoders."""
        raise TypeError(f"{type(self).__name__} holds the numbers of a training, a method adds its")
