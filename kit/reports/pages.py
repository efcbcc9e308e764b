"""Pages that need no network: executed notebooks with live figures and formulas, and the index.

nbconvert's own page asks three hosts for scripts, shows no plotly figure and leaves formulas as
TeX. Here one plotly.js beside the pages draws the figures, and formulas are MathML, which browsers
draw themselves.
"""

from __future__ import annotations

import base64
import mimetypes
import posixpath
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from kit.files import atomic
from kit.reports.notebooks import Notebook

FIGURE = "application/vnd.plotly.v1+json"
WIDGET = "application/vnd.jupyter.widget-view+json"
WIDGET_NOTE = '<p class="note">A live control: open the notebook in JupyterLab to use it.</p>'
# plotly's "Share chart" button would upload the figure.
FIGURE_CONFIG = {"displaylogo": False, "showSendToCloud": False, "responsive": True}
IMAGE = re.compile(r"""(?<=<img src=["'])[^"']+""")
ERROR_TAG = "papermill-error-cell-tag"
WHERE = {"out", "device", "workers"}  # parameters that change no result
STOPPED = '<p id="stopped" class="stopped">The notebook stopped in the next cell.</p>'


def write_plotly(pages: Path) -> None:
    """Put plotly.js beside the pages, once."""
    from plotly.offline import get_plotlyjs

    if not (pages / "plotly.min.js").exists():
        with atomic(pages / "plotly.min.js") as part:
            part.write_text(get_plotlyjs(), encoding="utf-8")


def write_notebook_page(
    executed: Any,
    notebook: Notebook,
    contents: Sequence[Notebook],
    error: Mapping[str, Any] | None,
    pages: Path,
) -> None:
    """Write an executed notebook as `pages/KEY.html`.

    Args:
        executed: the notebook with its outputs (`nbformat`); it is not changed.
        notebook: whose run it is.
        contents: all notebooks of the report in order, for links to the neighbours.
        error: where and why it stopped (cell, name, message); None where it did not.
        pages: the folder that holds plotly.min.js.
    """
    from nbconvert import HTMLExporter
    from pygments.formatters import HtmlFormatter

    place = contents.index(notebook)
    resources = {
        "notebook": notebook,
        "previous": contents[place - 1] if place > 0 else None,
        "following": contents[place + 1] if place + 1 < len(contents) else None,
        "error": error,
        "code_style": HtmlFormatter(style="default").get_style_defs(".highlight"),  # type: ignore[no-untyped-call]
    }
    exporter = HTMLExporter(  # type: ignore[no-untyped-call]
        template_name="basic",
        template_file="page.html.j2",
        extra_loaders=[_templates()],
        exclude_input_prompt=True,
        exclude_output_prompt=True,
        filters={"markdown2html": _markdown(notebook, contents)},
    )
    html, _ = exporter.from_notebook_node(for_reading(executed), resources=resources)
    with atomic(pages / f"{notebook.key}.html") as part:
        part.write_text(html, encoding="utf-8")


def for_reading(executed: Any) -> Any:
    """A copy in which each output is what a browser without a kernel can show.

    Figures become a <div> and the call that draws it, widgets (dead without a kernel) a note, and
    papermill's two banners about an error one line before the failing cell.
    """
    from copy import deepcopy

    import plotly.io

    executed = deepcopy(executed)
    banners = [c for c in executed.cells if ERROR_TAG in c.metadata.get("tags", [])]
    for banner in banners[1:]:
        banner.source = STOPPED
    executed.cells = [cell for cell in executed.cells if cell not in banners[:1]]
    for output in (o for cell in executed.cells for o in cell.get("outputs", [])):
        data = output.get("data", {})
        if FIGURE in data:
            figure = data[FIGURE]
            drawn = plotly.io.to_html(
                {part: figure.get(part, []) for part in ("data", "layout", "frames")},
                config=figure.get("config", {}) | FIGURE_CONFIG,
                include_plotlyjs=False,
                include_mathjax=False,
                full_html=False,
                validate=False,
                auto_play=False,
            )
            output.data = {"text/html": drawn}
        elif WIDGET in data:
            output.data = {"text/html": WIDGET_NOTE}
    return executed


def true_here(executed: Any, notebook: Notebook, values: Mapping[str, Any]) -> Any:
    """A copy without the cells that speak of other values than those of this run.

    A cell tagged ``only:defaults`` quotes what the notebook's own values give; one tagged
    ``only:NAME=VALUE`` speaks of a value of one parameter, such as ``only:corpus=scenes``.

    Args:
        executed: the notebook with its outputs.
        notebook: whose run it is.
        values: what was given, by parameter.
    """
    from copy import copy

    values = {**notebook.defaults, **values}
    changed = {name for name in values if values[name] != notebook.defaults.get(name)} - WHERE
    page = copy(executed)
    page.cells = [
        cell
        for cell in executed.cells
        if all(
            not changed if tag == "only:defaults" else _has_value(tag, values)
            for tag in cell.metadata.get("tags", [])
            if tag.startswith("only:")
        )
    ]
    return page


def _has_value(tag: str, values: Mapping[str, Any]) -> bool:
    name, _, value = tag.removeprefix("only:").partition("=")
    return str(values.get(name)) == value


def _markdown(notebook: Notebook, contents: Sequence[Notebook]) -> Any:
    """A filter from markdown to HTML: formulas as MathML, links to notebooks as links to pages.

    Pictures beside the notebook become part of the page. HTML and scripts that an author wrote into
    a markdown cell stay the author's; a link that would run a script does not.
    """
    from jinja2 import pass_context
    from math_core import LatexToMathML
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

    tex = LatexToMathML(continue_on_error=True)  # a formula with a mistake shows it, in red
    keys = {other.name: other.key for other in contents}

    class Renderer(IPythonRenderer):
        def inline_math(self, body: str) -> str:
            return str(tex.convert_with_local_state(body.strip(), displaystyle=False))

        def block_math(self, body: str) -> str:
            formula = tex.convert_with_local_state(body.strip(), displaystyle=True)
            return f'<div class="formula">{formula}</div>'

        def latex_environment(self, name: str, body: str) -> str:
            return self.block_math(rf"\begin{{{name}}}{body}\end{{{name}}}")

        def link(self, text: str, url: str, title: str | None = None) -> str:
            page = page_link(url, notebook, keys)
            return text if page is None else str(super().link(text, page, title))

        def image(self, text: str, url: str, title: str | None = None) -> str:
            name = url.removeprefix("attachment:")
            if name != url and name not in self.attachments:
                return f"{text} (the attachment {escape(name)} is missing)"
            return str(super().image(text, url, title))

        def _src_to_base64(self, src: str) -> str | None:
            # nbconvert's own takes "%20" for part of a name, and no picture beside the folder.
            kind, _ = mimetypes.guess_type(src)
            file = notebook.path.parent / unquote(src)
            if "://" in src or not (kind or "").startswith("image/") or not file.is_file():
                return None
            return f"data:{kind};base64,{base64.b64encode(file.read_bytes()).decode()}"

        def _html_embed_images(self, html: str) -> str:
            # nbconvert's own closes every tag, and an inline "<b>" comes alone.
            return IMAGE.sub(lambda found: self._src_to_base64(found[0]) or found[0], html)

    @pass_context
    def markdown(context: Any, source: str, plain: bool = False) -> str:
        renderer = Renderer(
            escape=plain,
            allow_harmful_protocols=False,
            embed_images=True,
            attachments=context.get("cell", {}).get("attachments", {}),
        )
        return str(MarkdownWithMath(renderer=renderer).render(source))

    return markdown


def page_link(url: str, notebook: Notebook, keys: Mapping[str, str]) -> str | None:
    """Where a link in a notebook leads in a report; None if to a notebook that is not part of it.

    Args:
        url: as written in `notebook`, such as "../amid/04_train.ipynb#loss" or a web address.
        notebook: in which it stands.
        keys: page names by notebook name.
    """
    path, mark, anchor = url.partition("#")
    if "://" in url or not path.endswith(".ipynb"):
        return url
    name = posixpath.normpath(posixpath.join(posixpath.dirname(notebook.name), unquote(path)))
    return f"{quote(keys[name])}.html{mark}{anchor}" if name in keys else None


def write_index_page(file: Path, summary: Mapping[str, Any], keys: Mapping[str, str]) -> None:
    """Write the page a reader opens: what held, the headline tables, a card for each notebook.

    A notebook's headline is what its cells tagged so show; its claims stand in its result.json as
    a list of mappings: claim, paper, here, verdict, needed.

    Args:
        file: where it goes, above `pages/`.
        summary: scale, claim and outcomes by notebook, as in summary.json.
        keys: page names by notebook name.
    """
    from jinja2 import Environment

    outcomes = summary["notebooks"].values()
    claims = {name: _claims(outcome) for name, outcome in summary["notebooks"].items()}
    environment = Environment(loader=_templates(), autoescape=True, trim_blocks=True)
    html = environment.get_template("index.html.j2").render(
        summary=summary,
        keys=keys,
        claims={name: listed for name, listed in claims.items() if listed},
        verdicts=Counter(one["verdict"] for listed in claims.values() for one in listed),
        states=Counter(outcome["state"] for outcome in outcomes),
        seconds=sum(outcome.get("seconds", 0.0) for outcome in outcomes),
        key_numbers=key_numbers,
        duration=duration,
    )
    with atomic(file) as part:
        part.write_text(html, encoding="utf-8")


def _claims(outcome: Mapping[str, Any]) -> list[dict[str, str]]:
    """A notebook's claims: what was decided first, and of that what held."""
    results = outcome.get("results")
    listed = results.get("claims", []) if isinstance(results, dict) else []
    order = ("held", "not held", "undecided", "one seed, no claim")
    parts = ("claim", "paper", "here", "verdict", "needed")
    whole = [one for one in listed if isinstance(one, dict) and set(parts) <= set(one)]
    known = [one for one in whole if one["verdict"] in order]
    return sorted(known, key=lambda one: order.index(one["verdict"]))


def key_numbers(results: Any, above: str = "") -> list[tuple[str, str]]:
    """The numbers and short texts of a result.json as (name, text), those of inner mappings too.

    >>> key_numbers({"image_to_text": {"R@1": 27.0512}, "epochs": 8, "curve": [1, 2]})
    [('image to text R@1', '27.05'), ('epochs', '8')]
    """
    if isinstance(results, dict):
        inner = (key_numbers(value, f"{above} {key}".strip()) for key, value in results.items())
        return [pair for pairs in inner for pair in pairs]
    name = above.replace("_", " ")
    if isinstance(results, float):
        return [(name, f"{results:.4g}")]
    if isinstance(results, bool | int) or (isinstance(results, str) and len(results) <= 40):
        return [(name, str(results))]
    return []


def duration(seconds: float) -> str:
    """Seconds as one reads them.

    >>> duration(3.2), duration(100)
    ('3 s', '1.7 min')
    """
    return f"{seconds:.0f} s" if seconds < 60 else f"{seconds / 60:.1f} min"


def _templates() -> Any:
    from jinja2 import FileSystemLoader

    return FileSystemLoader(Path(__file__).parent / "templates")
