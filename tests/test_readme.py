"""README and docs keep their word: code runs, the equation map leads to code, files exist."""

from __future__ import annotations

import json
import re
import sys
import types
from pathlib import Path

import pytest

import kit.amid.config
import kit.amid.losses
import kit.amid.method
import kit.itmeetsal.losses
from kit.itmeetsal import method

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXTS = {page: page.read_text(encoding="utf-8") for page in PAGES}
BLOCKS = [
    pytest.param(block, id=f"{page.stem}-{number}")
    for page, text in TEXTS.items()
    for number, block in enumerate(re.findall(r"```python\n(.*?)```", text, flags=re.S))
]
TEXT = TEXTS[ROOT / "docs" / "equations.md"]
ROW = re.compile(r"^\| ([\d, ]+)" + r" \| ([^|]+)" * 4 + r" \|$", flags=re.M)
MAPS = {
    paper: ROW.findall(TEXT.partition(f"## The equations of {heading}")[2].partition("\n## ")[0])
    for paper, heading in (("itmeetsal", "ITMeetsAL"), ("amid", "AMID"))
}
ROOMS = {"itmeetsal": [kit.itmeetsal.losses], "amid": [kit.amid.losses]}
DEPARTURES = TEXTS[ROOT / "docs" / "methods.md"].partition("## Departures from the print")[2]
MAPPED = {"itmeetsal": list(range(1, 15)), "amid": [4, 7, 8, 9, *range(11, 17)]}


def cells(link: str) -> dict[str, str]:
    notebook = json.loads((ROOT / "docs" / link).read_text(encoding="utf-8"))
    return {cell["id"]: "".join(cell["source"]) for cell in notebook["cells"]}


@pytest.mark.parametrize("block", BLOCKS)
def test_code_runs_as_printed(
    block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    module = types.ModuleType("as_printed")  # classes need one to be from
    module.__file__ = str(tmp_path / "as_printed.py")
    Path(module.__file__).write_text(block, encoding="utf-8")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(block, "README.md", "exec"), vars(module))
    assert capsys.readouterr().out


@pytest.mark.parametrize("paper", MAPS)
def test_equation_map_leads_from_each_equation_to_function_tests_and_cell(paper: str) -> None:
    mapped = [int(number) for row in MAPS[paper] for number in row[0].split(",")]
    assert mapped == MAPPED[paper]
    written = "".join(path.read_text() for path in (ROOT / "tests" / paper).glob("test_*.py"))
    for numbers, functions, *tests, place in MAPS[paper]:
        ((link, cell),) = re.findall(r"\]\((\S+)\) `(\S+)`", place)
        assert all(name in cells(link)[cell] for name in re.findall(r"`(\w+)`", functions)), cell
        first, last = numbers.split(", ")[0], numbers.split(", ")[-1]
        for name in re.findall(r"`(\w+)`", functions):
            (room,) = (room for room in ROOMS[paper] if hasattr(room, name))
            told = getattr(room, name).__doc__.splitlines()[0] + (room.__doc__.splitlines()[0])
            assert {first, last} <= set(re.findall(r"\d+", told)), name
        for test in re.findall(r"`(\w+)`", " ".join(tests)):
            assert f"def {test}(" in written, test


def test_theory_stands_in_the_cells_that_the_readme_names() -> None:
    told = TEXT.partition("The rest is theory")[2].partition("\n## ")[0]
    places = re.split(r"\[0\d\]\((\S+)\)", told)
    named = {
        (link, cell)
        for link, words in zip(places[1::2], places[2::2], strict=True)
        for cell in re.findall(r"`([\w-]+)`", words)
    }
    assert len(named) == 6
    for link, cell in named:
        assert cell in cells(link), cell


def test_algorithm_and_presets_are_where_the_readme_says() -> None:
    assert hasattr(method.ITMeetsAL, "turns")
    assert hasattr(method.ITMeetsAL, "generator_terms")
    assert callable(method.discriminator_terms)
    assert {"paper", "separate", "literal"} <= set(method.PRESETS)
    for name in ("turns", "prediction_terms", "distillation_terms", "discriminator_terms"):
        assert hasattr(kit.amid.method.AMID, name)
    assert {"video", "emotion"} <= set(kit.amid.config.PRESETS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_files_named_are_there(page: Path) -> None:
    text = TEXTS[page]
    links = re.findall(r"\]\(([^)#:]+)\)", text)
    for link in links:
        assert (page.parent / link).exists(), link
    for file in re.findall(r"(?<![\w/])(?:kit|tests|notebooks)/[\w/]+\.\w+", text):
        assert (ROOT / file).exists(), file
    targets = (ROOT / "Makefile").read_text()
    for target in re.findall(r"\bmake (\w+)", text):
        assert re.search(rf"^{target}:", targets, flags=re.M), target


def test_readme_leads_to_every_page_of_docs() -> None:
    readme = TEXTS[ROOT / "README.md"]
    assert all(f"({page.relative_to(ROOT).as_posix()})" in readme for page in PAGES[1:])


def test_every_departure_names_tests_that_are_there() -> None:
    rows = [row for row in DEPARTURES.splitlines() if re.match(r"\| (?!left open|printed)", row)]
    assert len(rows) > 70
    for row in rows:
        *_, held, end = re.split(r" ?\| ?", row)
        named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", held)
        assert named, row
        assert end == "", row
        for file, test in named:
            assert f"\ndef {test}(" in (ROOT / file).read_text(encoding="utf-8"), test
