"""AMID against lower bounds: its loss, and a whole step against a student that learns alone.

1. `mutual_information_loss`, forward and backward, at 1,024 x 512, against SupConLoss of
   pytorch-metric-learning on the same tensors. Goal: faster.
2. One step of AMID (one forward pass, both turns, all optimisers) against the forward pass,
   backward pass and optimiser step of the bare student: R(2+1)D-18 at 4 x 56 x 56 (243 GFLOP a
   step: longer or larger clips only bring the ratio nearer to 1) with auxiliary vectors of 512,
   goal at most 1.10; and the small networks at 8 x 32 x 32 with a fixed small audio network, whose
   features are computed before as in a run, goal at most 1.6. Batch 16. The student has the same
   optimiser with the same numbers, and its loss is read once a step.

Each line has the ratio of medians of runs taken in turn, the largest tensor of the loss in units of
(batch, batch), and how many threads there were.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from pytorch_metric_learning.losses import SupConLoss
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from kit.amid.config import video
from kit.amid.losses import mutual_information_loss
from kit.data.clips import ClipBatch, Clips
from kit.distillation.inputs import ClipInput, ClipKind
from kit.distillation.networks import Encoders, clip_encoders
from kit.encoders.audio import SmallAudio
from kit.training import Step, fit

BATCH, WIDTH, CLASSES = 1024, 512, 51


class LargestTensor(TorchDispatchMode):
    """Notes the largest tensor that any operation returns."""

    elements = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        result = function(*args, **(kwargs or {}))
        for one in result if isinstance(result, tuple | list) else (result,):
            if isinstance(one, Tensor):
                self.elements = max(self.elements, one.numel())
        return result


def seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def ratio(ours: Callable[[], object], reference: Callable[[], object], runs: int) -> str:
    """Medians of runs in turn, after one of each that is not counted."""
    ours(), reference()
    taken = [(seconds(ours), seconds(reference)) for _ in range(runs)]
    mine, theirs = (statistics.median(column) for column in zip(*taken, strict=True))
    return f"ratio {mine / theirs:.2f} ({1e3 * mine:.1f} ms over {1e3 * theirs:.1f} ms"


def loss_against_supcon() -> None:
    generator = torch.Generator().manual_seed(0)
    teacher, student = (
        torch.randn(BATCH, WIDTH, generator=generator, requires_grad=True) for _ in range(2)
    )
    labels = torch.randint(CLASSES, (BATCH,), generator=generator)
    supcon = SupConLoss(temperature=0.5)

    def ours() -> None:
        mutual_information_loss(student, teacher, labels, temperature=0.5).backward()

    def theirs() -> None:
        supcon(teacher, labels, ref_emb=student, ref_labels=labels).backward()

    with LargestTensor() as largest:
        ours()
    print(
        f"L_MI, forward and backward, {BATCH} x {WIDTH}: {ratio(ours, theirs, runs=15)} of "
        f"SupConLoss; goal below 1), largest tensor {largest.elements / BATCH**2:.1f} x (batch, "
        f"batch), {torch.get_num_threads()} threads"
    )


@dataclass
class OneBatch:
    """The same batch again and again."""

    batch: ClipBatch
    steps: int

    def __len__(self) -> int:
        return self.steps

    def epoch(self, epoch: int, *, skip: int = 0) -> Iterator[ClipBatch]:
        """As many steps as asked for."""
        for _ in range(skip, self.steps):
            yield self.batch


def steps_against_student(
    encoder: str, shape: tuple[int, ...], goal: float, *, steps: int, runs: int
) -> None:
    config = replace(video(), warm_up_epochs=0, epochs=1, decay_at=())
    mels = (100, 40)
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        target = {"video": ClipInput(encoder, scaling="none")}
        if encoder == "r2plus1d_18":
            sound, values = ClipInput("identity", frozen=True, scaling="none"), (512,)
        else:
            weights, values = Path(folder) / "audio.safetensors", mels
            save_file(SmallAudio(mels[1], dim=config.dim).state_dict(), weights)
            sound = ClipInput("small_audio", str(weights), frozen=True, scaling="none")
        kinds = {"video": ClipKind(shape, False), "sound": ClipKind(values, False)}
        student, auxiliary, alone = (
            clip_encoders(inputs, kinds, dim=config.dim)
            for inputs in (target, {"sound": sound}, target)
        )
        auxiliary["sound"].load()
    method = config.method(Encoders(student, auxiliary, [96] * CLASSES))
    batch = ClipBatch.of(
        {
            "video": torch.randn(config.batch_size, *shape),
            "sound": torch.randn(config.batch_size, *values),
        },
        {},
        torch.randint(CLASSES, (config.batch_size,)),
        torch.arange(config.batch_size),
    )
    labels, sounds = batch.labels.tolist(), batch.modalities["sound"].numpy()
    ids = [str(row) for row in range(config.batch_size)]
    auxiliary["sound"].remember(Clips("train", ids, labels, {"sound": sounds}), "sound")
    bare = nn.Sequential(alone["video"], nn.Linear(config.dim, CLASSES)).train()
    optimizer = config.main_optimizer(bare)

    def ours() -> None:
        for record in fit(method, OneBatch(batch, steps), epochs=1):
            if isinstance(record, Step) and record.progress.step == steps:
                return

    def theirs() -> None:
        for _ in range(steps):
            optimizer.zero_grad()
            loss = F.cross_entropy(bare(batch.modalities["video"]), batch.labels)
            loss.item()
            loss.backward()
            optimizer.step()

    clip = " x ".join(map(str, shape[:3]))
    print(
        f"{steps} steps of AMID, {encoder} at {clip}, batch {config.batch_size}: "
        f"{ratio(ours, theirs, runs=runs)} of the bare student; goal at most {goal}), "
        f"{torch.get_num_threads()} threads"
    )


def main() -> None:
    loss_against_supcon()
    # At an epoch's first and at every tenth step the loop takes its meters: they count.
    steps_against_student("r2plus1d_18", (4, 56, 56, 3), goal=1.10, steps=2, runs=3)
    steps_against_student("small_video", (8, 32, 32, 3), goal=1.6, steps=10, runs=7)


if __name__ == "__main__":
    main()
