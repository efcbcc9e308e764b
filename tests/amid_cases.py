"""Small networks and batches for AMID: one modality is seen, one is heard."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from kit.amid.config import AMIDConfig, video
from kit.amid.method import AMID
from kit.data.clips import ClipBatch
from kit.distillation.config import TrainingConfig
from kit.distillation.inputs import ClipInput
from kit.distillation.networks import ClipEncoder, Encoders
from kit.distillation.single import TeacherAlone

SEEN, HEARD, DIM = 6, 5, 8
CLASS_COUNTS = (4, 3, 2, 1)
# The paper's numbers for tiny networks: rates at which a step shows in float32.
CONFIG = replace(
    video(), dim=DIM, warm_up_epochs=1, epochs=3, decay_at=(), batch_size=5, learning_rate=0.05
)
MIXED = [0, 1, 0, 2, 1]
DISTINCT = [0, 1, 2, 3]


def encoder(width_in: int, width: int, *, frozen: bool = False) -> ClipEncoder:
    """A layer with batch norm, in the frame that every encoder has."""
    asked = ClipInput("identity", scaling="none", frozen=frozen)
    one = ClipEncoder(asked, (width_in,), ragged=False, dim=width)
    one.network = nn.Sequential(
        nn.Linear(width_in, width), nn.BatchNorm1d(width), nn.LeakyReLU(0.01)
    )
    one.feature_dim = width
    return one.requires_grad_(not frozen)


def encoders(
    *, heard: int = 7, heard_frozen: bool = False, seen: int = 9, reads: Sequence[str] = ()
) -> Encoders:
    """Encoders of both modalities, of these widths; only one of 8 fits without a head."""
    torch.manual_seed(0)
    target = nn.ModuleDict({"seen": encoder(SEEN, seen)})
    auxiliary = nn.ModuleDict({"heard": encoder(HEARD, heard, frozen=heard_frozen)})
    nothing = nn.ModuleDict()
    return Encoders(
        target if not reads or "target" in reads else nothing,
        auxiliary if not reads or "auxiliary" in reads else nothing,
        CLASS_COUNTS,
    )


def amid(config: AMIDConfig = CONFIG, kind: type[AMID] = AMID, **how: Any) -> AMID:
    """AMID on `encoders`; a frozen teacher is a teacher alone, of another draw."""
    given = encoders(**how)
    if config.teacher == "frozen":
        teacher = alone(TeacherAlone, seen=10).networks
        given = replace(encoders(**how), auxiliary=nn.ModuleDict(), frozen_teacher=teacher)
    return kind(config, given)


def alone(kind: type[TrainingConfig], config: AMIDConfig = CONFIG, **how: Any) -> Any:
    """One model alone, with the modalities that it reads."""
    numbers = kind.like(config)
    return numbers.method(encoders(**how, reads=numbers.reads))


def batch(labels: Sequence[int] = MIXED, seed: int = 0) -> ClipBatch:
    """Random clips of these classes."""
    draw = torch.Generator().manual_seed(seed)
    modalities = {
        name: torch.randn(len(labels), width, generator=draw)
        for name, width in (("seen", SEEN), ("heard", HEARD))
    }
    return ClipBatch.of(modalities, {}, torch.tensor(labels), torch.arange(len(labels)))


@dataclass(frozen=True)
class Batches:
    """The same labels in every epoch, other clips."""

    labels: Sequence[Sequence[int]]

    def __len__(self) -> int:
        return len(self.labels)

    def epoch(self, epoch: int, *, skip: int = 0) -> Iterator[ClipBatch]:
        for step in range(skip, len(self.labels)):
            yield batch(self.labels[step], seed=100 * epoch + step)


def copied(networks: nn.Module) -> dict[str, Tensor]:
    """All parameters and buffers as they are now."""
    return {name: value.clone() for name, value in networks.state_dict().items()}


def changed(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> set[str]:
    """The networks of which any number differs; nan is not a number that stayed."""
    assert before.keys() == after.keys()
    return {key.partition(".")[0] for key in before if not torch.equal(before[key], after[key])}
