"""The report's folder and loop. Kernels start only for the shared report and for its resume."""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import nbformat
import pytest
from conftest import Ran, kit_report
from killed_report import faults, kill_and_continue, write_both
from report_notebooks import write_notebook

from kit.files import locked
from kit.reports import Report, make_report, plan_report
from kit.reports.report import CLAIMS, Job
from kit.reports.run import run_notebook

START, SECOND = "start_here.ipynb", "itmeetsal/02_second.ipynb"


def read(path: Path) -> Any:
    return json.loads(path.read_text())


# ---- a real one


def test_failed_notebook_is_said_and_the_other_goes_on(report_with_failure: Ran) -> None:
    done, folder = report_with_failure.done, report_with_failure.folder
    assert done.returncode == 1, done.stderr
    assert done.stdout.splitlines()[-1] == str(folder / "index.html")
    message = "RuntimeError: the <data> is not here"
    assert f"{SECOND} failed in cell 4: {message}" in done.stderr
    assert f"finished: {START}" in done.stderr
    summary = read(folder / "summary.json")
    assert (summary["scale"], summary["claim"]) == ("quick", CLAIMS["quick"])
    assert list(summary["notebooks"]) == [START, SECOND]
    start, second = summary["notebooks"][START], summary["notebooks"][SECOND]
    assert start["state"] == "finished"
    assert start["error"] is None
    assert start["seconds"] > 0
    assert start["parameters"] == {"seed": 3, "out": str(folder / "runs" / "start_here")}
    # A browser's JSON has no nan.
    assert start["results"] == {"seed": 3, "image_to_text": {"R@1": 27.0512, "UA": [None]}}
    assert second["state"] == "failed"
    assert second["results"] is None
    assert second["error"] == {
        "cell": 4,
        "name": "RuntimeError",
        "message": "the <data> is not here",
    }
    index = (folder / "index.html").read_text()
    assert "27.05" in index
    assert "the &lt;data&gt; is not here" in index


def test_no_half_files_are_left(report_with_failure: Ran) -> None:
    folder = report_with_failure.folder
    files = sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "lock"
    )
    pages = [
        f"pages/{key}.{kind}"
        for key in ("itmeetsal_02_second", "start_here")
        for kind in ("html", "ipynb")
    ]
    assert files == sorted(
        [
            "index.html",
            "report.json",
            "summary.json",
            "pages/plotly.min.js",
            *pages,
            "runs/start_here/result.json",
        ]
    )


def test_kernel_is_the_reports_own_interpreter(report_with_failure: Ran) -> None:
    executed = nbformat.read(report_with_failure.folder / "pages" / "start_here.ipynb", 4)
    printed = executed.cells[-1].outputs[0].text
    assert f"interpreter {sys.executable}\n" in printed
    assert int(printed.split("threads ")[1].split()[0]) >= 1
    assert printed.endswith(f"shared {report_with_failure.folder / 'runs' / 'shared'}\n")
    assert "widgets" not in executed.metadata
    assert executed.cells[-1].outputs[0].output_type == "stream"


def test_page_of_a_real_run(report_with_failure: Ran) -> None:
    html = (report_with_failure.folder / "pages" / "start_here.html").read_text()
    assert html.count("Plotly.newPlot") == 1
    assert html.count("<math") == 5  # four in the text, one shown by code
    assert "live control" in html
    failed = (report_with_failure.folder / "pages" / "itmeetsal_02_second.html").read_text()
    assert failed.index('id="stopped"') < failed.index("most recent call last")


def test_only_what_failed_is_run_again(report_with_failure: Ran, tmp_path: Path) -> None:
    folder = tmp_path / "moved"
    shutil.copytree(report_with_failure.folder, folder)
    (folder / "mended").touch()
    before = (folder / "pages" / "start_here.ipynb").stat().st_mtime_ns
    done = kit_report(report_with_failure.notebooks, folder)
    assert done.returncode == 0, done.stderr
    assert START not in done.stderr
    assert (folder / "pages" / "start_here.ipynb").stat().st_mtime_ns == before
    states = {name: o["state"] for name, o in read(folder / "summary.json")["notebooks"].items()}
    assert states == {START: "finished", SECOND: "finished"}
    assert (
        "not here"
        not in (folder / "pages" / "itmeetsal_02_second.html").read_text().split("went")[1]
    )


def test_killed_reports_go_on(tmp_path: Path) -> None:
    """Five of the moments of tests/killed_report.py; nothing is asked of how long it takes."""
    notebooks = write_both(tmp_path)
    for number, moment in enumerate((0.5, 1.5, 2.5, 3.5, 5.0)):
        found = kill_and_continue(notebooks, tmp_path / f"report_{number}", moment)
        assert faults(found) == []


# ---- the loop and the folder, with a stand-in for the run itself


class StandIn:
    """Takes the place of `run_notebook`; notes what ran and how many at a time."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.failing: set[str] = set()
        self.most = 0
        self.meeting: threading.Barrier | None = None
        self._now = 0
        self._lock = threading.Lock()

    def __call__(self, job: Job) -> dict[str, Any]:
        name = job.notebook.name
        with self._lock:
            self.ran.append(name)
            self._now += 1
            self.most = max(self.most, self._now)
        if self.meeting is not None:
            self.meeting.wait()
            time.sleep(0.05)  # room for a third, which must not come
        with self._lock:
            self._now -= 1
        if name == "broken.ipynb":
            raise OSError("the worker died")
        error = {"cell": 1, "name": "E", "message": "m"} if name in self.failing else None
        Path(job.parameters["out"]).mkdir(parents=True, exist_ok=True)
        return {
            "state": "failed" if error else "finished",
            "title": job.notebook.title,
            "seconds": 1.0,
            "parameters": job.parameters,
            "error": error,
            "results": None,
            "source": job.notebook.digest,
        }


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    stand_in = StandIn()
    monkeypatch.setattr("kit.reports.report.run_notebook", stand_in)
    return stand_in


def plan(tmp_path: Path, *names: str, scale: str = "quick", **given: Any) -> Report:
    paths = [tmp_path / f"{name}.ipynb" for name in names]
    for path in paths:
        if not path.exists():
            write_notebook(path)
    return plan_report(paths, tmp_path / "out", scale=scale, given=given)


def make(report: Report, *, again: bool = False, at_once: int = 2) -> dict[str, Any]:
    with ThreadPoolExecutor(4) as executor:
        return make_report(report, again=again, executor=executor, at_once=at_once)


def test_any_executor_two_at_a_time_from_the_last_on(tmp_path: Path, stand_in: StandIn) -> None:
    names = ["c", "a", "d", "b"]
    stand_in.meeting = threading.Barrier(2, timeout=30)  # none ends before another runs beside it
    summary = make(plan(tmp_path, *names))
    assert stand_in.most == 2
    assert [name.removesuffix(".ipynb") for name in summary["notebooks"]] == names
    assert summary == read(tmp_path / "out" / "summary.json")
    stand_in.most, stand_in.meeting = 0, None
    make(plan(tmp_path, *names), again=True, at_once=1)
    assert stand_in.most == 1
    assert stand_in.ran[4:] == [f"{name}.ipynb" for name in reversed(names)]


def test_unfinished_is_continued_and_finished_needs_again(
    tmp_path: Path, stand_in: StandIn
) -> None:
    stand_in.failing = {"b.ipynb"}
    make(plan(tmp_path, "a", "b"))
    stand_in.failing = set()
    make(plan(tmp_path, "a", "b"))
    assert sorted(stand_in.ran) == ["a.ipynb", "b.ipynb", "b.ipynb"]
    with pytest.raises(ValueError, match="out is finished; --again"):
        make(plan(tmp_path, "a", "b"))


def test_again_starts_anew_and_clears_what_the_notebooks_wrote(
    tmp_path: Path, stand_in: StandIn
) -> None:
    make(plan(tmp_path, "a"))
    old = tmp_path / "out" / "runs" / "a" / "old"
    old.touch()
    make(plan(tmp_path, "a"), again=True)
    assert stand_in.ran == ["a.ipynb", "a.ipynb"]
    assert not old.exists()


def test_changed_notebook_is_run_again(tmp_path: Path, stand_in: StandIn) -> None:
    make(plan(tmp_path, "a", "b"))
    write_notebook(tmp_path / "a.ipynb", "print('new')")
    make(plan(tmp_path, "a", "b"))
    assert sorted(stand_in.ran) == ["a.ipynb", "a.ipynb", "b.ipynb"]


def test_broken_worker_is_a_failed_notebook(tmp_path: Path, stand_in: StandIn) -> None:
    summary = make(plan(tmp_path, "broken", "a"))
    states = {name: o["state"] for name, o in summary["notebooks"].items()}
    assert states == {"broken.ipynb": "failed", "a.ipynb": "finished"}
    assert summary["notebooks"]["broken.ipynb"]["error"]["message"] == "the worker died"


def test_foreign_folder_is_refused(tmp_path: Path, stand_in: StandIn) -> None:
    report = plan(tmp_path, "a")
    report.folder.mkdir()
    (report.folder / "thesis.tex").touch()
    with pytest.raises(ValueError, match=r"out is not empty and holds no report\.json"):
        make(report)
    (report.folder / "report.json").write_text('{"made_by": "someone"}')
    with pytest.raises(ValueError, match=r"report\.json was not written by kit report"):
        make(report)
    assert stand_in.ran == []
    assert sorted(path.name for path in report.folder.iterdir()) == ["report.json", "thesis.tex"]


def test_other_settings_are_refused_and_named(tmp_path: Path, stand_in: StandIn) -> None:
    make(plan(tmp_path, "a", seed=1))
    with pytest.raises(ValueError, match=r"a\.ipynb: seed is 1 there, 2 was asked for$"):
        make(plan(tmp_path, "a", seed=2))
    with pytest.raises(ValueError, match=r"a\.ipynb: seed is 1 there, 'not set' was asked for$"):
        make(plan(tmp_path, "a"), again=True)
    with pytest.raises(ValueError, match=r"scale is 'quick' there, 'paper' was asked for$"):
        make(plan(tmp_path, "a", scale="paper", seed=1))
    with pytest.raises(ValueError, match=r"b\.ipynb is 'not set' there, 'part of the report' was"):
        make(plan(tmp_path, "a", "b", seed=1))
    assert stand_in.ran == ["a.ipynb"]


def test_part_files_and_a_lock_alone_do_not_block_a_folder(
    tmp_path: Path, stand_in: StandIn
) -> None:
    """A report that was killed before its report.json stood leaves just these."""
    report = plan(tmp_path, "a")
    pages = report.folder / "pages"
    pages.mkdir(parents=True)
    left = [report.folder / ".report.json.17.part", report.folder / ".index.html.17.part"]
    left[0].write_text("{")
    with pytest.raises(ValueError, match="out is not empty"):
        make(report)
    pages.rmdir()
    (report.folder / "lock").touch()
    assert make(report)["notebooks"]["a.ipynb"]["state"] == "finished"
    left.append(pages / ".a.part.ipynb")
    for part in left:
        part.touch()
    make(report, again=True)
    assert not [part for part in left if part.exists()]


def test_folder_that_is_written_by_another_is_refused(tmp_path: Path, stand_in: StandIn) -> None:
    report = plan(tmp_path, "a")
    with (
        locked("another", report.folder),
        pytest.raises(RuntimeError, match=r"kit report: .*out is being written by another"),
    ):
        make(report)
    assert stand_in.ran == []
    make(report)


def test_longest_of_the_last_report_is_started_first(tmp_path: Path, stand_in: StandIn) -> None:
    """Unknown ones come before all; another scale, failures and other files say nothing."""

    def say(folder: str, scale: str = "quick", state: str = "finished", **seconds: float) -> None:
        (tmp_path / folder).mkdir()
        outcomes = {f"{n}.ipynb": {"state": state, "seconds": s} for n, s in seconds.items()}
        summary = {"scale": scale, "notebooks": outcomes}
        (tmp_path / folder / "summary.json").write_text(json.dumps(summary))
        ages.append(folder)
        os.utime(tmp_path / folder / "summary.json", (len(ages), len(ages)))

    ages: list[str] = []
    say("older", a=1, b=9, c=5)
    say("newer", a=7, b=3)
    say("of_another_scale", scale="smoke", c=100)
    say("failed", state="failed", c=100)
    (tmp_path / "others").mkdir()
    for number, text in enumerate(("[1]", "{", '{"scale": "quick", "notebooks": {"a": 1}}')):
        (tmp_path / f"others_{number}").mkdir()
        (tmp_path / f"others_{number}" / "summary.json").write_text(text)
    make(plan(tmp_path, "c", "new", "b", "a", "newer_still"), at_once=1)
    order = ["newer_still", "new", "a", "c", "b"]
    assert [name.removesuffix(".ipynb") for name in stand_in.ran] == order


def test_minutes_of_the_scale_say_the_order_of_a_first_report(
    tmp_path: Path, stand_in: StandIn
) -> None:
    (tmp_path / "parameters").mkdir()
    file = tmp_path / "parameters" / "quick.yaml"
    file.write_text("a.ipynb: {seed: 1}\nminutes: {a.ipynb: 0.5, b.ipynb: 3, c.ipynb: 1}\n")
    report = plan(tmp_path, "a", "b", "c")
    assert [job.parameters.get("seed") for job in report.jobs] == [1, None, None]
    make(report, at_once=1)
    assert stand_in.ran == ["b.ipynb", "c.ipynb", "a.ipynb"]
    for wrong in ("{z.ipynb: 1}", "{a.ipynb: long}"):
        file.write_text(f"minutes: {wrong}")
        with pytest.raises(ValueError, match=r"quick\.yaml: expected notebook: .* a number among"):
            plan(tmp_path, "a")


def test_interrupt_ends_the_report_whose_index_shows_the_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    def look(job: Job) -> dict[str, Any]:
        seen.append(read(job.folder / "summary.json")["notebooks"])
        assert "waiting" in (job.folder / "index.html").read_text()
        raise KeyboardInterrupt

    monkeypatch.setattr("kit.reports.report.run_notebook", look)
    report = plan(tmp_path, "a")
    with pytest.raises(KeyboardInterrupt):
        make(report)
    assert seen == [{"a.ipynb": {"state": "waiting", "title": "A notebook"}}]


# ---- one notebook, with a stand-in for papermill


def test_interrupted_run_leaves_the_old_copy_and_no_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(job: Job, part: Path) -> None:
        part.write_text("{ half a noteb")
        raise KeyboardInterrupt

    monkeypatch.setattr("kit.reports.run._execute", interrupted)
    (job,) = plan(tmp_path, "a").jobs
    pages = tmp_path / "out" / "pages"
    pages.mkdir(parents=True)
    (pages / "a.ipynb").write_text("the old copy")
    with pytest.raises(KeyboardInterrupt):
        run_notebook(job)
    assert [path.name for path in pages.iterdir()] == ["a.ipynb"]
    assert (pages / "a.ipynb").read_text() == "the old copy"


def test_kernel_that_never_started_still_gives_a_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {"cell": None, "name": "DeadKernelError", "message": "Kernel died"}
    monkeypatch.setattr("kit.reports.run._execute", lambda job, part: told)
    outcome = run_notebook(plan(tmp_path, "a").jobs[0])
    assert (outcome["state"], outcome["error"]) == ("failed", told)
    assert "DeadKernelError: Kernel died" in (tmp_path / "out" / "pages" / "a.html").read_text()


def test_result_that_is_not_json_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrote(job: Job, part: Path) -> None:
        Path(job.parameters["out"], "result.json").write_text("{")

    monkeypatch.setattr("kit.reports.run._execute", wrote)
    outcome = run_notebook(plan(tmp_path, "a").jobs[0])
    assert outcome["state"] == "failed"
    assert "result.json is not JSON" in outcome["error"]["message"]
