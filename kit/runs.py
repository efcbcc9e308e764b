"""The run folder: what a training run leaves behind, and how a killed one goes on.

    config.json         what was asked for: method, numbers, corpus, seed; and a hash of it
    environment.json    versions, device, git revision
    history.jsonl       a line per step and per epoch
    checkpoint.pt       networks, optimizers, progress, random states: the last consistent moment
    best.safetensors    the networks of the epoch that did best on validation
    result.json, done   what came out; there only when the run is finished
    lock                host and process that write here now

Every file is written beside its place and moved there, so a killed run leaves no half file. The
package that wrote a folder adds what it needs to be used again (vocabulary, transform), and `load`
asks that package to restore it.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib
import json
import os
import platform
import random
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from kit.files import atomic, read_json, write_json
from kit.training import Epoch, Method, Progress, Record

Json = Any


def seed_everything(seed: int) -> None:
    """Seed python, numpy and torch (every device)."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def dotted_name(kind: type) -> str:
    """Module and name of a class, such as a configuration's: how a folder names its method."""
    return f"{kind.__module__}.{kind.__qualname__}"


# What each method of the kit is used again by; others are restored by whoever defined them.
RESTORED_BY = {
    "kit.itmeetsal.method.ITMeetsALConfig": "kit.retrieval.run",
    "kit.amid.config.AMIDConfig": "kit.distillation.classifier",
    "kit.distillation.single.StudentAlone": "kit.distillation.classifier",
    "kit.distillation.single.TeacherAlone": "kit.distillation.classifier",
    "kit.distillation.single.AuxiliaryAlone": "kit.distillation.classifier",
}


@functools.cache  # the code that runs is what was imported, whatever is edited since
def code_version(*packages: str) -> str:
    """A hash of the source of the rooms that decide a result, and of the packages named."""
    root = Path(__file__).parent
    digest = hashlib.sha256()
    rooms = ["data", "encoders", "metrics", "retrieval", "distillation", *packages]
    sources = [path for room in rooms for path in (root / room).rglob("*.py")]
    sources += [root / f"{name}.py" for name in ("checks", "information", "training", "runs")]
    for path in sorted(sources):
        digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def environment(device: torch.device) -> dict[str, Json]:
    """Versions, device and git revision: what a result was made with."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor()
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "platform": platform.platform(),
        "device": f"{device.type}: {name}" if name else device.type,
        "threads": torch.get_num_threads(),
        "git": _git_revision(),
    }


def _git_revision() -> str | None:
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


@dataclass(frozen=True)
class Run:
    """An open run folder: `finished`, or locked by this process and ready to be written."""

    folder: Path
    finished: bool

    @property
    def result(self) -> dict[str, Json]:
        """What came out of a finished run."""
        result: dict[str, Json] = read_json(self.folder / "result.json")
        return result

    def resume(self, method: Method[Any, Any]) -> Progress:
        """Put the last checkpoint into `method` and the random states; say where to go on."""
        path = self.folder / "checkpoint.pt"
        if not path.exists():
            for left in ("history.jsonl", "best.json", "best.safetensors"):
                (self.folder / left).unlink(missing_ok=True)
            return Progress()
        device = next(method.networks.parameters()).device
        state = torch.load(path, map_location="cpu", weights_only=True)
        method.networks.load_state_dict(state["networks"])
        for name, optimizer in method.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        _set_random_state(state["random"], device)
        # What the killed run wrote after its last checkpoint will be written again.
        with (self.folder / "history.jsonl").open("r+b") as history:
            history.truncate(state["history_bytes"])
        return Progress(**state["progress"])

    def keep(
        self,
        method: Method[Any, Any],
        records: Iterable[Record],
        *,
        better: str,
        at_epoch: Callable[[Epoch], None] | None = None,
    ) -> Iterator[Record]:
        """Pass records on while writing history, checkpoints and the best networks.

        Args:
            method: what is being trained.
            records: what `kit.training.fit` yields.
            better: name of the validation score that chooses the best epoch; larger is better.
            at_epoch: writes what else the run keeps of an epoch.

        An interrupt (Ctrl-C, the notebook's stop button, SIGTERM) is answered at the next step's
        end: a checkpoint is written, then KeyboardInterrupt is raised.

        """
        history_path, began = self.folder / "history.jsonl", time.perf_counter()
        with history_path.open("ab") as history, _deferred_interrupts() as interrupted:
            for record in records:
                line = _line(record)
                if isinstance(record, Epoch):
                    line["seconds"] = round(time.perf_counter() - began, 3)
                    began = time.perf_counter()
                history.write(json.dumps(line).encode() + b"\n")
                if isinstance(record, Epoch):
                    if at_epoch is not None:
                        at_epoch(record)
                    self._keep_best(method, record, better)
                if isinstance(record, Epoch) or interrupted.is_set():
                    history.flush()
                    self._checkpoint(method, record.progress, history.tell())
                if interrupted.is_set():
                    raise KeyboardInterrupt(
                        f"stopped; {self.folder} goes on from here when run again"
                    )
                yield record

    def _checkpoint(self, method: Method[Any, Any], progress: Progress, history: int) -> None:
        device = next(method.networks.parameters()).device
        state = {
            "networks": method.networks.state_dict(),
            "optimizers": {name: o.state_dict() for name, o in method.optimizers.items()},
            "progress": asdict(progress),
            "random": _random_state(device),
            "history_bytes": history,
        }
        with atomic(self.folder / "checkpoint.pt") as part:
            torch.save(state, part)

    def _keep_best(self, method: Method[Any, Any], record: Epoch, better: str) -> None:
        path = self.folder / "best.json"
        best = read_json(path)["score"] if path.exists() else float("-inf")
        # A run killed before its checkpoint meets its own best again: it is there already.
        if record.scores and record.scores[better] > best:
            tensors = {k: v.contiguous() for k, v in method.networks.state_dict().items()}
            with atomic(self.folder / "best.safetensors") as part:
                save_file(tensors, part)
            write_json(path, {"epoch": record.epoch, "score": record.scores[better], "by": better})

    def finish(self, result: Mapping[str, Json]) -> None:
        """Write what came out, then the mark that the run is done."""
        write_json(self.folder / "result.json", dict(result))
        write_json(self.folder / "done", {"at": time.strftime("%Y-%m-%d %H:%M:%S")})


@contextlib.contextmanager
def open_run(folder: Path | str, asked: Mapping[str, Json]) -> Iterator[Run]:
    """Open a run folder: new, to be continued, or finished with exactly what is asked for.

    A folder in which nothing was trained yet, since what was asked for failed at once, is new.

    Args:
        folder: where it is or shall be.
        asked: plain facts that decide the result: method, config, data fingerprint, seed, code
            version.

    Raises:
        ValueError: the folder holds another run (the differing facts are named), or something else.
        RuntimeError: another process is writing there.

    """
    folder = Path(folder).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    facts = json.loads(json.dumps(dict(asked)))
    config = folder / "config.json"
    if config.exists():
        there = read_json(config)["asked"]
        trained = any((folder / name).exists() for name in ("checkpoint.pt", "done"))
        if there != facts and trained:
            raise ValueError(f"open_run: {folder} holds another run: {_difference(there, facts)}")
    elif any(path.name != "lock" for path in folder.iterdir()):
        raise ValueError(f"open_run: {folder} is not empty and holds no config.json of a run")
    if (folder / "done").exists():
        yield Run(folder, finished=True)
        return
    with _locked(folder):
        if not config.exists() or there != facts:
            digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
            write_json(config, {"hash": digest[:16], "asked": facts})
        yield Run(folder, finished=False)


def load(folder: Path | str) -> Any:
    """The method of a run, ready to be used: for ITMeetsAL with `encode_images` and `encode_texts`.

    The folder names the package that wrote it; that package restores it, in evaluation mode, with
    the networks of the epoch that the run selected.

    Raises:
        ValueError: a folder without a run, or one of another package.

    """
    folder = Path(folder)
    if not (folder / "config.json").exists():
        raise ValueError(f"load: {folder} holds no config.json of a run")
    name = read_json(folder / "config.json")["asked"].get("method", "")
    if name not in RESTORED_BY:
        raise ValueError(
            f"load: {folder} was trained by {name!r}, which is not part of the kit; "
            "`restore(folder, Config)` of the room that trained it uses it again"
        )
    module, _, kind = name.rpartition(".")
    config_type = getattr(importlib.import_module(module), kind)
    return importlib.import_module(RESTORED_BY[name]).restore(folder, config_type)


def read_history(folder: Path | str) -> list[dict[str, Json]]:
    """The epochs of a run: epoch, means of terms and meters, scores, alarms."""
    lines = (Path(folder) / "history.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    return [record for record in records if record["kind"] == "epoch"]


def read_map_frames(folder: Path | str) -> tuple[list[int], dict[str, Tensor]]:
    """What a run keeps of each epoch in `map/epoch_*.safetensors`, for a map that moves.

    Returns:
        the epochs' numbers, and each tensor by its name, (epochs, ...) stacked.

    Raises:
        ValueError: a folder whose first epoch is not done.

    """
    files = {_epoch_of(file): file for file in (Path(folder) / "map").glob("epoch_*.safetensors")}
    epochs = sorted(files)
    if not files:
        raise ValueError(f"read_map_frames: {folder} holds no features of an epoch")
    frames = [load_file(files[epoch]) for epoch in epochs]
    stacked = {name: torch.stack([frame[name] for frame in frames]) for name in frames[0]}
    return epochs, stacked


def _epoch_of(file: Path) -> int:
    return int(file.stem.removeprefix("epoch_"))


def _line(record: Record) -> dict[str, Json]:
    if isinstance(record, Epoch):
        facts = {"epoch": record.epoch, "means": record.means, "scores": record.scores}
        return {"kind": "epoch", **facts, "alarms": list(record.alarms)}
    return {"kind": "step", "epoch": record.progress.epoch, "step": record.progress.step} | {
        "values": record.values
    }


def _difference(there: Mapping[str, Json], asked: Mapping[str, Json], path: str = "") -> str:
    """Every fact in which two runs differ, in words."""
    said = []
    for key in sorted({*there, *asked}):
        was, now = there.get(key), asked.get(key)
        if isinstance(was, dict) and isinstance(now, dict):
            if was != now:
                said.append(_difference(was, now, f"{path}{key}."))
        elif was != now:
            said.append(f"{path}{key} is {was!r} there, {now!r} was asked for")
    return "; ".join(said)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; one left by a process of this host that is gone is taken over."""
    lock = folder / "lock"
    mine = {"host": socket.gethostname(), "pid": os.getpid()}
    with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
        held = read_json(lock)
        if held["host"] == mine["host"] and (held["pid"] == mine["pid"] or not _alive(held["pid"])):
            lock.unlink(missing_ok=True)
    try:
        with lock.open("x", encoding="utf-8") as file:
            json.dump(mine, file)
    except FileExistsError:
        raise RuntimeError(
            f"open_run: {folder} is being written by {lock.read_text(encoding='utf-8')}; "
            f"if that process is gone, delete {lock}"
        ) from None
    for part in folder.rglob(".*.part"):  # of a write that was killed
        part.unlink(missing_ok=True)
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextlib.contextmanager
def _deferred_interrupts() -> Iterator[threading.Event]:
    """Turn SIGINT and SIGTERM into a flag: within a step nothing consistent can be saved."""
    flag = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield flag
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, lambda *_: flag.set())
    try:
        yield flag
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _random_state(device: torch.device) -> dict[str, Json]:
    """The states of python, numpy and torch, as plain numbers and tensors (`weights_only`)."""
    version, keys, position = random.getstate()
    kind, words, place, has_gauss, gauss = np.random.get_state()
    return {
        "python": (version, list(keys), position),
        "numpy": (
            str(kind),
            torch.from_numpy(np.asarray(words, np.int64)),
            place,
            has_gauss,
            gauss,
        ),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
    }


def _set_random_state(state: Mapping[str, Json], device: torch.device) -> None:
    version, keys, position = state["python"]
    random.setstate((version, tuple(keys), position))
    kind, words, place, has_gauss, gauss = state["numpy"]
    np.random.set_state((kind, words.numpy().astype(np.uint32), place, has_gauss, gauss))
    torch.set_rng_state(state["torch"])
    if state["cuda"] is not None and device.type == "cuda":
        torch.cuda.set_rng_state(state["cuda"], device)
