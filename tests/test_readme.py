"""The README keeps its word: its code runs, its equation map leads to code, its files exist."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from kit.itmeetsal import losses, method

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, flags=re.S)
MAP = re.findall(r"^\| ([\d, ]+)" + r" \| ([^|]+)" * 4 + r" \|$", TEXT, flags=re.M)
TESTS = "".join(path.read_text() for path in (ROOT / "tests" / "itmeetsal").glob("test_*.py"))


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_code_runs_as_printed(
    block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "README.md", "exec"), {})
    assert capsys.readouterr().out


def test_equation_map_leads_from_each_equation_to_function_tests_and_cell() -> None:
    mapped = [int(number) for row in MAP for number in row[0].split(",")]
    assert mapped == list(range(1, 15))
    for numbers, functions, *tests, place in MAP:
        ((link, cell),) = re.findall(r"\]\((\S+)\) `(\S+)`", place)
        cells = {
            c["id"]: "".join(c["source"]) for c in json.loads((ROOT / link).read_text())["cells"]
        }
        assert all(name in cells[cell] for name in re.findall(r"`(\w+)`", functions)), cell
        first, last = numbers.split(", ")[0], numbers.split(", ")[-1]
        for function in re.findall(r"`(\w+)`", functions):
            named = re.findall(r"\d+", getattr(losses, function).__doc__.splitlines()[0])
            assert {first, last} <= set(named), function
        for test in re.findall(r"`(\w+)`", " ".join(tests)):
            assert f"def {test}(" in TESTS, test


def test_algorithm_and_presets_are_where_the_readme_says() -> None:
    assert hasattr(method.ITMeetsAL, "turns")
    assert hasattr(method.ITMeetsAL, "generator_terms")
    assert callable(method.discriminator_terms)
    assert {"paper", "separate", "literal"} <= set(method.PRESETS)


def test_files_named_are_there() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", TEXT)
    assert links
    for link in links:
        assert (ROOT / link).exists(), link
    for file in re.findall(r"notebooks/[\w/]+\.\w+", TEXT):
        assert (ROOT / file).exists(), file
    targets = (ROOT / "Makefile").read_text()
    for target in re.findall(r"\bmake (\w+)", TEXT):
        assert re.search(rf"^{target}:", targets, flags=re.M), target
