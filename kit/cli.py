"""The command line. Each command is one call into a room of the package."""

from __future__ import annotations

import multiprocessing
import signal
from pathlib import Path
from typing import Any

import click


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
@click.argument("notebooks", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "-p",
    "values",
    multiple=True,
    metavar="NAME=VALUE",
    callback=_pairs,
    help="A parameter of every notebook in the report; stronger than the file and the scale.",
)
@click.option(
    "--parameters",
    "file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A YAML file of parameter names and values, for every notebook in the report.",
)
@click.option(
    "--scale",
    type=click.Choice(["smoke", "quick", "paper"]),
    default="quick",
    show_default=True,
    help="How much is computed: notebooks/parameters/SCALE.yaml.",
)
@click.option(
    "--out",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="The report's folder; an unfinished report there is continued. "
    "Default: a new dated folder in reports/.",
)
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
    if the report was refused before anything ran.
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
    except ValueError as error:
        raise Refusal(str(error)) from error
    failed = _say_failures(summary)
    click.echo(plan.folder / "index.html")
    raise SystemExit(1 if failed else 0)


def _end(number: int, _: object) -> None:
    """End with the processes that train: what they have reached goes on when run again."""
    for worker in multiprocessing.active_children():
        worker.terminate()
    raise SystemExit(128 + number)


def _say_failures(summary: dict[str, Any]) -> bool:
    failed = {
        name: o["error"] for name, o in summary["notebooks"].items() if o["state"] == "failed"
    }
    for name, error in failed.items():
        where = "" if error["cell"] is None else f" in cell {error['cell']}"
        click.echo(f"{name} failed{where}: {error['name']}: {error['message']}", err=True)
    return bool(failed)
