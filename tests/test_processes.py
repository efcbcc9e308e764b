"""Trainings side by side: on how many cores, and what becomes of them when something ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import torch

from kit.processes import side_by_side


def training(file: Path, *, seconds: float = 0.0) -> Iterator[str]:
    """Two records; then the file tells which process it was, in how many threads."""
    yield "a step"
    file.with_suffix(".begun").write_text(str(os.getpid()))
    time.sleep(seconds)
    yield "an epoch"
    file.write_text(f"{os.getpid()} {torch.get_num_threads()}")


def failing() -> Iterator[str]:
    yield "a step"
    raise FloatingPointError("term 'kl' of turn 'main' is nan")


def ran(files: list[Path]) -> list[tuple[int, int]]:
    found = [file.read_text().split() for file in files]
    return [(int(process), int(threads)) for process, threads in found]


@pytest.mark.parametrize("cores", [None, "1"])
def test_without_idle_cores_all_run_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cores: str | None
) -> None:
    monkeypatch.delenv("KIT_CORES", raising=False)
    if cores:
        monkeypatch.setenv("KIT_CORES", cores)
    files = [tmp_path / "a", tmp_path / "b"]
    side_by_side([partial(training, file) for file in files])
    assert {process for process, _ in ran(files)} == {os.getpid()}


def test_with_idle_cores_each_process_has_one_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KIT_CORES", "2")
    files = [tmp_path / name for name in "abc"]
    side_by_side([partial(training, file) for file in files])
    assert os.getpid() not in {process for process, _ in ran(files)}
    assert {threads for _, threads in ran(files)} == {1}
    assert "3/3" in capsys.readouterr().out


@pytest.mark.parametrize("cores", ["1", "2"])
def test_what_a_training_raises_arrives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cores: str
) -> None:
    monkeypatch.setenv("KIT_CORES", cores)
    files = [tmp_path / f"{number}" for number in range(20)]
    trainings = [failing, *(partial(training, file, seconds=0.5) for file in files)]
    with pytest.raises(FloatingPointError, match="term 'kl' of turn 'main' is nan"):
        side_by_side(trainings)
    assert not all(file.exists() for file in files)  # most never began


KILLED = """
import sys
from functools import partial
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_processes import training
from kit.processes import side_by_side
if __name__ == "__main__":
    side_by_side([partial(training, Path(sys.argv[2], name), seconds=600) for name in "ab"])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc for processes")
def test_nothing_outlives_a_killed_parent(tmp_path: Path) -> None:
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    command = [sys.executable, str(script), str(Path(__file__).parent), str(tmp_path)]
    begun = [tmp_path / "a.begun", tmp_path / "b.begun"]
    with subprocess.Popen(command, env=os.environ | {"KIT_CORES": "2"}) as parent:
        deadline = time.monotonic() + 120
        while not all(file.exists() and file.read_text() for file in begun):
            assert time.monotonic() < deadline
            assert parent.poll() is None
            time.sleep(0.05)
        children = [int(file.read_text()) for file in begun]
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 30
    while any(Path("/proc", str(child), "status").exists() for child in children):
        assert time.monotonic() < deadline
        time.sleep(0.05)
