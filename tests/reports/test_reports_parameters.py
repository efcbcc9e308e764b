"""Parameters of a report: read from the notebook, checked against it, before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from report_notebooks import write_notebook

from kit.reports import find_notebooks, plan_report, read_mapping
from kit.reports.notebooks import Notebook, new_folder, parameter_defaults, read_notebook
from kit.reports.parameters import as_type, checked_parameters

EACH_TYPE = """seed = 0  # of everything random
out = ""  # where the run goes
rate: float = 1e-3
flip = True
corpus = "scenes"
ks = [1, 5, 10]
names = []  # list of str: whose
others = []  # of whatever kind"""


@pytest.fixture
def notebook(tmp_path: Path) -> Notebook:
    return read_notebook(write_notebook(tmp_path / "train.ipynb", parameters=EACH_TYPE))


def test_parameters_cell_is_read_without_running(notebook: Notebook) -> None:
    assert notebook.defaults == {
        "seed": 0, "out": "", "rate": 0.001, "flip": True, "corpus": "scenes", "ks": [1, 5, 10],
        "names": [], "others": [],
    }  # fmt: skip
    assert (notebook.name, notebook.key, notebook.title) == ("train.ipynb", "train", "A notebook")


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("seed", "7", 7), ("seed", 7, 7), ("seed", "-7", -7),
        ("rate", "1e-3", 0.001), ("rate", "2", 2.0), ("rate", 2, 2.0), ("rate", 0.5, 0.5),
        ("flip", "false", False), ("flip", "True", True), ("flip", False, False),
        ("corpus", "007", "007"), ("corpus", "true", "true"),
        ("ks", "[1, 2]", [1, 2]), ("ks", [3], [3]), ("ks", [], []), ("names", "[a, b]", ["a", "b"]),
    ],
)  # fmt: skip
def test_values_come_to_the_type_of_the_default(
    notebook: Notebook, name: str, given: Any, expected: Any
) -> None:
    value = checked_parameters(notebook, {name: given})[name]
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("name", "given", "kind"),
    [
        ("seed", "many", "int"), ("seed", "1.5", "int"), ("seed", 1.0, "int"),
        ("seed", True, "int"),
        ("rate", "fast", "float"), ("rate", "nan", "float"), ("rate", float("inf"), "float"),
        ("rate", False, "float"), ("flip", "yes", "bool"), ("flip", 1, "bool"),
        ("corpus", 7, "str"), ("corpus", None, "str"),
        ("ks", "1", "a list of int"), ("ks", "[1, x]", "a list of int"),
        ("ks", "[1", "a list of int"),
        ("ks", 1, "a list of int"), ("names", {"a": 1}, "a list of str"),
        ("names", "[1]", "a list of str"), ("others", "[1]", "left empty: .*"),
        ("others", [[1]], "left empty: no comment .*"),
    ],
)  # fmt: skip
def test_another_type_is_refused(notebook: Notebook, name: str, given: Any, kind: str) -> None:
    with pytest.raises(ValueError, match=rf"train\.ipynb: parameter {name} must be {kind} \(def"):
        checked_parameters(notebook, {name: given})


def test_yaml_exponent_without_a_point_is_a_float(tmp_path: Path, notebook: Notebook) -> None:
    file = tmp_path / "given.yaml"
    file.write_text("rate: 1e-4\n")
    assert read_mapping(file) == {"rate": "1e-4"}  # YAML 1.1 reads it as text
    assert checked_parameters(notebook, read_mapping(file)) == {"rate": 0.0001}


def test_inner_lists_keep_their_type() -> None:
    assert as_type("[[1, 2.5]]", [[0.5]]) == [[1.0, 2.5]]


def test_unknown_name_is_refused_with_the_nearest_and_all(notebook: Notebook) -> None:
    expected = (
        r"'sede'; did you mean 'seed'\? Known: seed, out, rate, flip, corpus, ks, names, others"
    )
    with pytest.raises(ValueError, match=expected):
        checked_parameters(notebook, {"sede": 1})
    with pytest.raises(ValueError, match=r"unknown parameter 'zzz'\. Known: seed, out"):
        checked_parameters(notebook, {"zzz": 1})


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("seed = 0\nout = str(1)", "must hold plain literals"),
        ("seed = 0\nout = (1, 2)", r"must hold plain literals.*got out = \(1, 2\)"),
        ("seed = 0\nout = None", "must hold plain literals"),
        ("seed = 0\nout: str", "must hold plain literals"),
        ("import os\nseed = 0\nout = ''", "must hold plain literals"),
        ("seed = ", "must hold plain literals"),
        ("a.seed = 0", "must hold plain literals"),
        ("seed = 0", r"lacks \['out'\]"),
    ],
)
def test_parameters_cell_with_anything_else_is_refused(source: str, message: str) -> None:
    with pytest.raises(ValueError, match=rf"kit report: a\.ipynb: its parameters cell {message}"):
        parameter_defaults(source, "a.ipynb")


def test_what_is_no_notebook_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"missing\.ipynb is not a notebook to be read: .*No such file"
    ):
        read_notebook(tmp_path / "missing.ipynb")
    for text in ("no json", "{}", "[]", "\N{BYTE ORDER MARK}{}"):
        (tmp_path / "text.ipynb").write_text(text)
        with pytest.raises(ValueError, match=r"text\.ipynb is not a notebook"):
            read_notebook(tmp_path / "text.ipynb")
    plain = write_notebook(tmp_path / "plain.ipynb")
    plain.write_text(plain.read_text().replace('"parameters"\n', '"other"\n'))
    with pytest.raises(ValueError, match=r"plain\.ipynb: expected one cell tagged.*found 0"):
        read_notebook(plain)


def test_scale_then_file_then_command_line(tmp_path: Path) -> None:
    folder = tmp_path / "notebooks"
    path = write_notebook(folder / "itmeetsal" / "05_train.ipynb", parameters=EACH_TYPE)
    (folder / "parameters").mkdir()
    scale = "itmeetsal/05_train.ipynb: {seed: 1, rate: 1e-2, corpus: small}\n"
    (folder / "parameters" / "smoke.yaml").write_text(scale)
    report = plan_report([path], tmp_path / "out", scale="smoke", given={"seed": "9", "rate": 0.5})
    (job,) = report.jobs
    assert job.notebook.name == "itmeetsal/05_train.ipynb"
    assert job.parameters == {
        "out": str(tmp_path / "out" / "runs" / "itmeetsal_05_train"),
        "seed": 9,
        "rate": 0.5,
        "corpus": "small",
    }
    with pytest.raises(ValueError, match=r"cannot read .*paper\.yaml"):
        plan_report([path], tmp_path / "out", scale="paper", given={})


def test_all_notebooks_are_checked_and_all_refusals_said(tmp_path: Path) -> None:
    one = write_notebook(tmp_path / "one.ipynb", parameters="seed = 0\nout = ''\nepochs = 3")
    two = write_notebook(tmp_path / "two.ipynb")
    with pytest.raises(ValueError, match="unknown") as caught:
        plan_report([one, two], tmp_path / "out", given={"epochs": "x", "seed": "y"})
    lines = str(caught.value).splitlines()
    assert [line.split(": ")[1] for line in lines] == ["one.ipynb"] * 2 + ["two.ipynb"] * 2
    assert not (tmp_path / "out").exists()


def test_scale_that_names_no_notebook_is_refused(tmp_path: Path) -> None:
    path = write_notebook(tmp_path / "a.ipynb")
    (tmp_path / "parameters").mkdir()
    (tmp_path / "parameters" / "quick.yaml").write_text("b.ipynb: {seed: 1}")
    with pytest.raises(ValueError, match=r"quick\.yaml: expected notebook: .*got 'b\.ipynb'"):
        plan_report([path], tmp_path / "out", given={})


def test_impossible_plans_are_refused(tmp_path: Path) -> None:
    one, two = (write_notebook(tmp_path / f"{name}.ipynb") for name in ("one", "two"))
    with pytest.raises(ValueError, match=r"out='x' was given for 2 notebooks"):
        plan_report([one, two], tmp_path / "out", given={"out": "x"})
    with pytest.raises(ValueError, match=r"must differ in name, got \['one'\] twice"):
        plan_report([one, one], tmp_path / "out", given={})
    with pytest.raises(ValueError, match=r"scale must be one of .* got 'huge'"):
        plan_report([one], tmp_path / "out", scale="huge", given={})


def test_given_out_is_used(tmp_path: Path) -> None:
    path = write_notebook(tmp_path / "a.ipynb")
    (job,) = plan_report([path], tmp_path / "out", given={"out": "mine"}).jobs
    assert job.parameters == {"out": "mine"}


@pytest.mark.parametrize("text", ["- a\n- b", "1: 2", "a: [", "word"])
def test_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "given.yaml").write_text(text)
    with pytest.raises(ValueError, match=r"given\.yaml"):
        read_mapping(tmp_path / "given.yaml")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"a: &again [*again]", r"aliases \(\*name\) are not taken"),
        (b"a: &one [1]\nb: *one", r"aliases"),
        ("name: männer".encode("latin-1"), "invalid|unacceptable"),
        (b"a: " + 5000 * b"[", "recursion|while parsing"),
        (b"a: 2026-13-40", "month"),
    ],
)
def test_file_that_cannot_be_taken_is_named(tmp_path: Path, text: bytes, why: str) -> None:
    file = tmp_path / "given.yaml"
    file.write_bytes(text)
    with pytest.raises(ValueError, match=rf"kit report: cannot read .*given\.yaml: (?s:.*)({why})"):
        read_mapping(file)


@pytest.mark.parametrize("text", ["&a [*a]", "[2026-11-21]", "[{a: 1}]", "[[1]]"])
def test_empty_list_takes_what_its_comment_says(notebook: Notebook, text: str) -> None:
    with pytest.raises(ValueError, match=r"names must be a list of str \(default"):
        checked_parameters(notebook, {"names": text})
    assert checked_parameters(notebook, {"others": []}) == {"others": []}


def test_exponent_in_a_list_with_an_empty_default_is_a_float(tmp_path: Path) -> None:
    cell = 'seed = 0\nout = ""\nshares = []  # list of float: of training, validation, test'
    own = read_notebook(write_notebook(tmp_path / "own.ipynb", parameters=cell))
    assert own.defaults["shares"] == []
    assert checked_parameters(own, {"shares": "[8e-1, 1]"}) == {"shares": [0.8, 1.0]}


@pytest.mark.parametrize("content", [b"[]", b"{}", b"", b"\xff", b'{"cells": 1}'])
def test_file_that_is_no_notebook_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "own.ipynb").write_bytes(content)
    with pytest.raises(ValueError, match=r"kit report: .*own\.ipynb is not a notebook to be read"):
        read_notebook(tmp_path / "own.ipynb")


def test_byte_order_mark_is_no_part_of_a_file(tmp_path: Path, notebook: Notebook) -> None:
    own = tmp_path / "own.ipynb"
    own.write_bytes(b"\xef\xbb\xbf" + notebook.path.read_bytes())
    assert read_notebook(own).defaults == notebook.defaults
    (tmp_path / "given.yaml").write_bytes(b"\xef\xbb\xbfseed: 1")
    assert read_mapping(tmp_path / "given.yaml") == {"seed": 1}


def test_empty_file_gives_nothing(tmp_path: Path) -> None:
    (tmp_path / "given.yaml").write_text("# nothing yet\n")
    assert read_mapping(tmp_path / "given.yaml") == {}


def test_notebooks_are_found_in_reading_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kit.reports.notebooks.__file__", str(tmp_path / "a" / "b" / "c.py"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"expected notebooks in .*notebooks, found none"):
        find_notebooks()
    names = ["traps", "itmeetsal/05_train", "itmeetsal/01_one", "amid/02_two", "start_here"]
    for name in [*names, ".ipynb_checkpoints/start_here-checkpoint"]:
        write_notebook(tmp_path / "notebooks" / f"{name}.ipynb")
    found = [
        path.relative_to(tmp_path / "notebooks").with_suffix("").as_posix()
        for path in find_notebooks()
    ]
    assert found == ["amid/02_two", "itmeetsal/01_one", "itmeetsal/05_train", "start_here", "traps"]
    first = "start_here.ipynb: {}\nitmeetsal/05_train.ipynb: {}\nabsent.ipynb: {}\n"
    (tmp_path / "notebooks" / "parameters").mkdir()
    (tmp_path / "notebooks" / "parameters" / "quick.yaml").write_text(first)
    names = [path.relative_to(tmp_path / "notebooks").as_posix() for path in find_notebooks()]
    assert names[:2] == ["start_here.ipynb", "itmeetsal/05_train.ipynb"]
    assert len(names) == 5


def test_new_folder_is_never_one_that_exists(tmp_path: Path) -> None:
    first = new_folder(tmp_path)
    first.mkdir()
    assert new_folder(tmp_path) != first
