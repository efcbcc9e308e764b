"""A report: its folder, its notebooks, and the loop that runs those that are not finished yet.

report.json    marks the folder as a report, with the settings it was made with
summary.json   per notebook: state, seconds, parameters, error, results
index.html     the same to look at
pages/         each executed notebook as .html and .ipynb, plotly.js once beside them
runs/          what the notebooks wrote: the parameter `out` of each points to its folder here;
               runs/shared is for what several need, KIT_SHARED in a kernel's environment names it,
               and KIT_CORES how many cores it may use
lock           held while the report is made
"""

from __future__ import annotations

import math
import multiprocessing
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kit.files import locked, read_json, write_json
from kit.processes import end_with_parent
from kit.reports.notebooks import read_notebook, scale_parameters
from kit.reports.pages import duration, write_index_page, write_plotly
from kit.reports.parameters import checked_parameters
from kit.reports.run import Job, outcome_of, run_notebook, without_cell

CLAIMS = {
    "smoke": "does every cell run? No number means anything",
    "quick": "a demonstration in minutes; claims stand with their seeds, where there are several",
    "paper": "the papers' settings",
}


@dataclass(frozen=True)
class Report:
    """What a report will be: every notebook read, every value checked, nothing run."""

    folder: Path
    scale: str
    jobs: tuple[Job, ...]
    settings: dict[str, Any]  # what must agree for a folder to be continued


def plan_report(
    notebooks: Sequence[Path], folder: Path, *, scale: str = "quick", given: Mapping[str, Any]
) -> Report:
    """Read the notebooks and check all their parameters.

    Args:
        notebooks: in the order the report shall have.
        folder: where it is or shall be.
        scale: how much is computed: "smoke", "quick" or "paper" (`parameters/SCALE.yaml`).
        given: values by parameter name, for every notebook, stronger than the scale.

    Raises:
        ValueError: everything that is wrong with the notebooks and their values, a line each.
    """
    if scale not in CLAIMS:
        raise ValueError(f"kit report: scale must be one of {sorted(CLAIMS)}, got {scale!r}")
    if "out" in given and len(notebooks) > 1:
        raise ValueError(
            f"kit report: out={given['out']!r} was given for {len(notebooks)} notebooks; "
            "each writes into a folder of its own"
        )
    folder = folder.expanduser().resolve()
    contents = tuple(read_notebook(Path(path)) for path in notebooks)
    keys = [notebook.key for notebook in contents]
    if twice := sorted({key for key in keys if keys.count(key) > 1}):
        raise ValueError(f"kit report: notebooks must differ in name, got {twice} twice")
    jobs, asked, refused = [], {}, []
    for notebook in contents:
        try:
            values, minutes = scale_parameters(notebook.path, scale)
            asked[notebook.name] = values = checked_parameters(notebook, values | dict(given))
        except ValueError as error:
            refused += [line for line in str(error).splitlines() if line not in refused]
            continue
        values = {"out": str(folder / "runs" / notebook.key)} | values
        jobs.append(Job(notebook, values, folder, contents, minutes))
    if refused:
        raise ValueError("\n".join(refused))
    return Report(folder, scale, tuple(jobs), {"scale": scale, "notebooks": asked})


def make_report(
    report: Report,
    *,
    again: bool = False,
    executor: Executor | None = None,
    at_once: int | None = None,
) -> dict[str, Any]:
    """Run the notebooks that are not finished; write pages, index and summary after each.

    Args:
        report: what `plan_report` gave.
        again: run all of them anew; what they wrote into the report's `runs/` is deleted first.
        executor: where they run; by default processes here, with the cores shared out among them.
            Another one needs this folder and this package where its workers are.
        at_once: how many run at a time; by default as many as there are cores, four at most.

    Returns:
        The content of summary.json.

    Raises:
        ValueError: the folder is finished, of other settings, or not a report.
        RuntimeError: another process makes a report there.
    """
    jobs = _longest_last(report)  # before the last summary of the same folder is overwritten
    affinity = getattr(os, "sched_getaffinity", None)  # not every system has it
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    with _held(report):
        outcomes = _open(report, again)
        todo = [job for job in jobs if outcomes[job.notebook.name]["state"] != "finished"]
        at_once = min(at_once or min(4, cores), len(todo))
        summary = _write(report, outcomes)
        pool = executor or _processes(at_once, max(1, cores // at_once), report.folder)
        try:
            for job, outcome in _run(todo, pool, at_once):
                outcomes[job.notebook.name] = outcome
                summary = _write(report, outcomes)
        finally:
            if executor is None:
                pool.shutdown(cancel_futures=True)
    return summary


def _longest_last(report: Report) -> list[Job]:
    """By what a notebook took in the latest report beside this one, else by the scale's minutes.

    What nobody knows comes after all, in reading order: `_run` begins at the end.
    """
    took: dict[str, float] = {}
    for file in sorted(report.folder.parent.glob("*/summary.json"), key=os.path.getmtime):
        with suppress(OSError, ValueError, LookupError, TypeError, AttributeError):  # of others
            last = read_json(file)
            ended = {n: o for n, o in last["notebooks"].items() if o["state"] == "finished"}
            if last["scale"] == report.scale:
                took |= {name: float(outcome["seconds"]) for name, outcome in ended.items()}

    def seconds(job: Job) -> float:
        known = math.inf if job.minutes is None else 60 * job.minutes
        return took.get(job.notebook.name, known)

    return sorted(report.jobs, key=seconds)


@contextmanager
def _held(report: Report) -> Iterator[None]:
    """The folder for this process alone; part files of those that were killed go in the end."""
    _check_folder(report)  # nothing is written into somebody else's
    with locked("kit report", report.folder):
        try:
            yield
        finally:
            for part in report.folder.rglob(".*.part*"):
                part.unlink(missing_ok=True)


def _processes(workers: int, cores: int, folder: Path) -> ProcessPoolExecutor:
    # "spawn": torch and a progress bar's thread do not survive a fork well.
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, context, _prepare_worker, (cores, folder))


def _prepare_worker(cores: int, folder: Path) -> None:
    """In a worker: it ends with the report, however that ends; what its kernels inherit."""
    end_with_parent()
    os.environ["KIT_SHARED"] = str(folder / "runs" / "shared")
    os.environ["KIT_CORES"] = str(cores)
    os.environ.setdefault("OMP_NUM_THREADS", str(cores))
    # Threads that wait actively slow training down fivefold as soon as anything else runs here.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ["PLOTLY_RENDERER"] = "plotly_mimetype"  # figures as data: the page draws them itself


def _run(
    jobs: Sequence[Job], executor: Executor, at_once: int
) -> Iterator[tuple[Job, dict[str, Any]]]:
    """Run jobs from the last on; yield each with its outcome as it ends. A bar names what runs."""
    from tqdm import tqdm

    waiting, running = list(jobs), dict[Future[dict[str, Any]], Job]()
    with tqdm(total=len(jobs), unit="notebook", file=sys.stderr) as bar:
        while waiting or running:
            while waiting and len(running) < at_once:
                job = waiting.pop()
                running[executor.submit(run_notebook, job)] = job
            names = ", ".join(job.notebook.name for job in running.values())
            bar.set_postfix_str(f"running {names}")
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                job = running.pop(future)
                outcome = _outcome(job, future)
                line = f"{outcome['state']}: {job.notebook.name}, {duration(outcome['seconds'])}"
                bar.write(line, file=sys.stderr)
                bar.update()
                yield job, outcome


def _outcome(job: Job, future: Future[dict[str, Any]]) -> dict[str, Any]:
    """What a worker gave back; a worker that broke down is a failed notebook too."""
    try:
        return future.result()
    except Exception as error:  # not an interrupt: that one ends the report
        return outcome_of(job, without_cell(error))


def _check_folder(report: Report) -> None:
    """Refuse a folder that is not empty and not this report's."""
    folder, manifest = report.folder, report.folder / "report.json"
    names = {path.name for path in folder.iterdir()} if folder.exists() else set()
    if manifest.name in names:
        _check_settings(report, read_json(manifest))
    elif any(name != "lock" and not name.endswith(".part") for name in names):
        raise ValueError(f"kit report: {folder} is not empty and holds no report.json of a report")


def _open(report: Report, again: bool) -> dict[str, dict[str, Any]]:
    """Outcomes by notebook, those of an earlier run where they still hold; refuse other folders."""
    folder, manifest = report.folder, report.folder / "report.json"
    _check_folder(report)  # once more: nobody else can write there now
    if not manifest.exists():
        write_json(manifest, {"made_by": "kit report", "settings": report.settings})
    goes_on = (folder / "summary.json").exists() and not again
    there = read_json(folder / "summary.json")["notebooks"] if goes_on else {}
    outcomes = {}
    for notebook in (job.notebook for job in report.jobs):
        outcome = there.get(notebook.name, {})
        holds = outcome.get("state") == "finished" and outcome["source"] == notebook.digest
        waiting = {"state": "waiting", "title": notebook.title}
        outcomes[notebook.name] = outcome if holds else waiting
    if all(outcome["state"] == "finished" for outcome in outcomes.values()):
        raise ValueError(f"kit report: {folder} is finished; --again runs its notebooks anew")
    if again:
        _write(report, outcomes)  # first: a stop in between must not leave pages of deleted runs
        shutil.rmtree(folder / "runs", ignore_errors=True)
    return outcomes


def _check_settings(report: Report, manifest: Any) -> None:
    file = report.folder / "report.json"
    ours = isinstance(manifest, dict) and manifest.get("made_by") == "kit report"
    if not ours or "settings" not in manifest:
        raise ValueError(f"kit report: {file} was not written by kit report")
    there, asked = _facts(manifest["settings"]), _facts(report.settings)
    differing = [name for name in sorted({*there, *asked}) if there.get(name) != asked.get(name)]
    both = [(name, there.get(name, "not set"), asked.get(name, "not set")) for name in differing]
    if both:
        said = "; ".join(
            f"{name} is {old!r} there, {new!r} was asked for" for name, old, new in both
        )
        raise ValueError(f"kit report: {report.folder} was made with other settings: {said}")


def _facts(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings, one fact each: the scale, the notebooks, and each notebook's values."""
    notebooks = settings["notebooks"]
    values = {
        f"{one}: {name}": value for one in notebooks for name, value in notebooks[one].items()
    }
    return {"scale": settings["scale"]} | dict.fromkeys(notebooks, "part of the report") | values


def _write(report: Report, outcomes: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Write the summary and the index: they always show the last state."""
    about = {"scale": report.scale, "claim": CLAIMS[report.scale]}
    summary = about | {"notebooks": dict(outcomes)}
    write_plotly(report.folder / "pages")
    write_json(report.folder / "summary.json", summary)
    keys = {job.notebook.name: job.notebook.key for job in report.jobs}
    write_index_page(report.folder / "index.html", summary, keys)
    return summary
