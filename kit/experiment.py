"""One training, from settings to a finished run folder: what the runs of all methods share.

A room says what differs: how a corpus becomes batches, what validation means, what a finished
folder keeps. Here is the rest: open the folder, seed, resume, train, select, test, finish.
"""

import contextlib
import platform
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from safetensors.torch import load_file

from kit.files import write_json
from kit.runs import open_run, read_history, seed_everything
from kit.training import Epoch, Loader, Method, Record, device_of, fit

Scores = dict[str, float]


@dataclass(frozen=True)
class Experiment:
    """What is trained, on what, and how it is judged.

    Args:
        method: on its device.
        loader: its batches.
        epochs: how many.
        precision: as in `kit.training.fit`.
        validate: scores on the validation split, by name.
        better: the score that chooses the best epoch; larger is better.
        selection: whose epoch's networks are tested: the ``"best"``, or the ``"last"``.
        keep_epoch: writes what else the folder keeps of an epoch.
        test: scores of the chosen networks for ``result.json``, by part.

    """

    method: Method[Any, Any]
    loader: Loader
    epochs: int
    precision: str
    validate: Callable[[], Scores]
    better: str
    selection: Literal["best", "last"]
    keep_epoch: Callable[[Epoch], None]
    test: Callable[[], dict[str, Scores]]


def carry_out(
    out: Path | str, settings: Mapping[str, Any], build: Callable[[Path], Experiment]
) -> Iterator[Record]:
    """Train what `build` makes and keep it in folder `out`; read what is finished there already.

    Args:
        out: the run folder.
        settings: plain facts that decide the result, the seed among them.
        build: folder to experiment; writes there what is needed to use the networks again. It is
            called with everything seeded.

    Yields:
        The records of `kit.training.fit`; none of a finished run.

    Raises:
        ValueError: `out` holds another run (the difference is named), and what `build` refuses.
        FloatingPointError: a term that is not finite.

    """
    with open_run(out, settings) as run:
        if run.finished:
            return
        seed_everything(settings["seed"])
        exact_arithmetic()
        experiment = build(run.folder)
        method = experiment.method
        write_json(run.folder / "environment.json", environment(device_of(method.networks)))
        records = fit(
            method,
            experiment.loader,
            epochs=experiment.epochs,
            start=run.resume(method),
            evaluate=experiment.validate,
            precision=experiment.precision,
        )
        yield from run.keep(
            method, records, better=experiment.better, at_epoch=experiment.keep_epoch
        )
        if experiment.selection == "best":
            method.networks.load_state_dict(load_file(run.folder / "best.safetensors"))
        history = read_history(run.folder)
        run.finish(
            experiment.test()
            | {
                "best": run.written["best"],
                "epochs": len(history),
                "minutes": sum(epoch["seconds"] for epoch in history) / 60,
                "alarms": [f"epoch {e['epoch']}: {a}" for e in history for a in e["alarms"]],
            }
        )


def exact_arithmetic() -> None:
    """Have CUDA compute float32 in float32, and the same way every time: no TF32, no search.

    These are torch's switches for the whole process; ``environment.json`` records them.
    """
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True


def environment(device: torch.device) -> dict[str, Any]:
    """Versions, device and git revision: what a result was made with."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor()
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "platform": platform.platform(),
        "device": f"{device.type}: {name}" if name else device.type,
        "threads": torch.get_num_threads(),
        "tf32": torch.backends.cuda.matmul.allow_tf32 or torch.backends.cudnn.allow_tf32,
        "cudnn_deterministic": torch.backends.cudnn.deterministic,
        "git": _git_revision(),
    }


def _git_revision() -> str | None:
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return None
