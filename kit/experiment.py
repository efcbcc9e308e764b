"""One training, from settings to a finished run folder: what the runs of all methods share.

A room says what differs: how a corpus becomes batches, what validation means, what a finished
folder keeps. Here is the rest: open the folder, seed, resume, train, select, test, finish; and,
later, build the networks again from the folder.
"""

import contextlib
import platform
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
import torch
from safetensors.torch import load_file

from kit.checks import check_whole, first_few
from kit.encoders.weights import check_weights, load_weights, read_weights
from kit.files import Json, as_path, read_json, write_json
from kit.runs import (
    check_run,
    dotted_name,
    open_run,
    read_history,
    run_settings,
    seed_everything,
)
from kit.training import Epoch, Loader, Method, Record, check_precision, device_of, fit

Scores = dict[str, float]
Built = TypeVar("Built", bound=Any)  # has a `method`


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


class Setting(NamedTuple):
    """What every run is asked for, beside its method and its data, as plain values."""

    out: Path
    seed: int
    device: str
    precision: str
    workers: int | None


def check_setting(
    out: Path | str, seed: int, device: str | torch.device, precision: str, workers: int | None
) -> Setting:
    """Refuse what no run can be made with, before anything is read or written for it.

    Args:
        out: the run folder.
        seed: of everything that is drawn, from 0 to 2**64 - 1.
        device: where to train; it must be there.
        precision: as in `kit.training.fit`.
        workers: loader processes, or None.

    Raises:
        ValueError: a number out of its range, no path, an unknown device or precision, one that
            this machine does not have.

    """
    path = as_path("train", out, "out")
    check_whole("train", at_least=0, at_most=2**64 - 1, seed=seed)
    check_whole("train", at_least=0, workers=workers or 0)
    try:
        there = torch.empty(0, device=device).device.type != "meta"
    except (RuntimeError, AssertionError, NotImplementedError):
        there = False
    if not there:
        cards = torch.cuda.device_count()
        raise ValueError(
            f"train: device must be one of this machine, got {str(device)!r}; it has 'cpu' and "
            f"{cards} CUDA devices"
        )
    check_precision("train", precision, device)
    return Setting(path, seed, str(device), precision, workers)


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


def restored(
    folder: Path | str,
    config_type: type,
    networks: str,
    prepare: Callable[[Path, Json], Callable[[], Built]],
) -> Built:
    """A run's networks, built again from its folder and filled: what a room's `restore` is made of.

    The folder may come from anyone. Its files must be those that the run wrote, and the sizes that
    it asks for those of the tensors in it, before anything of that size is built.

    Args:
        folder: of a run.
        config_type: the class of the numbers that it was trained with.
        networks: the file that holds their state.
        prepare: folder and blueprint to a function that builds what has a method with such
            networks; it is called twice.

    Returns:
        what was built, in evaluation mode.

    Raises:
        ValueError: a folder without such a file, a run of another method, damaged or missing files.

    """
    folder = as_path("restore", folder, "folder").resolve()
    run_settings("restore", folder)
    check_run("restore", folder)
    if not (folder / networks).exists():
        raise ValueError(f"restore: {folder} holds no trained networks yet")
    facts, source = read_json(folder / "blueprint.json"), str(folder / networks)
    method = facts.get("method") if isinstance(facts, dict) else None
    if method != dotted_name(config_type):
        raise ValueError(
            f"restore: {folder} was trained by {method}, not by {dotted_name(config_type)}"
        )
    state = read_weights(source)
    try:
        build = prepare(folder, facts)
        with torch.device("meta"):  # has sizes and takes no memory
            sizes = build().method.networks.state_dict()
    except Exception as error:  # what was written there decides which part of it fails
        raise ValueError(
            f"restore: {folder / 'blueprint.json'} describes no networks that this version of the "
            f"kit can build; train anew ({type(error).__name__}: {error})"
        ) from error
    check_weights(sizes, state, source)
    built = build()
    unexpected = load_weights(built.method.networks, state, source=source).unexpected
    if unexpected:
        raise ValueError(f"restore: {source}: the networks have no {first_few(unexpected)}")
    built.method.networks.eval()
    return built


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
