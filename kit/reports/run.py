"""One notebook: run it by papermill, write its page, say what came out. For any worker."""

from __future__ import annotations

import math
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kit.files import read_json
from kit.reports.notebooks import Notebook
from kit.reports.pages import true_here, write_notebook_page


@dataclass(frozen=True)
class Job:
    """A notebook, its values, and the report it is for."""

    notebook: Notebook
    parameters: dict[str, Any]  # what is injected, `out` included
    folder: Path  # of the report
    contents: tuple[Notebook, ...]  # all notebooks of the report in order: pages link to each other
    minutes: float | None = None  # that it takes on two cores, where the scale says so


def run_notebook(job: Job) -> dict[str, Any]:
    """Run a notebook and write its executed copy and its page.

    A notebook that fails is no exception here: the others go on, its page shows where it stopped.

    Returns:
        What `outcome_of` gives, and as headline what cells with that tag show, as HTML.
    """
    import nbformat

    pages = job.folder / "pages"
    pages.mkdir(parents=True, exist_ok=True)
    # Not `kit.files.atomic`: papermill wants a name that ends in .ipynb, and keeps it current.
    part = pages / f".{job.contents.index(job.notebook)}.part.ipynb"
    if job.parameters["out"]:
        Path(job.parameters["out"]).mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    try:
        # What a kernel that could not even start leaves: the page shows the notebook as it is.
        part.write_text(job.notebook.path.read_text("utf-8-sig"), "utf-8")
        error = _execute(job, part)
        executed = nbformat.read(part, as_version=4)  # type: ignore[no-untyped-call]
        executed.metadata.pop("widgets", None)
        nbformat.write(executed, part)  # type: ignore[no-untyped-call]
        os.replace(part, pages / f"{job.notebook.key}.ipynb")
    finally:
        part.unlink(missing_ok=True)
    results, file = None, Path(job.parameters["out"] or os.devnull, "result.json")
    if error is None and file.is_file():
        try:
            results = _json(read_json(file))
        except ValueError as damage:
            error = without_cell(ValueError(f"{file} is not JSON: {damage}"))
    page = true_here(executed, job.notebook, job.parameters)
    write_notebook_page(page, job.notebook, job.contents, error, pages)
    outcome = outcome_of(job, error, time.monotonic() - started, results)
    return outcome | {"headline": _headline(executed)}


def _headline(executed: Any) -> list[str]:
    """The tables of cells that are tagged "headline": what the index shows of a notebook."""
    cells = [cell for cell in executed.cells if "headline" in cell.metadata.get("tags", [])]
    data = [output.get("data", {}) for cell in cells for output in cell.outputs]
    return ["".join(one["text/html"]) for one in data if "text/html" in one]


def outcome_of(
    job: Job, error: dict[str, Any] | None, seconds: float = 0.0, results: Any = None
) -> dict[str, Any]:
    """What a summary says of a notebook that ran.

    Returns:
        state ("finished" or "failed"), title, seconds, parameters, error (cell, name, message; or
        None), results (its result.json; or None), source (hash of the notebook that ran).
    """
    return {
        "state": "failed" if error else "finished",
        "title": job.notebook.title,
        "seconds": round(seconds, 1),
        "parameters": job.notebook.defaults | job.parameters,
        "error": error,
        "results": results,
        "source": job.notebook.digest,
    }


def _json(results: Any) -> Any:
    """The same with null for nan and infinity, which a browser's JSON does not have."""
    if isinstance(results, dict):
        return {name: _json(value) for name, value in results.items()}
    if isinstance(results, list):
        return [_json(value) for value in results]
    return None if isinstance(results, float) and not math.isfinite(results) else results


def _execute(job: Job, part: Path) -> dict[str, Any] | None:
    import papermill

    from kit.reports.kernel import SameInterpreter

    name = str(part).replace("{", "{{").replace("}", "}}")  # papermill formats names
    try:
        papermill.execute_notebook(
            name,
            name,
            parameters=job.parameters,
            kernel_name="python3",
            language="python",  # a notebook need not name its own
            kernel_manager_class=SameInterpreter,
            progress_bar=False,
            store_widget_state=False,  # a FigureWidget would add plotly.js, 5 MB each
            coalesce_streams=True,  # else each refresh of a progress bar is an output of its own
        )
    except papermill.PapermillExecutionError as error:
        return {"cell": error.exec_count, "name": error.ename, "message": str(error.evalue)}
    except Exception as error:  # a dead kernel, a full disk: whatever it is, the others go on
        return without_cell(error)
    return None


def without_cell(error: Exception) -> dict[str, Any]:
    """An error that no cell of the notebook raised."""
    return {"cell": None, "name": type(error).__name__, "message": str(error)}
