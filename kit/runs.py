"""The run folder: what a training run leaves behind, and how a killed one goes on.

    config.json         the settings: method, numbers, corpus, seed, code; and a hash of them
    environment.json    versions, device, git revision
    history.jsonl       a line per step and per epoch
    checkpoint.pt       networks, optimizers, progress, random states: the last consistent moment;
                        hashes of what the run had written by then; at its end, its own
    best.safetensors    the networks of the epoch that did best on validation
    result.json, done   what came out, and every file's hash; there only when the run is finished
    lock                held by the process that writes here now

Every file is written beside its place and moved there, so a killed run leaves no half file; what is
damaged or lost later is refused by name. The room that wrote a folder adds what it needs to be used
again (vocabulary, transform), and `load` asks that room to restore it.
"""

import contextlib
import hashlib
import importlib
import json
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from kit.arguments import checked
from kit.checks import check_whole
from kit.files import Json, as_path, atomic, file_hash, locked, read_json, write_json
from kit.training import Epoch, Method, Progress, Record, device_of

# Configurations whose runs `load` uses again, and the module whose `restore` does it.
RESTORED_BY = {
    "kit.itmeetsal.method.ITMeetsALConfig": "kit.retrieval.run",
    "kit.amid.config.AMIDConfig": "kit.distillation.classifier",
    "kit.distillation.single.StudentAlone": "kit.distillation.classifier",
    "kit.distillation.single.TeacherAlone": "kit.distillation.classifier",
    "kit.distillation.single.AuxiliaryAlone": "kit.distillation.classifier",
}


def dotted_name(kind: type) -> str:
    """Module and name of a class, such as a configuration's: how a folder names its method."""
    return f"{kind.__module__}.{kind.__qualname__}"


@checked
def seed_everything(seed: int) -> None:
    """Seed python, numpy and torch (every device), from 0 to 2**64 - 1."""
    check_whole("seed_everything", at_least=0, at_most=2**64 - 1, seed=seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


@dataclass(frozen=True)
class Run:
    """An open run folder: `finished`, or locked by this process and ready to be written.

    `written` is what checkpoints say of it: the best epoch so far, how long the history is, and the
    hashes of the files that are not written again.
    """

    folder: Path
    finished: bool
    written: dict[str, Json] = field(default_factory=lambda: {"best": None, "files": {}})

    def resume(self, method: Method[Any, Any]) -> Progress:
        """Put the last checkpoint into `method` and the random states; say where to go on.

        Raises:
            ValueError: the checkpoint, or what the run had written before it, is damaged or gone.

        """
        given = _hashes("resume", self.folder, ("*.json", "map/*.json", "backbone.safetensors"))
        later = {"config.json", "environment.json", "best.json", "result.json"}
        given = {name: found for name, found in given.items() if name not in later}
        if not (self.folder / "checkpoint.pt").exists():
            self.written["files"] |= given
            for pattern in ("history.jsonl", "best.*", "map/epoch_*"):
                for left in self.folder.glob(pattern):
                    left.unlink()
            return Progress()
        state = _read_checkpoint("resume", self.folder)
        progress = Progress(**state["progress"])
        self.written.update(state["written"])
        self.written["files"] |= given  # what this process has written anew
        best = self.written["best"]
        if best and (progress.epoch, progress.step) == (best["epoch"] + 1, 0):
            with self._best(state["networks"]):
                pass  # a run killed after this checkpoint may not have come to them
        _check_files("resume", self.folder, "checkpoint.pt", self.written["files"])
        _check_history("resume", self.folder, self.written["history"])
        # What came after the checkpoint will be written again.
        os.truncate(self.folder / "history.jsonl", self.written["history"]["size"])
        device = device_of(method.networks)
        method.networks.load_state_dict(state["networks"])
        for name, optimizer in method.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        _set_random_state(state["random"], device)
        return progress

    def keep(
        self,
        method: Method[Any, Any],
        records: Iterable[Record],
        *,
        better: str,
        at_epoch: Callable[[Epoch], object] = lambda epoch: None,
    ) -> Iterator[Record]:
        """Pass records on while writing history, checkpoints and the best networks.

        Args:
            method: what is being trained.
            records: what `kit.training.fit` yields.
            better: name of the validation score that chooses the best epoch; larger is better.
            at_epoch: writes what else the run keeps of an epoch, as `map/epoch_NNN.*`.

        An interrupt (Ctrl-C, the notebook's stop button, SIGTERM) is answered at the next step's
        end: a checkpoint is written, then KeyboardInterrupt is raised.

        """
        path, began = self.folder / "history.jsonl", time.perf_counter()
        stopped = f"stopped; {self.folder} goes on from here when run again"
        with path.open("ab") as history, _deferred_interrupts() as interrupted:
            digest = hashlib.sha256(path.read_bytes())
            for record in records:
                line = _line(record)
                if isinstance(record, Epoch):
                    line["seconds"] = round(time.perf_counter() - began, 3)
                    began = time.perf_counter()
                text = json.dumps(line).encode() + b"\n"
                history.write(text)
                digest.update(text)
                if isinstance(record, Epoch) or interrupted.is_set():
                    history.flush()
                    os.fsync(history.fileno())
                    size = history.tell()
                    self.written["history"] = {"size": size, "sha256": digest.hexdigest()}
                    if isinstance(record, Epoch):
                        at_epoch(record)
                    self._checkpoint(method, record, better)
                    if interrupted.is_set():
                        raise KeyboardInterrupt(stopped)
                yield record

    @contextlib.contextmanager
    def _best(self, networks: Mapping[str, Tensor]) -> Iterator[None]:
        """Write the best networks; they come into place once a checkpoint knows of them."""
        with atomic(self.folder / "best.safetensors") as part:
            save_file({name: value.contiguous() for name, value in networks.items()}, part)
            self.written["files"]["best.safetensors"] = file_hash("keep", part)
            yield

    def _checkpoint(self, method: Method[Any, Any], record: Record, better: str) -> None:
        networks = method.networks.state_dict()
        with contextlib.ExitStack() as last:
            if isinstance(record, Epoch):
                for path in self.folder.glob(f"map/epoch_{record.epoch:03d}.*"):
                    self.written["files"][f"map/{path.name}"] = file_hash("keep", path)
                best = (self.written["best"] or {"score": float("-inf")})["score"]
                if record.scores and (score := record.scores[better]) > best:
                    self.written["best"] = {"epoch": record.epoch, "score": score, "by": better}
                    last.enter_context(self._best(networks))
            state = {
                "networks": networks,
                "optimizers": {name: o.state_dict() for name, o in method.optimizers.items()},
                "progress": asdict(record.progress),
                "random": _random_state(device_of(method.networks)),
                "written": self.written,
            }
            with atomic(self.folder / "checkpoint.pt") as part:
                torch.save(state, part)
                with part.open("rb+") as file:  # torch reads up to here, and checks nothing
                    file.write(hashlib.file_digest(file, "sha256").digest())

    def finish(self, result: Mapping[str, Json]) -> None:
        """Write what came out, then the mark that the run is done, with every file's hash."""
        write_json(self.folder / "result.json", dict(result))
        hashes = _hashes("finish", self.folder, ("**/*",))
        write_json(self.folder / "done", {"hash": settings_hash(hashes), "files": hashes})


def _hashes(function: str, folder: Path, patterns: Iterable[str]) -> dict[str, str]:
    """The hash of each file, by its name in the folder; none of what may go or is written again."""
    passing = {"lock", "checkpoint.pt", "features"}  # the last is a cache's folder
    files = sorted(path for pattern in patterns for path in folder.glob(pattern))
    return {
        path.relative_to(folder).as_posix(): file_hash(function, path)
        for path in files
        if path.is_file() and not passing & {path.name, path.parent.name}
    }


def _read_checkpoint(function: str, folder: Path, *, whole: bool = True) -> Json:
    """A checkpoint: all of it, with its hash checked, or fast, for what it says of the folder."""
    path = folder / "checkpoint.pt"
    try:
        if whole:
            content = np.fromfile(path, np.uint8).data
            if hashlib.sha256(content[:-32]).digest() != content[-32:]:
                raise _damaged(function, path, folder)
        return torch.load(path, map_location="cpu", weights_only=True, mmap=not whole)
    except Exception:  # a file's bytes decide which of its reader's parts fails
        raise _damaged(function, path, folder) from None


@contextlib.contextmanager
def open_run(folder: Path | str, settings: Mapping[str, Json]) -> Iterator[Run]:
    """Open a run folder: new, to be continued, or finished with exactly these settings.

    A folder in which nothing was trained yet, since what was asked for failed at once, is new.

    Args:
        folder: where it is or shall be.
        settings: plain facts that decide the result: method, config, data fingerprint, seed, code
            version.

    Raises:
        ValueError: the folder holds another run (the differing facts are named), a finished one
            with damaged files, or something else; there cannot be a folder.
        RuntimeError: another process is writing there.

    """
    folder = as_path("open_run", folder, "folder").resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"open_run: no folder can be made at {folder}: {error.strerror}") from None
    facts = json.loads(json.dumps(dict(settings)))
    _check_owner(folder, facts)  # a stranger's folder does not even get a lock
    if (folder / "done").exists():
        check_run("open_run", folder)
        yield Run(folder, finished=True)
        return
    with locked("open_run", folder):
        # Of writes that were killed: ours, and what safetensors writes to before it moves it.
        for left in (*folder.rglob(".*.part"), *folder.rglob(".tmp??????")):
            left.unlink()
        _check_owner(folder, facts)  # who had the lock until now may have written
        write_json(folder / "config.json", {"hash": settings_hash(facts), "settings": facts})
        yield Run(folder, finished=(folder / "done").exists())


def _check_owner(folder: Path, facts: Mapping[str, Json]) -> None:
    """Refuse a folder that is neither new nor of a run with these settings."""
    if (folder / "config.json").exists():
        there = run_settings("open_run", folder)
        trained = any((folder / name).exists() for name in ("checkpoint.pt", "done"))
        if there != facts and trained:
            raise ValueError(f"open_run: {folder} holds another run: {_difference(there, facts)}")
    elif any(path.name != "lock" and path.suffix != ".part" for path in folder.iterdir()):
        raise ValueError(f"open_run: {folder} is not empty and holds no config.json of a run")


def load(folder: Path | str) -> Any:
    """The method of a run, ready to be used: for ITMeetsAL with `encode_images` and `encode_texts`.

    The folder names the configuration that was trained; the room that `RESTORED_BY` says restores
    it, in evaluation mode, with the networks of the epoch that the run selected.

    Raises:
        ValueError: a folder without a run, a run of a method that is not in the kit, damaged or
            missing files.

    """
    folder = as_path("load", folder, "folder")
    method = str(run_settings("load", folder).get("method"))
    if method not in RESTORED_BY:
        raise ValueError(
            f"load: {folder} was trained by {method!r}, which is not in kit; `restore(folder, "
            "ConfigClass)` of the room that trained it, as kit.retrieval.run, uses it again"
        )
    module, _, name = method.rpartition(".")
    config_type = getattr(importlib.import_module(module), name)
    return importlib.import_module(RESTORED_BY[method]).restore(folder, config_type)


def read_history(folder: Path | str) -> list[dict[str, Json]]:
    """The epochs of a run: epoch, means of terms and meters, scores, alarms.

    Raises:
        ValueError: a history that is damaged or missing.

    """
    folder = as_path("read_history", folder, "folder")
    path = folder / "history.jsonl"
    check_run("read_history", folder, path.name)
    try:
        whole = path.read_bytes().rpartition(b"\n")[0]  # the last line may be being written
        records = [json.loads(line) for line in whole.splitlines()]
        return [record for record in records if record["kind"] == "epoch"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        raise _damaged("read_history", path, folder) from None


def read_map_frames(folder: Path | str) -> tuple[list[int], dict[str, Tensor]]:
    """What a run keeps of each epoch in `map/epoch_*.safetensors`, for a map that moves.

    Returns:
        the epochs' numbers, and each tensor by its name, (epochs, ...) stacked.

    Raises:
        ValueError: a folder whose first epoch is not done, a frame that is damaged or missing.

    """
    folder = as_path("read_map_frames", folder, "folder")
    check_run("read_map_frames", folder, "map/")
    frames_there = (folder / "map").glob("epoch_*.safetensors")
    files = {int(f.stem[6:]): f for f in frames_there if f.stem[6:].isdecimal()}
    epochs, frames = sorted(files), []
    if not files:
        raise ValueError(f"read_map_frames: {folder} holds no features of an epoch")
    for epoch in epochs:
        try:
            frames.append(load_file(files[epoch]))
        except (SafetensorError, OSError):
            raise _damaged("read_map_frames", files[epoch], folder) from None
    return epochs, {name: torch.stack([frame[name] for frame in frames]) for name in frames[0]}


def run_settings(function: str, folder: Path) -> dict[str, Json]:
    """What a folder's config.json says was asked for.

    Raises:
        ValueError: a folder without it, a damaged one.

    """
    if not (folder / "config.json").exists():
        raise ValueError(f"{function}: {folder} holds no config.json of a run")
    return dict(_sealed(function, folder, "config.json", "settings", mark=None))


def _sealed(function: str, folder: Path, name: str, part: str, *, mark: str | None) -> Json:
    """A part of a JSON file that holds the part's hash beside it."""
    content = read_json(folder / name)
    if not isinstance(content, dict) or settings_hash(content.get(part)) != content.get("hash"):
        raise _damaged(function, folder / name, folder, mark)
    return content[part]


def settings_hash(facts: Json) -> str:
    """What tells plain facts from others, such as a run's settings."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def check_run(function: str, folder: Path, start: str = "") -> None:
    """Refuse a run whose files, those whose names begin with `start`, are not what it wrote.

    Of a finished run `done` knows all files, of another one the checkpoint those before it.

    Raises:
        ValueError: a file that is damaged or missing, and what can be done; it begins with
            `function`.

    """
    if (folder / "done").exists():
        mark, hashes = "done", _sealed(function, folder, "done", "files", mark="done")
    elif (folder / "checkpoint.pt").exists():
        written = _read_checkpoint(function, folder, whole=not start)["written"]
        if "history.jsonl".startswith(start):
            _check_history(function, folder, written["history"])
        mark, hashes = "checkpoint.pt", written["files"]
    elif (folder / "best.safetensors").exists():  # comes after a checkpoint
        raise _damaged(function, folder / "checkpoint.pt", folder)
    else:
        return
    _check_files(function, folder, mark, {n: h for n, h in hashes.items() if n.startswith(start)})


def _check_files(function: str, folder: Path, mark: str, hashes: dict[str, str]) -> None:
    for name, expected in hashes.items():
        if not (folder / name).is_file() or file_hash(function, folder / name) != expected:
            raise _damaged(function, folder / name, folder, mark)


def _check_history(function: str, folder: Path, written: Mapping[str, Json]) -> None:
    """Refuse a history that does not begin with what the checkpoint knows of it."""
    history = folder / "history.jsonl"
    there = history.read_bytes()[: written["size"]] if history.is_file() else b""
    if hashlib.sha256(there).hexdigest() != written["sha256"]:
        raise _damaged(function, history, folder)


def _damaged(
    function: str, path: Path, folder: Path, mark: str | None = "checkpoint.pt"
) -> ValueError:
    """What is wrong and what can be done: nothing but a copy holds what came before a checkpoint.

    Without `done`, a run goes on from its checkpoint and writes again what came after it.
    """
    found = "damaged: it is not what the run wrote" if path.exists() else "missing"
    then = "go on from checkpoint.pt" if mark == "done" else "begin from the start"
    again = (
        f"delete {folder}/{mark} and train with the same settings to {then}, or " if mark else ""
    )
    return ValueError(
        f"{function}: {path} is {found}; put a copy back, or {again}start anew in another folder"
    )


def _line(record: Record) -> dict[str, Json]:
    if isinstance(record, Epoch):
        facts = {"epoch": record.epoch, "means": record.means, "scores": record.scores}
        return {"kind": "epoch", **facts, "alarms": list(record.alarms)}
    facts = {"epoch": record.progress.epoch, "step": record.progress.step}
    return {"kind": "step", **facts, "values": record.values}


def _difference(there: Mapping[str, Json], facts: Mapping[str, Json], path: str = "") -> str:
    """Every fact in which two runs differ, in words."""
    found = []
    for key in sorted({*there, *facts}):
        was, now = there.get(key), facts.get(key)
        if isinstance(was, dict) and isinstance(now, dict):
            found.append(_difference(was, now, f"{path}{key}."))
        elif was != now:
            found.append(f"{path}{key} is {was!r} there, {now!r} was asked for")
    return "; ".join(filter(None, found))


@contextlib.contextmanager
def _deferred_interrupts() -> Iterator[threading.Event]:
    """Turn SIGINT and SIGTERM into a flag: within a step nothing consistent can be saved."""
    flag = threading.Event()
    with contextlib.ExitStack() as after:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                before = signal.signal(number, lambda *_: flag.set())
                after.callback(signal.signal, number, before)
        yield flag


def _random_state(device: torch.device) -> dict[str, Json]:
    """The states of python, numpy and torch, as plain numbers and tensors (`weights_only`)."""
    kind, words, *rest = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": (kind, np.asarray(words).tolist(), *rest),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
    }


def _set_random_state(state: Mapping[str, Json], device: torch.device) -> None:
    random.setstate(state["python"])
    np.random.set_state(state["numpy"])
    torch.set_rng_state(state["torch"])
    if state["cuda"] is not None and device.type == "cuda":
        torch.cuda.set_rng_state(state["cuda"], device)
