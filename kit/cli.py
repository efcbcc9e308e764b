"""The command line. Each command is one call into a room of the package."""

from __future__ import annotations

import multiprocessing
import signal
from pathlib import Path

import click

PATH = click.Path(path_type=Path)
SCALES = click.Choice(["smoke", "quick", "paper"])
HELP = {
    "p": "A parameter of every notebook in the report; stronger than the file and the scale.",
    "parameters": "A YAML file of parameter names and values, for every notebook in the report.",
    "scale": "How much is computed: notebooks/parameters/SCALE.yaml.",
    "out": "The report's folder; an unfinished report there is continued. "
    "Default: a new dated folder in reports/.",
}


@click.group()
def main() -> None:
    """Crossmodal Kit: two papers on cross-modal learning, as notebooks on one thin package."""


class Refusal(click.ClickException):
    """What was asked for cannot be done; nothing ran."""

    exit_code = 2


def _pairs(
    context: click.Context, option: click.Parameter, texts: tuple[str, ...]
) -> dict[str, str]:
    """NAME=VALUE texts as a mapping; the last of one name holds."""
    for text in texts:
        if not text.partition("=")[0].isidentifier() or "=" not in text:
            raise click.BadParameter(f"expected NAME=VALUE, got {text!r}")
    return dict(text.split("=", 1) for text in texts)


@main.command()
@click.argument("notebooks", nargs=-1, type=PATH)
@click.option("-p", "values", multiple=True, metavar="NAME=VALUE", callback=_pairs, help=HELP["p"])
@click.option("--parameters", "file", type=PATH, metavar="FILE", help=HELP["parameters"])
@click.option("--scale", type=SCALES, default="quick", show_default=True, help=HELP["scale"])
@click.option("--out", "folder", type=PATH, metavar="DIR", help=HELP["out"])
@click.option("--again", is_flag=True, help="Run all notebooks of the report in DIR anew.")
def report(
    notebooks: tuple[Path, ...],
    values: dict[str, str],
    file: Path | None,
    scale: str,
    folder: Path | None,
    again: bool,
) -> None:
    """Run NOTEBOOKS (default: all) and write a report that opens offline.

    The last line printed is the path of its index.html. Ends with 1 if a notebook failed, with 2
    if the report was refused before anything ran, or its folder cannot be written.
    """
    from kit import reports

    signal.signal(signal.SIGTERM, _end)
    try:
        plan = reports.plan_report(
            notebooks or reports.find_notebooks(),
            folder or reports.new_folder(Path("reports")),
            scale=scale,
            given=(reports.read_mapping(file) if file else {}) | values,
        )
        summary = reports.make_report(plan, again=again)
    except OSError as error:
        raise Refusal(f"kit report: {error.filename}: {error.strerror}") from error
    except (ValueError, RuntimeError) as error:
        raise Refusal(str(error)) from error
    failed = {n: o["error"] for n, o in summary["notebooks"].items() if o["state"] == "failed"}
    for name, stopped in failed.items():
        where = "" if stopped["cell"] is None else f" in cell {stopped['cell']}"
        click.echo(f"{name} failed{where}: {stopped['name']}: {stopped['message']}", err=True)
    click.echo(plan.folder / "index.html")
    raise SystemExit(1 if failed else 0)


def _end(number: int, _: object) -> None:
    """End with the processes that train: what they have reached goes on when run again."""
    for worker in multiprocessing.active_children():
        worker.terminate()
    raise SystemExit(128 + number)
