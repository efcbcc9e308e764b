"""The run folder: what it holds, who may write there, and how a stopped run goes on."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from killed_run import STEPS, run
from safetensors.torch import load_file, save_file
from toy_method import ToyLoader, ToyMethod, same

import kit.runs
from kit.runs import (
    code_version,
    environment,
    open_run,
    read_history,
    read_map_frames,
    seed_everything,
)
from kit.training import Epoch, Record, fit

ASKED = {"restored_by": "kit.nowhere", "config": {"dim": 8, "lr": 0.1}, "seed": 0}
SCORES = [1.0, 3.0, 3.0, 2.0]


def toy_run(folder: Path, *, epochs: int = 4, asked: dict[str, Any] = ASKED) -> Iterator[Record]:
    """Train the toy in `folder`; validation scores by epoch are SCORES."""
    with open_run(folder, asked) as opened:
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
        yield from opened.keep(method, records, better="score")
        opened.finish({"epochs": epochs})


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

    with open_run(tmp_path, ASKED) as opened:
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
    best = json.loads((tmp_path / "best.json").read_text())
    assert best == {"epoch": 1, "score": 3.0, "by": "score"}
    assert same(load_file(tmp_path / "best.safetensors"), states[1])
    assert [epoch["scores"]["score"] for epoch in read_history(tmp_path)] == SCORES
    assert all(epoch["seconds"] >= 0 for epoch in read_history(tmp_path))


def test_a_finished_run_is_read_and_not_run_again(tmp_path: Path) -> None:
    assert len(list(toy_run(tmp_path))) == 4 * 8
    before = (tmp_path / "history.jsonl").read_bytes()
    assert list(toy_run(tmp_path)) == []
    assert (tmp_path / "history.jsonl").read_bytes() == before
    with open_run(tmp_path, ASKED) as opened:
        assert opened.finished
        assert opened.result == {"epochs": 4}


def test_environment_says_what_a_result_was_made_with() -> None:
    facts = environment(torch.device("cpu"))
    assert facts["torch"] == torch.__version__
    assert facts["device"].startswith("cpu")
    assert facts.keys() >= {"python", "numpy", "platform", "threads", "git"}


def test_code_version_depends_on_the_rooms_that_decide_a_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("data/a.py", "itmeetsal/losses.py", "figures/look.py", "training.py", "runs.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("1")
    for name in ("checks.py", "information.py"):
        (tmp_path / name).write_text("1")
    monkeypatch.setattr("kit.runs.__file__", str(tmp_path / "runs.py"))
    version = code_version.__wrapped__  # it is taken once a process
    before = version("itmeetsal")
    (tmp_path / "figures/look.py").write_text("2")
    assert version("itmeetsal") == before
    (tmp_path / "itmeetsal/losses.py").write_text("2")
    assert version("itmeetsal") != before
    assert version() != version("itmeetsal")


# ---- whose folder it is


def test_another_run_is_refused_and_the_difference_named(tmp_path: Path) -> None:
    list(toy_run(tmp_path))
    other = ASKED | {"config": {"dim": 16, "lr": 0.1}, "seed": 1}
    with pytest.raises(
        ValueError,
        match=r"open_run: .* holds another run: config\.dim is 8 there, 16 was asked for; "
        r"seed is 0 there, 1 was asked for",
    ):
        list(toy_run(tmp_path, asked=other))


def test_a_folder_in_which_nothing_was_trained_belongs_to_nobody(tmp_path: Path) -> None:
    """What was asked for failed at once: asked rightly, it goes into the same folder."""
    wrong = ASKED | {"seed": -1}
    with pytest.raises(ValueError, match="no such seed"), open_run(tmp_path, wrong):
        raise ValueError("no such seed")
    for left in ("history.jsonl", "best.json"):
        (tmp_path / left).write_text("{}")
    assert len(list(toy_run(tmp_path, epochs=1))) == 8
    assert json.loads((tmp_path / "config.json").read_text())["asked"] == ASKED
    (tmp_path / "checkpoint.pt").unlink()
    with pytest.raises(ValueError, match=r"holds another run: seed is 0 there, -1 was asked for"):
        list(toy_run(tmp_path, asked=wrong))  # it is finished, with or without a checkpoint


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


def test_a_folder_that_is_being_written_is_refused(tmp_path: Path) -> None:
    list(toy_run(tmp_path, epochs=1))
    (tmp_path / "done").unlink()
    lock = tmp_path / "lock"
    for holder in (
        {"host": "another-machine", "pid": 1},
        {"host": socket.gethostname(), "pid": os.getppid()},
    ):
        lock.write_text(json.dumps(holder))
        with pytest.raises(RuntimeError, match=rf"being written by .*{holder['pid']}.*delete"):
            list(toy_run(tmp_path))
        assert json.loads(lock.read_text()) == holder


def test_the_lock_of_a_dead_process_is_taken_over(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    tmp_path.mkdir(exist_ok=True)
    (tmp_path / "lock").write_text(json.dumps({"host": socket.gethostname(), "pid": child.pid}))
    assert len(list(toy_run(tmp_path, epochs=1))) == 8
    assert not (tmp_path / "lock").exists()


def test_load_asks_the_package_that_wrote_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    list(toy_run(tmp_path, epochs=1))
    module = type(sys)("kit.nowhere")
    module.restore = lambda folder: ("restored", folder)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "kit.nowhere", module)
    assert kit.runs.load(tmp_path) == ("restored", tmp_path)
    with pytest.raises(ValueError, match=r"load: .* holds no config\.json of a run"):
        kit.runs.load(tmp_path / "elsewhere")
    config = {"hash": "", "asked": {"restored_by": "os"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"load: .* was written by 'os', which is not part of kit"):
        kit.runs.load(tmp_path)
