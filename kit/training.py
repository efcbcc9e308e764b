"""The loop: alternating turns of optimisers within a step. It knows no paper.

A method says three things of each turn: what moves (an optimizer), down what (named terms), how
often. `fit` is a generator of plain records; whoever reads them may print, draw, save, pause, or
stop.
"""

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Generic, Protocol, Self, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from kit.checks import check_choice

Batch = TypeVar("Batch", bound=tuple[Any, ...])
Features = TypeVar("Features", bound=tuple[Tensor, ...])


@dataclass(frozen=True)
class Turn(Generic[Features, Batch]):
    """One optimizer's turn within a step.

    Args:
        name: what messages call it.
        optimizer: what it holds is what moves; there is no second list.
        terms: features and batch to weighted terms by name; their sum is descended. No terms: no
            move.
        every: the turn comes at each `every`-th step, counted across epochs.
        anew: the batch is encoded anew for it, where it reaches parameters that an earlier turn of
            the step has moved.

    """

    name: str
    optimizer: Optimizer
    terms: Callable[[Features, Batch], dict[str, Tensor]]
    every: int = 1
    anew: bool = False

    @property
    def parameters(self) -> list[nn.Parameter]:
        """What moves: all that the optimizer holds."""
        return [p for group in self.optimizer.param_groups for p in group["params"]]


class Method(Protocol[Features, Batch]):
    """What `fit` trains; a method derives from it and leaves out what it has no need of.

    Features are a named tuple of tensors; a batch is one that moves itself: `batch.to(device)`.

    Attributes:
        networks: everything with parameters or buffers.
        optimizers: built once; what each holds is what its turn moves.

    """

    networks: nn.ModuleDict
    optimizers: dict[str, Optimizer]

    def begin_epoch(self, epoch: int) -> None:
        """Set what depends on the epoch: learning rates."""
        return None

    def encode(self, batch: Batch) -> Features:
        """Once a step, with its graph; all turns of the step share it."""

    def turns(self, epoch: int) -> Sequence[Turn[Features, Batch]]:
        """The turns of each step, in order."""

    def meters(self, features: Features, batch: Batch) -> dict[str, Tensor]:
        """What to watch beside the terms: scalars by name, without gradient."""
        return {}

    def alarms(self, means: Mapping[str, float]) -> Sequence[str]:
        """What the epoch's mean terms and meters warn of, in words."""
        return ()

    def end_step(self, epoch: int, features: Features, batch: Batch) -> None:
        """What a method counts of a step once all turns have moved."""
        return None

    def end_epoch(self, epoch: int) -> None:
        """What a method does between epochs."""
        return None


@dataclass(frozen=True)
class Progress:
    """Where a run stands: epochs done, steps done in the current one, and its sums so far."""

    epoch: int = 0
    step: int = 0
    sums: Mapping[str, float] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)

    def after(self, values: Mapping[str, float]) -> Self:
        """One step later."""
        return replace(
            self,
            step=self.step + 1,
            sums={**self.sums, **{k: self.sums.get(k, 0.0) + v for k, v in values.items()}},
            counts={**self.counts, **{k: self.counts.get(k, 0) + 1 for k in values}},
        )

    def means(self) -> dict[str, float]:
        """The mean of each value over the steps of this epoch that had it."""
        return {name: total / self.counts[name] for name, total in self.sums.items()}


@dataclass(frozen=True)
class Step:
    """A step is done: its weighted terms and, at every `meter_every`-th, its meters."""

    progress: Progress
    values: dict[str, float]


@dataclass(frozen=True)
class Epoch:
    """An epoch is done: means of terms and meters, validation scores, alarms in words."""

    progress: Progress
    epoch: int
    means: dict[str, float]
    scores: dict[str, float]
    alarms: tuple[str, ...]


Record = Step | Epoch


class Loader(Protocol):
    """Batches of an epoch, a pure function of the epoch: `skip` leaves the first ones out."""

    def __len__(self) -> int: ...

    def epoch(self, epoch: int, *, skip: int = 0) -> Iterable[Any]:
        """The batches of `epoch` from number `skip` on."""


def fit(
    method: Method[Features, Any],
    loader: Loader,
    *,
    epochs: int,
    start: Progress | None = None,
    evaluate: Callable[[], dict[str, float]] | None = None,
    precision: str = "float32",
    meter_every: int = 10,
) -> Iterator[Record]:
    """Train until `epochs` epochs are done, and say so step by step.

    Args:
        method: what is trained, on the device where its networks are.
        loader: its batches.
        epochs: how many epochs in all, those before `start` included.
        start: where to go on; the beginning if not given.
        evaluate: validation scores, asked for after each epoch in evaluation mode, without
            gradient.
        precision: ``"float32"``, or ``"bfloat16"``: `encode` runs under autocast, features and
            losses stay in float32.
        meter_every: meters and gradient shares are taken at each such step, and at an epoch's
            first.

    Yields:
        A `Step` after each step, an `Epoch` after each epoch.

    Raises:
        ValueError: an unknown precision, or one that the processor cannot compute in.
        FloatingPointError: a term that is nan or infinite; it names the term, the turn, the epoch
            and step.

    """
    device = device_of(method.networks)
    check_precision("fit", precision, device)
    progress = start or Progress()
    for epoch in range(progress.epoch, epochs):
        method.begin_epoch(epoch)
        method.networks.train()
        turns = method.turns(epoch)
        for batch in loader.epoch(epoch, skip=progress.step):
            batch = batch.to(device)
            features = _encoded(method, batch, device, precision)
            watched = progress.step % meter_every == 0
            watch: dict[str, Tensor] = {}
            if watched:
                with torch.no_grad():
                    watch |= method.meters(features, batch)
            values: dict[str, float] = {}
            step = epoch * len(loader) + progress.step + 1
            for turn in turns:
                if step % turn.every:
                    continue
                z = _encoded(method, batch, device, precision) if turn.anew else features
                terms = turn.terms(z, batch)
                values |= _finite(terms, turn.name, epoch, step)
                if watched and len(terms) > 1:
                    watch |= _gradient_shares(terms, z)
                _descend(turn, terms)
            method.end_step(epoch, features, batch)
            values |= _numbers(watch)
            progress = progress.after(values)
            yield Step(progress, values)
        method.end_epoch(epoch)
        scores: dict[str, float] = {}
        if evaluate is not None:
            with evaluating(method.networks):
                scores = evaluate()
        means = progress.means()
        alarms = tuple(method.alarms(means))
        progress = Progress(epoch + 1)
        yield Epoch(progress, epoch, means, scores, alarms)


def check_precision(function: str, precision: str, device: torch.device | str) -> None:
    """Refuse a precision that is unknown, or that the processor cannot compute in.

    A processor is asked by one step of each kind of layer: oneDNN's LSTM in bfloat16 needs AVX-512,
    and without it the first step of a training would end in a message that names no cause.

    Args:
        function: who asks, for the message.
        precision: ``"float32"`` or ``"bfloat16"``.
        device: where networks will be; only a CPU can lack kernels.

    Raises:
        ValueError: another word; bfloat16 on a CPU without LSTM or convolution in bfloat16.

    """
    check_choice(function, among=("float32", "bfloat16"), precision=precision)
    if precision == "bfloat16" and torch.device(device).type == "cpu":
        missing = _missing_in_bfloat16(torch.backends.mkldnn.enabled)
        if missing:
            raise ValueError(
                f"{function}: precision 'bfloat16' needs a processor with bfloat16 kernels "
                f"(oneDNN's LSTM: AVX-512), this one ({torch.backends.cpu.get_cpu_capability()}) "
                f"has none for {' and '.join(missing)}; use precision 'float32'"
            )


@cache
def _missing_in_bfloat16(onednn: bool) -> list[str]:
    """Layers that this processor cannot step under autocast, with oneDNN switched on or off."""
    missing = []
    with torch.random.fork_rng(devices=[]), torch.enable_grad():  # asking draws nothing
        for name, layer in (("LSTM", nn.LSTM(1, 1)), ("convolution", nn.Conv2d(1, 1, 1))):
            try:
                with torch.autocast("cpu", dtype=torch.bfloat16):
                    out = layer(torch.ones(1, 1, 1))[0]
                out.float().sum().backward()
            except RuntimeError:
                missing.append(name)
    return missing


def _encoded(
    method: Method[Features, Any], batch: Any, device: torch.device, precision: str
) -> Features:
    """A batch's features with their graph: encoded under autocast if asked for, float32 after."""
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16"):
        features = method.encode(batch)
    return type(features)(*(part.float() for part in features))


def _finite(terms: Mapping[str, Tensor], turn: str, epoch: int, step: int) -> dict[str, float]:
    """Terms as numbers, before anything moves by them: the one wait for a GPU in a turn."""
    numbers = _numbers(terms)
    for name, number in numbers.items():
        if not math.isfinite(number):
            raise FloatingPointError(
                f"fit: term {name!r} of turn {turn!r} is {number} at epoch {epoch}, step {step}"
            )
    return numbers


def _descend(turn: Turn[Features, Any], terms: Mapping[str, Tensor]) -> None:
    """Descend the sum of a turn's terms with what its optimizer holds."""
    if terms:
        turn.optimizer.zero_grad()
        torch.stack(list(terms.values())).sum().backward(inputs=turn.parameters)
        turn.optimizer.step()


def _gradient_shares(
    terms: Mapping[str, Tensor], features: tuple[Tensor, ...]
) -> dict[str, Tensor]:
    """Each term's share of the sum of the gradient norms that the terms send into the features."""
    inputs = [part for part in features if part.requires_grad]
    sent = {name: gradient_norm(term, inputs) for name, term in terms.items()}
    norms = {name: norm for name, norm in sent.items() if norm is not None}
    total = sum(norms.values(), start=torch.zeros(())).clamp_min(torch.finfo(torch.float32).tiny)
    return {f"share/{name}": norm / total for name, norm in norms.items()}


def gradient_norm(term: Tensor, inputs: Sequence[Tensor]) -> Tensor | None:
    """Euclidean norm of what a term sends into all of `inputs`; None where nothing arrives."""
    gradients = torch.autograd.grad(term, inputs, retain_graph=True, allow_unused=True)
    sent = [gradient.square().sum() for gradient in gradients if gradient is not None]
    return torch.stack(sent).sum().sqrt() if sent else None


@contextlib.contextmanager
def evaluating(networks: nn.Module) -> Iterator[None]:
    """Evaluate without gradient; every module's mode is restored as it was found."""
    modes = {module: module.training for module in networks.modules()}
    networks.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def device_of(networks: nn.Module) -> torch.device:
    """Where networks are: all of a method's are on one device."""
    return next(networks.parameters()).device


def scale_learning_rates(optimizer: Optimizer, factor: float) -> None:
    """Set each group's rate to `factor` times the one it was built with."""
    for group in optimizer.param_groups:
        group.setdefault("initial_lr", group["lr"])
        group["lr"] = group["initial_lr"] * factor


def _numbers(values: Mapping[str, Tensor]) -> dict[str, float]:
    """All values in one transfer: each `.item()` alone would wait for the GPU."""
    if not values:
        return {}
    numbers = torch.stack([value.detach().float() for value in values.values()]).tolist()
    return dict(zip(values, numbers, strict=True))
