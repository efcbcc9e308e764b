"""Shared by several tests: bfloat16 on any processor, the browser, and one real report."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from report_notebooks import (
    EVERYTHING,
    FAILING,
    FIGURE,
    FORMULA_OUTPUT,
    RESULT,
    WIDGET,
    write_notebook,
)


@pytest.fixture
def bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train in bfloat16 on any processor: by torch's own LSTM where oneDNN has none."""
    import torch

    from kit.training import check_precision

    try:
        check_precision("test", "bfloat16", "cpu")
    except ValueError:
        monkeypatch.setattr(torch.backends.mkldnn, "enabled", False)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Debian's chromium, cut off from every host; a skip without it, a failure under CI."""
    found = shutil.which("chromium")
    if found is None:
        reason = "Debian's chromium is not installed (apt-get install chromium)"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    quiet = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
    hosts = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=[*quiet, hosts])
        yield browser
        browser.close()


@dataclass(frozen=True)
class Ran:
    """A `kit report` that ran: what it printed, its exit code, and where things are."""

    folder: Path
    notebooks: Path
    done: subprocess.CompletedProcess[str]


@pytest.fixture(scope="session")
def report_with_failure(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """A real report of two notebooks: one shows everything a page can hold, one fails."""
    root = tmp_path_factory.mktemp("report {0}")  # papermill would format its name
    notebooks, folder = root / "notebooks", root / "out"
    (notebooks / "parameters").mkdir(parents=True)
    (notebooks / "parameters" / "quick.yaml").write_text("start_here.ipynb: {seed: 3}\n")
    cells = (FIGURE, WIDGET, FORMULA_OUTPUT, RESULT)
    start = write_notebook(notebooks / "start_here.ipynb", *cells, heading=EVERYTHING)
    bare = json.loads(start.read_text()) | {"metadata": {}}  # it names no kernel and no language
    start.write_text(json.dumps(bare), encoding="utf-8-sig")  # as an editor on Windows saves it
    second = ("print('first')", FAILING, "print('last')")
    write_notebook(notebooks / "itmeetsal" / "02_second.ipynb", *second, heading="# The second")
    kernel = root / "elsewhere" / "kernels" / "python3" / "kernel.json"
    kernel.parent.mkdir(parents=True)
    kernel.write_text('{"argv": ["false"], "display_name": "another", "language": "python"}')
    return Ran(folder, notebooks, kit_report(notebooks, folder))


def kit_report(notebooks: Path, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run `kit report` as a user does, on the two notebooks of `report_with_failure`.

    Jupyter's path leads to a kernel "python3" that belongs to somebody else and does not work.
    """
    files = [notebooks / "start_here.ipynb", notebooks / "itmeetsal" / "02_second.ipynb"]
    command = ["-c", "from kit.cli import main; main()", "report", *map(str, files)]
    environment = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    environment["JUPYTER_PATH"] = str(notebooks.parent / "elsewhere")
    return subprocess.run(
        [sys.executable, *command, "--out", str(folder), *options],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
