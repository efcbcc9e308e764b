"""The command line: what it hands on, what it refuses, how it ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from report_notebooks import write_notebook

from kit.cli import main
from kit.files import locked


def report(*arguments: object) -> Any:
    return CliRunner().invoke(main, ["report", *map(str, arguments)])


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What reaches `make_report`; it gives back a finished notebook."""
    asked: dict[str, Any] = {"outcome": {"state": "finished"}}

    def make(plan: Any, *, again: bool) -> dict[str, Any]:
        asked.update(plan=plan, again=again)
        return {"notebooks": {"a.ipynb": asked["outcome"]}}

    monkeypatch.setattr("kit.reports.make_report", make)
    return asked


def test_values_scale_and_folder_are_handed_on(tmp_path: Path, asked: dict[str, Any]) -> None:
    notebook = write_notebook(tmp_path / "a.ipynb", parameters="seed = 0\nout = ''\nrate = 0.1")
    file = tmp_path / "given.yaml"
    file.write_text("seed: 1\nrate: 1e-3\n")
    options = ["--parameters", file, "-p", "seed=2", "-p", "seed=5", "--scale", "paper", "--again"]
    done = report(notebook, *options, "--out", tmp_path / "r")
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[-1] == str(tmp_path / "r" / "index.html")
    plan = asked["plan"]
    assert (plan.scale, plan.folder, asked["again"]) == ("paper", tmp_path / "r", True)
    out = str(tmp_path / "r" / "runs" / "a")
    assert plan.jobs[0].parameters == {"out": out, "seed": 5, "rate": 0.001}


def test_default_folder_is_new_and_dated(
    tmp_path: Path, asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = report(write_notebook(tmp_path / "a.ipynb"))
    assert done.exit_code == 0
    assert asked["plan"].folder.parent == tmp_path / "reports"
    assert asked["plan"].folder.name[:2] == "20"
    assert asked["again"] is False


def test_failed_notebook_ends_with_one(tmp_path: Path, asked: dict[str, Any]) -> None:
    told = {"cell": None, "name": "DeadKernelError", "message": "Kernel died"}
    asked["outcome"] = {"state": "failed", "error": told}
    done = report(write_notebook(tmp_path / "a.ipynb"), "--out", tmp_path / "r")
    assert done.exit_code == 1
    assert done.stderr == "a.ipynb failed: DeadKernelError: Kernel died\n"
    assert done.stdout == f"{tmp_path / 'r' / 'index.html'}\n"


def test_sigterm_ends_the_kernels_too(tmp_path: Path) -> None:
    """As a scheduler ends a job: nobody goes on training."""
    path, mark = tmp_path / "a.ipynb", tmp_path / "pid"
    code = f"import os, pathlib, time\npathlib.Path({str(mark)!r}).write_text(str(os.getpid()))"
    write_notebook(path, f"{code}\nfor _ in range(600):\n    time.sleep(0.1)")
    command = ["-c", "from kit.cli import main; main()", "report", str(path)]
    running = subprocess.Popen(
        [sys.executable, *command, "--out", str(tmp_path / "r")], stderr=subprocess.PIPE
    )
    wait_for(lambda: mark.exists() and mark.read_text() != "")
    kernel = Path(f"/proc/{mark.read_text()}")
    assert kernel.exists()
    running.terminate()
    running.communicate(timeout=300)
    assert running.returncode == 128 + signal.SIGTERM
    wait_for(lambda: not kernel.exists())
    assert not list(tmp_path.rglob("*.part*"))


def wait_for(happened: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_refusal_ends_with_two_and_runs_nothing(tmp_path: Path, asked: dict[str, Any]) -> None:
    notebook = write_notebook(tmp_path / "a.ipynb")
    done = report(notebook, "-p", "sed=1", "--out", tmp_path / "r")
    assert done.exit_code == 2
    assert "a.ipynb: unknown parameter 'sed'; did you mean 'seed'?" in done.stderr
    assert "plan" not in asked
    assert not (tmp_path / "r").exists()
    missing = report(notebook, "--parameters", tmp_path / "no.yaml", "--out", tmp_path / "r")
    assert (missing.exit_code, "cannot read" in missing.stderr) == (2, True)


def test_odd_files_and_places_are_refused_in_words(tmp_path: Path) -> None:
    notebook = write_notebook(tmp_path / "a.ipynb")
    circle, file = tmp_path / "circle", tmp_path / "file"
    circle.symlink_to(circle)
    file.write_bytes("seed: ä".encode("latin-1"))
    for name, text in (("object", "{}"), ("list", "[]")):
        (tmp_path / f"{name}.ipynb").write_text(text)
    out = ("--out", tmp_path / "r")
    for arguments, named in (
        ((tmp_path / "object.ipynb", *out), "object.ipynb"),
        ((tmp_path / "list.ipynb", *out), "list.ipynb"),
        ((circle, *out), circle),
        ((tmp_path, *out), tmp_path),
        ((notebook, "--parameters", circle, *out), circle),
        ((notebook, "--parameters", file, *out), file),
        ((notebook, "--out", circle), circle),
        ((notebook, "--out", file), file),
        ((notebook, "--out", file / "inner"), file),
        ((notebook, "--out", "/proc/kit/report"), "/proc/kit"),
    ):
        done = report(*arguments)
        assert done.exit_code == 2, (arguments, done.output, done.exception)
        assert str(named) in done.stderr
        assert "Traceback" not in done.stderr
    assert not (tmp_path / "r").exists()


def test_damaged_report_and_a_folder_in_use_are_refused(tmp_path: Path) -> None:
    notebook, folder = write_notebook(tmp_path / "a.ipynb"), tmp_path / "r"
    with locked("another", folder):
        done = report(notebook, "--out", folder)
    assert (done.exit_code, "r is being written by another" in done.stderr) == (2, True)
    for text in ("{", "[]", "{}", '{"made_by": "kit report"}'):
        (folder / "report.json").write_text(text)
        done = report(notebook, "--out", folder)
        assert (done.exit_code, type(done.exception)) == (2, SystemExit), done.exception


@pytest.mark.parametrize("text", ["seed", "=1", "my-name=3", "a b=1"])
def test_values_must_be_name_and_value(tmp_path: Path, text: str) -> None:
    done = report(tmp_path / "a.ipynb", "-p", text)
    assert done.exit_code == 2
    assert f"expected NAME=VALUE, got '{text}'" in done.stderr


def test_value_may_hold_an_equals_sign(tmp_path: Path, asked: dict[str, Any]) -> None:
    notebook = write_notebook(tmp_path / "a.ipynb", parameters="seed = 0\nout = ''\nname = ''")
    assert report(notebook, "-p", "name=a=b", "--out", tmp_path / "r").exit_code == 0
    assert asked["plan"].jobs[0].parameters["name"] == "a=b"
