"""Pages of a report: made from hand-written executed notebooks; no kernel is started."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from report_notebooks import EVERYTHING

from kit.reports.notebooks import Notebook
from kit.reports.pages import (
    for_reading,
    key_numbers,
    page_link,
    true_here,
    write_index_page,
    write_notebook_page,
)

CONTENTS = tuple(
    Notebook(Path(f"/n/{name}"), name, title, {}, {}, "0")
    for name, title in [
        ("start_here.ipynb", "Start"),
        ("itmeetsal/02_second.ipynb", "Sums < products"),
        ("traps.ipynb", "Traps"),
    ]
)
FIGURE = {
    "data": [{"type": "scatter", "y": [1, 2]}],
    "layout": {},
    "config": {"showSendToCloud": True, "scrollZoom": True},
}


def page(tmp_path: Path, *cells: Any, place: int = 0, error: dict[str, Any] | None = None) -> str:
    write_notebook_page(new_notebook(cells=cells), CONTENTS[place], CONTENTS, error, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [f"{CONTENTS[place].key}.html"]
    return (tmp_path / f"{CONTENTS[place].key}.html").read_text()


def shown(data: dict[str, Any]) -> Any:
    return new_code_cell("x", outputs=[new_output("display_data", data=data)])


def test_formulas_become_mathml_and_code_stays_code(tmp_path: Path) -> None:
    html = page(tmp_path, new_markdown_cell(EVERYTHING))
    assert html.count("<math") == 4
    assert html.count('<div class="formula">') == 2
    assert "price $5 and $6" in html
    assert not re.search(r"\\(mathcal|frac|alpha)", html)


def test_hidden_answer_holds_its_text(tmp_path: Path) -> None:
    html = page(tmp_path, new_markdown_cell(EVERYTHING))
    (inside,) = re.findall(r"<details>.*?</details>", html, re.DOTALL)
    assert "It is <math" in inside


def test_links_lead_to_pages_of_the_report(tmp_path: Path) -> None:
    html = page(tmp_path, new_markdown_cell(EVERYTHING))
    assert '<a href="itmeetsal_02_second.html">the next one</a>' in html
    assert "04_train" not in html
    assert "one that is not here" in html
    assert '<a href="https://example.org/paper">the paper</a>' in html


def test_page_link() -> None:
    keys = {notebook.name: notebook.key for notebook in CONTENTS}
    second = CONTENTS[1]
    assert page_link("../traps.ipynb#jsd", second, keys) == "traps.html#jsd"
    assert page_link("traps.ipynb", second, keys) is None
    assert page_link("#here", second, keys) == "#here"
    assert page_link("https://example.org/a.ipynb", second, keys) == "https://example.org/a.ipynb"


def test_figure_is_drawn_without_the_upload_button(tmp_path: Path) -> None:
    html = page(tmp_path, shown({"application/vnd.plotly.v1+json": FIGURE, "text/html": "old"}))
    assert html.count("Plotly.newPlot") == 1
    assert '"showSendToCloud": false' in html
    assert '"displaylogo": false' in html
    assert '"scrollZoom": true' in html
    assert ">old<" not in html
    assert '<script src="plotly.min.js">' in html


def test_widgets_become_a_note(tmp_path: Path) -> None:
    data = {"application/vnd.jupyter.widget-view+json": {"model_id": "7"}, "text/plain": "IntS()"}
    html = page(tmp_path, shown(data))
    assert "A live control: open the notebook in JupyterLab" in html
    assert "model_id" not in html
    assert "IntS()" not in html


def test_nothing_is_loaded_from_elsewhere(tmp_path: Path) -> None:
    cells = [new_markdown_cell(EVERYTHING), shown({"application/vnd.plotly.v1+json": FIGURE})]
    html = page(tmp_path, *cells)
    assert re.findall(r'<(?:script|img|iframe)[^>]* src="([^"]*)"', html) == ["plotly.min.js"]
    assert "<link" not in html
    assert "@import" not in html


def test_neighbours(tmp_path: Path) -> None:
    html = page(tmp_path, place=1)
    assert html.count('<a href="../index.html">All notebooks</a>') == 2
    assert html.count('<a href="start_here.html">← Start</a>') == 2
    assert html.count('<a href="traps.html">Traps →</a>') == 2
    assert "<title>Sums &lt; products</title>" in html


def test_failure_is_said_once_and_marked(tmp_path: Path) -> None:
    banner = {"tags": ["papermill-error-cell-tag"]}
    error = new_output(
        "error", ename="ValueError", evalue="a < b", traceback=["\x1b[31mred\x1b[0m"]
    )
    cells = [
        new_markdown_cell("<span>An Exception was encountered</span>", metadata=banner),
        new_markdown_cell("<span>stopped:</span>", metadata=banner),
        new_code_cell("fail()", outputs=[error]),
    ]
    told = {"cell": 1, "name": "ValueError", "message": "a < b"}
    html = page(tmp_path, *cells, error=told)
    assert "An Exception was encountered" not in html
    assert html.count('id="stopped"') == 1
    assert "ValueError: a &lt; b" in html
    assert '<span class="ansi-red-fg">red</span>' in html


def test_for_reading_leaves_its_input_alone() -> None:
    executed = new_notebook(cells=[shown({"application/vnd.plotly.v1+json": FIGURE})])
    for_reading(executed)
    assert "application/vnd.plotly.v1+json" in executed.cells[0].outputs[0].data


def test_key_numbers() -> None:
    found = {"a_b": 1.23456, "n": 3, "ok": True, "who": "x" * 41, "list": [1], "in": {"R@1": 2.0}}
    assert key_numbers(found) == [("a b", "1.235"), ("n", "3"), ("ok", "True"), ("in R@1", "2")]
    assert key_numbers(None) == []


@pytest.fixture
def index(tmp_path: Path) -> str:
    results: dict[str, Any] = {f"number_{i}": i for i in range(11)}
    held = {"claim": "a < b", "paper": "+1", "here": "+2.0 (+1.0 to +3.0)", "verdict": "held"}
    open_ = held | {"claim": "c", "verdict": "undecided", "needed": "+1 needs 8 seeds"}
    wrong = held | {"verdict": "surely", "needed": ""}
    results |= {"corpus": "scenes", "claims": [open_, held | {"needed": ""}, wrong, {"claim": 1}]}
    finished = {"state": "finished", "title": "Start", "seconds": 90.0, "error": None}
    finished |= {"headline": ["<table><tr><td>R@1</td></tr></table>"]}
    told = {"cell": 4, "name": "KeyError", "message": "<script>"}
    failed = {"state": "failed", "title": "Two", "seconds": 3.0, "error": told, "results": None}
    outcomes = {
        "start_here.ipynb": finished | {"results": results, "parameters": {"seed": 3}},
        "itmeetsal/02_second.ipynb": failed | {"parameters": {"out": "/o"}},
        "traps.ipynb": {"state": "waiting", "title": "Traps"},
    }
    summary = {"scale": "smoke", "claim": "no claim", "notebooks": outcomes}
    keys = {notebook.name: notebook.key for notebook in CONTENTS}
    write_index_page(tmp_path / "index.html", summary, keys)
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]
    return (tmp_path / "index.html").read_text()


def test_index_shows_every_notebook(index: str) -> None:
    assert "<em>smoke</em>: no claim" in index
    assert '<a href="pages/start_here.html">Start</a>' in index
    assert '<a href="pages/itmeetsal_02_second.ipynb">' in index
    assert re.findall(r'class="card (\w+)"', index) == ["finished", "failed", "waiting"]
    assert "3 notebooks, 1 finished, 1 failed, 1 waiting;" in index
    assert "1.6 min of computing" in index
    assert "pages/traps" not in index


def test_index_shows_what_held_first_and_headline_tables(index: str) -> None:
    assert "1 held, 1 undecided." in index
    rows = re.findall(r"<tr><td>([^<]*)</td><td class=.soft.>", index)
    assert rows == ["a &lt; b", "c"]
    assert '<b class="undecided">undecided</b><br><span class="soft">+1 needs 8 seeds' in index
    assert "<td>R@1</td>" in index
    assert "scenes; seed 3; 1.5 min" in index
    assert index.index("What held") < index.index("Scores") < index.index("Notebooks")


def test_index_shows_numbers_and_errors(index: str) -> None:
    assert len(re.findall('<th scope="row">number', index)) == 11
    assert "Cell 4: <code>KeyError: &lt;script&gt;</code>" in index


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "JaVaScript&#58;alert(1)", "vbscript:x", "data:text/html,hi"]
)
def test_link_that_runs_a_script_leads_nowhere(tmp_path: Path, url: str) -> None:
    html = page(tmp_path, new_markdown_cell(f"[here]({url}) and <b>bold</b>"))
    assert '<a href="#harmful-link">here</a> and <b>bold</b>' in html


def test_html_in_a_latex_output_is_text(tmp_path: Path) -> None:
    html = page(tmp_path, shown({"text/latex": "$x$ <img src=x onerror=alert(1)>"}))
    assert "<mi>x</mi></math> &lt;img" in html
    assert "<img" not in html


@pytest.mark.parametrize(
    "source", ["![seen](a%20picture.png)", '<img src="a picture.png" width="9">']
)
def test_pictures_beside_a_notebook_are_part_of_the_page(tmp_path: Path, source: str) -> None:
    folder, pages = tmp_path / "notebooks", tmp_path / "pages"
    folder.mkdir()
    pages.mkdir()
    (folder / "a picture.png").write_bytes(b"pixels")
    own = Notebook(folder / "own.ipynb", "own.ipynb", "Own", {}, {}, "0")
    notebook = new_notebook(cells=[new_markdown_cell(source)])
    write_notebook_page(notebook, own, [own], None, pages)
    assert 'src="data:image/png;base64,cGl4ZWxz"' in (pages / "own.html").read_text()


@pytest.mark.parametrize("url", ["https://host/picture.png", "/etc/passwd", "missing.png"])
def test_other_files_are_not_part_of_the_page(tmp_path: Path, url: str) -> None:
    assert f'src="{url}"' in page(tmp_path, new_markdown_cell(f"![seen]({url})"))


def test_missing_attachment_is_said(tmp_path: Path) -> None:
    html = page(tmp_path, new_markdown_cell("![seen](attachment:a.png)"))
    assert "seen (the attachment a.png is missing)" in html


def test_names_are_quoted_in_links(tmp_path: Path) -> None:
    names = ["own #1?.ipynb", "50% done.ipynb"]
    both = [Notebook(tmp_path / name, name, name, {}, {}, "0") for name in names]
    link = new_markdown_cell("[next](50%25%20done.ipynb#end)")
    write_notebook_page(new_notebook(cells=[link]), both[0], both, None, tmp_path)
    html = (tmp_path / "own #1?.html").read_text()
    assert html.count('href="50%25%20done.html') == 3  # above, below, in the text
    assert 'href="50%25%20done.html#end"' in html


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, ["always", "defaults", "scenes"]),
        ({"out": "/o", "device": "cuda"}, ["always", "defaults", "scenes"]),
        ({"seed": 1}, ["always", "scenes"]),
        ({"corpus": "mine"}, ["always"]),
        ({"folder": "clips", "corpus": "scenes"}, ["always", "scenes"]),
    ],
)
def test_cells_that_quote_other_values_are_no_part_of_the_page(
    given: dict[str, Any], expected: list[str]
) -> None:
    defaults = {"seed": 0, "out": "", "device": "", "corpus": "scenes", "folder": ""}
    own = Notebook(Path("/n/own.ipynb"), "own.ipynb", "Own", defaults, {}, "0")
    tags = {"always": ["headline"], "defaults": ["only:defaults"], "scenes": ["only:corpus=scenes"]}
    cells = [new_markdown_cell(text, metadata={"tags": tags[text]}) for text in tags]
    executed = new_notebook(cells=cells)
    assert [cell.source for cell in true_here(executed, own, given).cells] == expected
    assert len(executed.cells) == 3  # the executed notebook keeps them all
