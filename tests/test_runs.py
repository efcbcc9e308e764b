"""The run folder: what it holds, who may write there, and how a stopped run goes on."""

from __future__ import annotations

import importlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from killed_run import STEPS, run
from safetensors.torch import load_file, save_file
from toy_method import ToyLoader, ToyMethod, same

import kit.runs
from kit.files import atomic
from kit.runs import (
    open_run,
    read_history,
    read_map_frames,
    seed_everything,
)
from kit.training import Epoch, Record, fit

SETTINGS = {"method": "kit.nowhere.Config", "config": {"dim": 8, "lr": 0.1}, "seed": 0}
SCORES = [1.0, 3.0, 3.0, 2.0]


def toy_run(
    folder: Path, *, epochs: int = 4, settings: dict[str, Any] = SETTINGS
) -> Iterator[Record]:
    """Train the toy in `folder`; validation scores by epoch are SCORES."""
    with open_run(folder, settings) as opened:
        if opened.finished:
            return
        method = ToyMethod()
        start = opened.resume(method)
        scores = iter(SCORES[start.epoch :])
        records = fit(
            method,
            ToyLoader(),
            epochs=epochs,
            start=start,
            evaluate=lambda: {"score": next(scores)},
        )

        def keep_map(epoch: Epoch) -> None:
            save(folder / "map" / f"epoch_{epoch.epoch:03d}.safetensors", x=torch.rand(3))

        yield from opened.keep(method, records, better="score", at_epoch=keep_map)
        opened.finish({"epochs": epochs})


def save(path: Path, **tensors: torch.Tensor) -> None:
    with atomic(path) as part:
        save_file(tensors, part)


def flip(path: Path, at: int = -1, bit: int = 0) -> None:
    """One bit of a file, as a disk may lose it."""
    content = bytearray(path.read_bytes())
    content[at] ^= 1 << bit
    path.write_bytes(content)


def killed(folder: Path, records: int) -> Path:
    """What a process leaves that was killed after so many records."""
    running = toy_run(folder)
    for _ in range(records):
        next(running)
    running.close()  # type: ignore[attr-defined]
    return folder


def checkpoint(folder: Path) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(folder / "checkpoint.pt", weights_only=True)
    return state


def lines(folder: Path) -> list[dict[str, Any]]:
    """The history without the seconds, which are never the same."""
    read = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in read]


# ---- exact resume


def test_a_run_killed_three_times_ends_with_the_same_weights(tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    run(whole)
    draw = random.Random(20210)
    stops = [
        ("step", draw.randrange(1, STEPS)),  # before the first checkpoint
        ("checkpoint", draw.randrange(1, 3)),  # of the first or the second epoch
        ("step", draw.randrange(1, STEPS)),
    ]
    script = Path(__file__).parent / "killed_run.py"
    for where, number in stops:
        command = [sys.executable, str(script), str(killed), where, str(number)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr
        assert not (killed / "done").exists()
        if where == "checkpoint":
            assert list(killed.glob(".checkpoint.pt.*.part"))
    run(killed)

    for name in ("best.safetensors", "map/epoch_002.safetensors"):
        assert same(load_file(killed / name), load_file(whole / name)), name
    ours, theirs = checkpoint(killed), checkpoint(whole)
    assert same(ours["networks"], theirs["networks"])
    for name, optimizer in theirs["optimizers"].items():
        for key, state in optimizer["state"].items():
            assert same(ours["optimizers"][name]["state"][key], state), (name, key)
    assert torch.equal(ours["random"]["torch"], theirs["random"]["torch"])
    assert lines(killed) == lines(whole)
    assert len(lines(whole)) == 3 * (STEPS + 1)
    results = [json.loads((folder / "result.json").read_text()) for folder in (killed, whole)]
    assert results[0]["test"] == results[1]["test"]
    assert not list(killed.rglob("*.part"))
    assert not (killed / "lock").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_writes_a_checkpoint_at_the_steps_end(
    number: signal.Signals, tmp_path: Path
) -> None:
    list(toy_run(tmp_path / "whole"))
    before = signal.getsignal(number)
    records = toy_run(tmp_path / "stopped")
    for _ in range(10):  # seven steps, an epoch, two steps
        next(records)
    signal.raise_signal(number)
    with pytest.raises(KeyboardInterrupt, match=r"stopped; .* goes on from here when run again"):
        next(records)
    assert checkpoint(tmp_path / "stopped")["progress"]["step"] == 3
    assert signal.getsignal(number) is before
    rest = list(toy_run(tmp_path / "stopped"))
    assert len(rest) == 4 * 8 - 11
    assert lines(tmp_path / "stopped") == lines(tmp_path / "whole")
    networks = [checkpoint(tmp_path / name)["networks"] for name in ("stopped", "whole")]
    assert same(*networks)


def test_history_written_after_the_checkpoint_is_written_again(tmp_path: Path) -> None:
    records = toy_run(tmp_path)
    for _ in range(12):
        next(records)
    records.close()  # as if it had died, but for the lock
    assert len(lines(tmp_path)) == 12
    list(toy_run(tmp_path))
    assert [(line["kind"], line["epoch"]) for line in lines(tmp_path)] == [
        (kind, epoch) for epoch in range(4) for kind in ["step"] * 7 + ["epoch"]
    ]


def test_random_states_of_python_numpy_and_torch_are_kept(tmp_path: Path) -> None:
    method = ToyMethod()

    def drawn() -> tuple[float, float, float]:
        return random.random(), float(np.random.rand()), float(torch.rand(1))

    with open_run(tmp_path, SETTINGS) as opened:
        seed_everything(5)
        list(opened.keep(method, fit(method, ToyLoader(), epochs=1), better="score"))
        expected = drawn()
        seed_everything(6)
        opened.resume(method)
        assert drawn() == expected


def test_seeds_make_everything_repeat() -> None:
    def drawn() -> tuple[float, float, float]:
        return random.random(), float(np.random.rand()), float(torch.rand(1))

    seed_everything(2)
    first = drawn()
    seed_everything(2)
    assert drawn() == first


# ---- what a run keeps


def test_best_is_chosen_by_validation_and_the_first_of_equals_stays(tmp_path: Path) -> None:
    states = [
        checkpoint(tmp_path)["networks"]
        for record in toy_run(tmp_path)
        if isinstance(record, Epoch)
    ]
    assert checkpoint(tmp_path)["written"]["best"] == {"epoch": 1, "score": 3.0, "by": "score"}
    assert same(load_file(tmp_path / "best.safetensors"), states[1])
    assert [epoch["scores"]["score"] for epoch in read_history(tmp_path)] == SCORES
    assert all(epoch["seconds"] >= 0 for epoch in read_history(tmp_path))


def test_a_finished_run_is_read_and_not_run_again(tmp_path: Path) -> None:
    assert len(list(toy_run(tmp_path))) == 4 * 8
    before = (tmp_path / "history.jsonl").read_bytes()
    assert list(toy_run(tmp_path)) == []
    assert (tmp_path / "history.jsonl").read_bytes() == before
    with open_run(tmp_path, SETTINGS) as opened:
        assert opened.finished
    assert json.loads((tmp_path / "result.json").read_text()) == {"epochs": 4}


# ---- whose folder it is


def test_another_run_is_refused_and_the_difference_named(tmp_path: Path) -> None:
    list(toy_run(tmp_path))
    other = SETTINGS | {"config": {"dim": 16, "lr": 0.1}, "seed": 1}
    with pytest.raises(
        ValueError,
        match=r"open_run: .* holds another run: config\.dim is 8 there, 16 was asked for; "
        r"seed is 0 there, 1 was asked for",
    ):
        list(toy_run(tmp_path, settings=other))


def test_a_folder_in_which_nothing_was_trained_belongs_to_nobody(tmp_path: Path) -> None:
    """What was asked for failed at once: asked rightly, it goes into the same folder."""
    wrong = SETTINGS | {"seed": -1}
    with pytest.raises(ValueError, match="no such seed"), open_run(tmp_path, wrong):
        raise ValueError("no such seed")
    for left in ("history.jsonl", "best.safetensors"):
        (tmp_path / left).write_text("{}")
    assert len(list(toy_run(tmp_path, epochs=1))) == 8
    assert json.loads((tmp_path / "config.json").read_text())["settings"] == SETTINGS
    (tmp_path / "checkpoint.pt").unlink()
    with pytest.raises(ValueError, match=r"holds another run: seed is 0 there, -1 was asked for"):
        list(toy_run(tmp_path, settings=wrong))  # it is finished, with or without a checkpoint


def test_frames_of_a_map_are_in_the_order_of_their_epochs(tmp_path: Path) -> None:
    (tmp_path / "map").mkdir()
    for epoch in (1000, 999, 2):
        save_file({"x": torch.tensor([epoch])}, tmp_path / "map" / f"epoch_{epoch:03d}.safetensors")
    epochs, features = read_map_frames(tmp_path)
    assert epochs == [2, 999, 1000]
    assert features["x"].tolist() == [[2], [999], [1000]]


def test_a_foreign_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("do not touch")
    with pytest.raises(ValueError, match=r"open_run: .* is not empty and holds no config\.json"):
        list(toy_run(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


# ---- the lock


HOLDER = """
import sys, time
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from test_runs import toy_run
running = toy_run(Path(sys.argv[1]))
for _ in range(10):
    next(running)
print("holds", flush=True)
time.sleep(600)
"""


def holder(folder: Path) -> subprocess.Popen[str]:
    """Another process, in the middle of a run."""
    command = [sys.executable, "-c", HOLDER, str(folder), str(Path(__file__).parent)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "holds\n"
    return process


def test_a_folder_that_another_process_writes_is_refused_until_that_is_killed(
    tmp_path: Path,
) -> None:
    whole, folder = tmp_path / "whole", tmp_path / "run"
    list(toy_run(whole))
    with holder(folder) as process:
        with pytest.raises(RuntimeError, match=r"open_run: .*run is being written by another proc"):
            list(toy_run(folder))
        process.kill()
    assert (folder / "lock").exists()  # a name; what held it went with its process
    list(toy_run(folder))
    assert lines(folder) == lines(whole)
    assert not (folder / "lock").exists()


def test_a_fork_of_a_run_does_not_hold_its_folder(tmp_path: Path) -> None:
    """As a loader's process does that outlives a killed run by some seconds."""
    reading, writing = os.pipe()
    running = toy_run(tmp_path)
    next(running)
    child = os.fork()
    if child == 0:
        os.close(writing)
        os.read(reading, 1)
        os._exit(0)
    running.close()  # type: ignore[attr-defined]
    assert len(list(toy_run(tmp_path))) == 4 * 8
    assert os.waitpid(child, os.WNOHANG) == (0, 0)
    os.close(writing)
    os.waitpid(child, 0)
    os.close(reading)


def test_a_second_use_in_the_same_process_is_refused(tmp_path: Path) -> None:
    first = toy_run(tmp_path)
    next(first)
    with pytest.raises(RuntimeError, match="is being written by another process"):
        list(toy_run(tmp_path))
    first.close()  # type: ignore[attr-defined]
    assert list(toy_run(tmp_path))


@pytest.mark.parametrize("left", ["", json.dumps({"host": socket.gethostname(), "pid": 1})])
def test_what_a_killed_process_left_does_not_block_a_folder(left: str, tmp_path: Path) -> None:
    (tmp_path / "lock").write_text(left)
    (tmp_path / "map").mkdir()
    parts = [tmp_path / ".config.json.17.part", tmp_path / "map" / ".epoch_000.safetensors.1.part"]
    (tmp_path / "map").rmdir()
    parts[0].write_text("{")
    killed(tmp_path, 3)
    parts.append(tmp_path / ".tmpma6ugZ")  # safetensors' own
    (tmp_path / "map").mkdir(exist_ok=True)
    for part in parts:
        part.write_text("{")
    assert list(toy_run(tmp_path))
    assert not [part for part in parts if part.exists()]


# ---- what is damaged


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("history.jsonl", lambda path: path.write_bytes(path.read_bytes()[:400])),
        ("history.jsonl", lambda path: path.write_bytes(path.read_bytes()[:400] + bytes(4000))),
        ("history.jsonl", lambda path: flip(path, at=20)),
        ("history.jsonl", Path.unlink),
        ("best.safetensors", flip),
        ("best.safetensors", Path.unlink),
        ("map/epoch_000.safetensors", flip),
        ("map/epoch_001.safetensors", Path.unlink),
        ("checkpoint.pt", lambda path: path.write_bytes(path.read_bytes()[:-1])),
        ("checkpoint.pt", lambda path: path.write_bytes(b"")),
    ],
)
def test_a_damaged_run_does_not_go_on(
    name: str, damage: Callable[[Path], None], tmp_path: Path
) -> None:
    list(toy_run(tmp_path / "whole"))
    folder = killed(tmp_path / "run", 3 * 8 + 2)  # the third epoch is not the best
    damage(folder / name)
    there = (folder / name).exists()
    with pytest.raises(
        ValueError,
        match=rf"^resume: .*/run/{name} is {'damaged' if there else 'missing'}.*put a copy back, "
        r"or delete .*/run/checkpoint.pt and train with the same settings to begin from the start",
    ):
        list(toy_run(folder))
    (folder / "checkpoint.pt").unlink()
    assert len(list(toy_run(folder))) == 4 * 8
    assert lines(folder) == lines(tmp_path / "whole")
    assert not (folder / "lock").exists()


def test_any_flipped_bit_of_a_checkpoint_is_found(tmp_path: Path) -> None:
    folder = killed(tmp_path / "run", 10)
    path, draw = folder / "checkpoint.pt", random.Random(4)
    size = path.stat().st_size
    for at in (0, size - 1, size - 32, size - 33, *(draw.randrange(size) for _ in range(40))):
        bit = draw.randrange(8)
        flip(path, at, bit)
        with pytest.raises(ValueError, match=r"^resume: .*checkpoint\.pt is damaged"):
            list(toy_run(folder))
        flip(path, at, bit)
    assert len(list(toy_run(folder))) == 3 * 8


def test_a_run_killed_between_checkpoint_and_best_networks_makes_up_for_it(tmp_path: Path) -> None:
    list(toy_run(tmp_path / "whole"))
    folder = killed(tmp_path / "run", 8)
    first = (folder / "best.safetensors").read_bytes()
    killed(folder, 8)  # the second epoch is better; its best networks do not come into place
    (folder / "best.safetensors").write_bytes(first)
    list(toy_run(folder))
    best = [load_file(tmp_path / name / "best.safetensors") for name in ("run", "whole")]
    assert same(*best)
    assert checkpoint(folder)["written"]["best"]["epoch"] == 1


@pytest.mark.parametrize(
    "name", ["result.json", "history.jsonl", "best.safetensors", "map/epoch_002.safetensors"]
)
def test_a_finished_run_with_a_damaged_file_is_refused(
    name: str, tmp_path: Path, restored: Path
) -> None:
    list(toy_run(tmp_path))
    content = (tmp_path / name).read_bytes()
    flip(tmp_path / name, at=-9)
    asked = {
        "open_run": lambda: list(toy_run(tmp_path)),
        "load": lambda: kit.runs.load(tmp_path),
        "read_history": lambda: read_history(tmp_path),
        "read_map_frames": lambda: read_map_frames(tmp_path),
    }
    readers = {"history.jsonl": "read_history", "map/epoch_002.safetensors": "read_map_frames"}
    for function in {"open_run", "load", readers.get(name, "load")}:
        with pytest.raises(
            ValueError,
            match=rf"^{function}: .*{name} is damaged.*delete .*/done and train with the same sett"
            r"ings to go on from checkpoint\.pt",
        ):
            asked[function]()
    (tmp_path / name).write_bytes(content)
    for function in asked.values():
        function()
    (tmp_path / "done").unlink()  # what is said to help
    (tmp_path / "result.json").write_text("")
    assert list(toy_run(tmp_path)) == []
    assert json.loads((tmp_path / "result.json").read_text()) == {"epochs": 4}


def test_damage_is_found_by_readers_of_a_run_that_is_not_finished(
    tmp_path: Path, restored: Path
) -> None:
    folder = killed(tmp_path / "run", 3 * 8 + 2)
    assert len(read_history(folder)) == 3
    assert kit.runs.load(folder) == (dict, folder)
    flip(folder / "best.safetensors")
    with pytest.raises(ValueError, match=r"^load: .*best\.safetensors is damaged"):
        kit.runs.load(folder)
    flip(folder / "history.jsonl", at=3, bit=7)
    with pytest.raises(ValueError, match=r"^read_history: .*history\.jsonl is damaged"):
        read_history(folder)
    (folder / "map" / "epoch_000.safetensors").write_bytes(b"half")
    with pytest.raises(ValueError, match=r"^read_map_frames: .*epoch_000\.safetensors is damaged"):
        read_map_frames(folder)
    (folder / "history.jsonl").unlink()
    with pytest.raises(ValueError, match=r"^read_history: .*history\.jsonl is missing"):
        read_history(folder)


def test_damaged_settings_are_refused(tmp_path: Path) -> None:
    folder = killed(tmp_path / "run", 9)
    config = (folder / "config.json").read_text()
    (folder / "config.json").write_text(config.replace('"seed": 0', '"seed": 1'))
    with pytest.raises(ValueError, match=r"^open_run: .*config\.json is damaged"):
        list(toy_run(folder))
    (folder / "config.json").write_text('{"hash": "", "settings_of_another_program": {}}')
    with pytest.raises(ValueError, match=r"^load: .*config\.json is damaged"):
        kit.runs.load(folder)
    (folder / "config.json").write_text(config[:-5])
    with pytest.raises(ValueError, match=r"^read_json: .*config\.json is damaged"):
        list(toy_run(folder))


# ---- load


@pytest.fixture
def restored(monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module that restores what the toy's configuration trained."""
    module = type(sys)("kit.nowhere")
    module.Config = dict  # type: ignore[attr-defined]

    def restore(folder: Path, kind: type) -> tuple[type, Path]:
        kit.runs.check_run("load", folder)
        return kind, folder

    module.restore = restore  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "kit.nowhere", module)
    monkeypatch.setitem(kit.runs.RESTORED_BY, "kit.nowhere.Config", "kit.nowhere")
    return Path()


def test_load_asks_the_room_that_knows_the_configuration(tmp_path: Path, restored: Path) -> None:
    list(toy_run(tmp_path, epochs=1))
    assert kit.runs.load(tmp_path) == (dict, tmp_path)
    with pytest.raises(ValueError, match=r"load: .* holds no config\.json of a run"):
        kit.runs.load(tmp_path / "elsewhere")


@pytest.mark.parametrize("method", ["os", "kit.retrieval.run", "__main__.VSEpp", None])
def test_load_imports_nothing_that_a_folder_names(method: str | None, tmp_path: Path) -> None:
    list(toy_run(tmp_path, settings=SETTINGS | {"method": method}))
    with pytest.raises(
        ValueError,
        match=rf"load: .* was trained by {str(method)!r}, which is not in kit; `restore\(folder",
    ):
        kit.runs.load(tmp_path)


def test_what_load_knows_is_there() -> None:
    for module in set(kit.runs.RESTORED_BY.values()):
        assert callable(importlib.import_module(module).restore)


# ---- killed at any moment


@pytest.mark.parametrize("method", ["itmeetsal", "amid"])
def test_trainings_killed_at_random_moments_end_bit_identical(method: str, tmp_path: Path) -> None:
    script = Path(__file__).parent / "kill_runs.py"
    command = [sys.executable, str(script), str(tmp_path), "--method", method, "--times", "5"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 kills in" in done.stdout
    assert "0 different, 0 stuck" in done.stdout
