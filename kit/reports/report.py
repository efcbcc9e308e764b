"""A report: its folder, its notebooks, and the loop that runs those that are not finished yet.

report.json    marks the folder as a report, with the settings it was made with
summary.json   per notebook: state, seconds, parameters, error, results
index.html     the same to look at
pages/         each executed notebook as .html and .ipynb, plotly.js once beside them
runs/          what the notebooks wrote: the parameter `out` of each points to its folder here
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import shutil
import sys
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kit.files import read_json, write_json
from kit.reports.notebooks import read_notebook, scale_parameters
from kit.reports.pages import duration, write_index_page, write_plotly
from kit.reports.parameters import checked_parameters
from kit.reports.run import Job, run_notebook

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
    folder = folder.resolve()
    contents = tuple(read_notebook(Path(path)) for path in notebooks)
    keys = [notebook.key for notebook in contents]
    if twice := sorted({key for key in keys if keys.count(key) > 1}):
        raise ValueError(f"kit report: notebooks must differ in name, got {twice} twice")
    jobs, asked, refused = [], {}, []
    for notebook in contents:
        try:
            values = scale_parameters(notebook.path, scale) | dict(given)
            asked[notebook.name] = values = checked_parameters(notebook, values)
        except ValueError as error:
            refused += [line for line in str(error).splitlines() if line not in refused]
            continue
        values = {"out": str(folder / "runs" / notebook.key)} | values
        jobs.append(Job(notebook, values, folder, contents))
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
        at_once: how many run at a time; by default two where there are two cores.

    Returns:
        The content of summary.json.

    Raises:
        ValueError: the folder is finished, of other settings, or not a report.
    """
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    outcomes = _open(report, again)
    todo = [job for job in report.jobs if outcomes[job.notebook.name]["state"] != "finished"]
    at_once = min(at_once or min(2, cores), max(len(todo), 1))
    summary = _write(report, outcomes)
    pool = executor or _processes(at_once, max(1, cores // at_once))
    try:
        for job, outcome in _run(todo, pool, at_once):
            outcomes[job.notebook.name] = outcome
            summary = _write(report, outcomes)
    finally:
        if executor is None:
            pool.shutdown(cancel_futures=True)
    return summary


def _processes(workers: int, threads: int) -> ProcessPoolExecutor:
    # "spawn": torch and a progress bar's thread do not survive a fork well.
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, context, initializer=_share_cores, initargs=(threads,))


def _share_cores(threads: int) -> None:
    """In a worker: what its kernels inherit."""
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    # Threads that wait actively slow training down fivefold as soon as anything else runs here.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ["PLOTLY_RENDERER"] = "plotly_mimetype"  # figures as data: the page draws them itself


def _run(
    jobs: Sequence[Job], executor: Executor, at_once: int
) -> Iterator[tuple[Job, dict[str, Any]]]:
    """Yield each job with its outcome as it ends, while a bar names what runs."""
    from tqdm import tqdm

    # From the last on: the notebooks that train for minutes come last in reading order.
    waiting, running = deque(reversed(jobs)), dict[Future[dict[str, Any]], Job]()
    with tqdm(total=len(jobs), unit="notebook", file=sys.stderr) as bar:
        while waiting or running:
            while waiting and len(running) < at_once:
                job = waiting.popleft()
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
    except Exception as broken:  # not an interrupt: that one ends the report
        error = broken
    return {
        "state": "failed",
        "title": job.notebook.title,
        "seconds": 0.0,
        "parameters": job.notebook.defaults | job.parameters,
        "error": {"cell": None, "name": type(error).__name__, "message": str(error)},
        "results": None,
        "source": job.notebook.digest,
    }


def _open(report: Report, again: bool) -> dict[str, dict[str, Any]]:
    """Outcomes by notebook, those of an earlier run where they still hold; refuse other folders."""
    folder, manifest = report.folder, report.folder / "report.json"
    if not manifest.exists():
        if folder.exists() and any(folder.iterdir()):
            raise ValueError(
                f"kit report: {folder} is not empty and holds no report.json of a report"
            )
        text = json.dumps(report.settings, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        facts = {"made_by": "kit report", "hash": digest, "settings": report.settings}
        write_json(manifest, facts)
    _check_settings(report, read_json(manifest))
    there: dict[str, dict[str, Any]] = {}
    if (folder / "summary.json").exists() and not again:
        there = read_json(folder / "summary.json")["notebooks"]
    outcomes = {}
    for job in report.jobs:
        notebook = job.notebook
        outcome = there.get(notebook.name, {})
        if outcome.get("state") != "finished" or outcome["source"] != notebook.digest:
            outcome = {"state": "waiting", "title": notebook.title}
        outcomes[notebook.name] = outcome
    if all(outcome["state"] == "finished" for outcome in outcomes.values()):
        raise ValueError(f"kit report: {folder} is finished; --again runs its notebooks anew")
    if again:
        _write(report, outcomes)  # first: a stop in between must not leave pages of deleted runs
        shutil.rmtree(folder / "runs", ignore_errors=True)
    return outcomes


def _check_settings(report: Report, manifest: Any) -> None:
    if not isinstance(manifest, dict) or manifest.get("made_by") != "kit report":
        raise ValueError(
            f"kit report: {report.folder / 'report.json'} was not written by kit report"
        )
    there, asked = _facts(manifest["settings"]), _facts(report.settings)
    differing = [name for name in sorted({*there, *asked}) if there.get(name) != asked.get(name)]
    if differing:
        said = "; ".join(
            f"{name} is {there.get(name, 'not set')!r} there, "
            f"{asked.get(name, 'not set')!r} was asked for"
            for name in differing
        )
        raise ValueError(f"kit report: {report.folder} was made with other settings: {said}")


def _facts(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings, one fact each: the scale, the notebooks, and each notebook's values."""
    facts = {"scale": settings["scale"]}
    for notebook, values in settings["notebooks"].items():
        facts[notebook] = "part of the report"
        facts |= {f"{notebook}: {name}": value for name, value in values.items()}
    return facts


def _write(report: Report, outcomes: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Write the summary and the index: they always show the last state."""
    summary = {
        "scale": report.scale,
        "claim": CLAIMS[report.scale],
        "notebooks": dict(outcomes),
    }
    write_plotly(report.folder / "pages")
    write_json(report.folder / "summary.json", summary)
    keys = {job.notebook.name: job.notebook.key for job in report.jobs}
    write_index_page(report.folder / "index.html", summary, keys)
    return summary
