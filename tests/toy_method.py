"""Two networks that play against each other: a method small enough to see through."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import SGD

from kit.training import Turn


class Numbers(NamedTuple):
    x: Tensor

    def to(self, device: torch.device) -> Numbers:
        return Numbers(self.x.to(device))


class Hidden(NamedTuple):
    h: Tensor


@dataclass
class ToyLoader:
    """The batches of an epoch: a pure function of its number."""

    steps: int = 7

    def __len__(self) -> int:
        return self.steps

    def epoch(self, epoch: int, *, skip: int = 0) -> Iterator[Numbers]:
        for step in range(skip, self.steps):
            generator = torch.Generator().manual_seed(100 * epoch + step)
            yield Numbers(torch.randn(4, 2, generator=generator))


@dataclass
class ToyMethod:
    """An encoder that shrinks its features and pleases a judge, a judge that scores them.

    `events` notes what the loop asked for, in order; `broken` makes a term nan at that step.
    """

    judge_every: int = 5
    broken: int | None = None
    events: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        torch.manual_seed(0)
        self.networks = nn.ModuleDict(
            {
                "encoder": nn.Sequential(nn.Linear(2, 3), nn.Dropout(0.5)),
                "judge": nn.Sequential(nn.Linear(3, 1), nn.BatchNorm1d(1, affine=False)),
            }
        )
        self.optimizers = {
            "encoder": SGD(self.networks["encoder"].parameters(), lr=0.1, momentum=0.9),
            "judge": SGD(self.networks["judge"].parameters(), lr=0.1),
        }
        self.encoded = 0
        self.seen: list[torch.dtype] = []

    def begin_epoch(self, epoch: int) -> None:
        self.events.append(f"begin {epoch}")

    def encode(self, batch: Numbers) -> Hidden:
        self.encoded += 1
        hidden = self.networks["encoder"](batch.x)
        self.seen.append(hidden.dtype)
        return Hidden(hidden)

    def turns(self, epoch: int) -> tuple[Turn[Hidden, Numbers], ...]:
        return (
            Turn("encoder", self.optimizers["encoder"], self.encoder_terms),
            Turn("judge", self.optimizers["judge"], self.judge_terms, every=self.judge_every),
        )

    def encoder_terms(self, z: Hidden, batch: Numbers) -> dict[str, Tensor]:
        assert z.h.dtype == torch.float32
        broken = float("nan") if self.encoded == self.broken else 1.0
        judge = self.networks["judge"][0]
        return {"size": z.h.square().mean(), "please": broken * 3 * judge(z.h).mean()}

    def judge_terms(self, z: Hidden, batch: Numbers) -> dict[str, Tensor]:
        return {"score": self.networks["judge"](z.h.detach()).square().mean()}

    def meters(self, z: Hidden, batch: Numbers) -> dict[str, Tensor]:
        assert not torch.is_grad_enabled()
        return {"norm": z.h.norm(dim=1).mean()}

    def alarms(self, means: Mapping[str, float]) -> tuple[str, ...]:
        return ("the features are large",) if means["norm"] > 1e3 else ()

    def end_step(self, epoch: int, z: Hidden, batch: Numbers) -> None:
        """Count nothing."""

    def end_epoch(self, epoch: int) -> None:
        self.events.append(f"end {epoch}")


def copied(state: Mapping[str, Any]) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in state.items()}


def same(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
