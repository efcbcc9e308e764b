"""Notebooks as they lie in the repository: clean, readable, and startable with any parameters."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path
from typing import Any

import nbformat
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from kit.reports import find_notebooks, plan_report

NOTEBOOKS = find_notebooks()
ROOT = NOTEBOOKS[0].parents[1]
HELPED = re.compile(r"^[a-z_]+ = [^#=|]+  # \S.*$")  # what papermill's inspection can read
IN_WORDS = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def filled(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


def problems(notebook: Any) -> list[str]:
    """All that is wrong with a notebook as a source."""
    found = []
    if notebook.metadata.get("kernelspec", {}).get("name") != "python3":
        found.append("kernelspec is not python3")
    cells = notebook.cells
    if cells[0].cell_type != "markdown" or not cells[0].source.startswith("# "):
        found.append("does not begin with a heading")
    code = [cell for cell in cells if cell.cell_type == "code"]
    parameters = [cell for cell in code if "parameters" in cell.metadata.get("tags", [])]
    code = [cell for cell in code if cell not in parameters]
    if len(parameters) != 1:
        found.append(f"{len(parameters)} parameters cells")
    given = [line for cell in parameters for line in filled(cell.source)]
    found += [f"parameter without help, or not plain: {g}" for g in given if not HELPED.match(g)]
    for cell in cells:
        if not IN_WORDS.fullmatch(cell.id) or re.fullmatch(r"[0-9a-f]{8,}", cell.id):
            found.append(f"{cell.id}: an id is words")
        if cell.get("outputs") or cell.get("execution_count") is not None:
            found.append(f"{cell.id}: has outputs")
    for cell in code:
        if len(filled(cell.source)) > 15:
            found.append(f"{cell.id}: more than 15 lines")
        tree = ast.parse(cell.source)
        if "exercise" not in cell.metadata.get("tags", []) and any(
            isinstance(node, ast.FunctionDef | ast.ClassDef) for node in ast.walk(tree)
        ):
            found.append(f"{cell.id}: def or class belongs in the package")
        if re.search(r"(from|import) kit[\w.]*\._|import .*\b_\w|\bkit(\.\w+)*\._\w", cell.source):
            found.append(f"{cell.id}: a private name")
    prose = sum(len(filled(cell.source)) for cell in cells if cell.cell_type == "markdown")
    if prose < sum(len(filled(cell.source)) for cell in code):
        found.append("less prose than code")
    return found


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_clean(path: Path) -> None:
    assert problems(nbformat.read(path, as_version=4)) == []


LESSONS = [path for path in NOTEBOOKS if path.parent.name in ("itmeetsal", "amid")]


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_teaches(path: Path) -> None:
    cells = nbformat.read(path, as_version=4).cells
    prose = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    for part in ("**What you will learn:**", "**How long:**", "<details><summary>Answer</summary>"):
        assert part in prose, part
    assert "he paper's words (" in prose, "quotations are marked"
    assert re.search(r"^## Summary$", prose, flags=re.M)
    (exercise,) = [cell for cell in cells if "exercise" in cell.metadata.get("tags", [])]
    assert re.search(r"return \.\.\.\n+print\(exercises\.check_\w+\(\w+\)\)$", exercise.source)


def good() -> Any:
    parameters = "seed = 0  # of everything\nout = ''  # folder"
    cells = [
        new_markdown_cell("# A title\n\n" + "A line of prose.\n" * 5, id="title"),
        new_code_cell("import kit.runs", id="imports"),
        new_code_cell(parameters, id="parameters", metadata={"tags": ["parameters"]}),
        new_code_cell("print(seed)", id="say-seed"),
    ]
    return new_notebook(
        cells=cells, metadata={"kernelspec": {"name": "python3", "display_name": ""}}
    )


def test_the_rules_find_what_is_wrong() -> None:
    assert problems(good()) == []
    spoilt = {
        "kernelspec is not python3": lambda n: n.metadata.kernelspec.update(name="mine"),
        "does not begin with a heading": lambda n: n.cells[0].update(source="Prose.\n" * 9),
        "0 parameters cells": lambda n: n.cells[2].metadata.update(tags=[]),
        "parameter without help": lambda n: n.cells[2].update(source="seed = 0"),
        "or not plain": lambda n: n.cells[2].update(source="seed = a == b  # help"),
        "an id is words": lambda n: n.cells[3].update(id="3fa9c1d2"),
        "has outputs": lambda n: n.cells[3].outputs.append(new_output("stream", text="0")),
        "more than 15 lines": lambda n: n.cells[3].update(source="a = 1\n" * 16),
        "belongs in the package": lambda n: n.cells[3].update(source="def f():\n    pass"),
        "a private name": lambda n: n.cells[3].update(source="from kit.runs import _locked"),
        "less prose than code": lambda n: n.cells[0].update(source="# A title"),
    }
    for problem, spoil in spoilt.items():
        notebook = good()
        spoil(notebook)
        assert any(problem in found for found in problems(notebook)), problem


@pytest.mark.parametrize("scale", ["smoke", "quick", "paper"])
def test_every_scale_fits_the_notebooks(scale: str, tmp_path: Path) -> None:
    plan = plan_report(NOTEBOOKS, tmp_path, scale=scale, given={})
    assert [job.notebook.path for job in plan.jobs] == NOTEBOOKS


def test_parameter_files_for_one_notebook_fit_it(tmp_path: Path) -> None:
    files = [
        file
        for file in sorted((ROOT / "notebooks" / "parameters").glob("*.yaml"))
        if file.stem not in ("smoke", "quick", "paper")
    ]
    assert files
    for file in files:
        text = file.read_text(encoding="utf-8")
        (named,) = re.findall(r"kit report (\S+\.ipynb)", text)  # by the command in its first lines
        assert str(file.relative_to(ROOT)) in text
        plan_report([ROOT / named], tmp_path, given=yaml.safe_load(text))


def test_nothing_of_a_machine_is_in_the_repository() -> None:
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files"], capture_output=True, text=True, check=True
    ).stdout.split()
    places = re.compile(r"""["'\s(=](/(work|home|root|Users|tmp)/|[A-Z]:\\)|https?://[\w.]*pypi""")
    for name in listed:
        text = (ROOT / name).read_text(encoding="utf-8", errors="ignore")
        assert name == "tests/notebooks/test_notebooks_source.py" or not places.search(text), name
