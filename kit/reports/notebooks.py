"""What a report knows of a notebook before it runs: its name, its title and its parameters cell."""

from __future__ import annotations

import ast
import codecs
import hashlib
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

KINDS = (bool, int, float, str, list)
# The comment behind an empty list says what goes into it: "shares = []  # list of float: ...".
ELEMENTS = {"bool": False, "int": 0, "float": 0.0, "str": ""}
EMPTY_LIST = re.compile(r"^(\w+)\s*=\s*\[\s*\]\s*#\s*list of (bool|int|float|str)\b", re.MULTILINE)


@dataclass(frozen=True)
class Notebook:
    """One notebook as it stands on disk."""

    path: Path  # absolute
    name: str  # below its notebooks folder, such as "itmeetsal/05_train.ipynb"
    title: str  # its first heading
    defaults: dict[str, Any]  # the parameters cell
    examples: dict[str, Any]  # the same, an empty list with one element of the type it takes
    digest: str  # hash of the file: a changed notebook is run again

    @property
    def key(self) -> str:
        """The name its files have in a report, such as "itmeetsal_05_train"."""
        return self.name.removesuffix(".ipynb").replace("/", "_")


def find_notebooks() -> list[Path]:
    """Every notebook of the repository, in reading order: as `parameters/quick.yaml` names them.

    Others come after, by folder and number. The folder `notebooks/` is looked for beside the
    package, then in the current directory.

    Raises:
        ValueError: there is none.
    """
    folders = [Path(__file__).resolve().parents[2] / "notebooks", Path.cwd() / "notebooks"]
    for folder in folders:
        scale = folder / "parameters" / "quick.yaml"
        order = list(read_mapping(scale)) if scale.is_file() else []
        names = [path.relative_to(folder) for path in folder.rglob("*.ipynb")]
        shown = [name.as_posix() for name in names if not any(n[0] == "." for n in name.parts)]
        if shown:
            known = [name for name in order if name in shown]
            others = sorted(set(shown) - set(known), key=lambda name: ("/" not in name, name))
            return [folder / name for name in (*known, *others)]
    looked = " or ".join(str(folder) for folder in folders)
    raise ValueError(f"kit report: expected notebooks in {looked}, found none; name the notebooks")


def notebooks_folder(path: Path) -> Path:
    """Where a notebook is named from: the nearest folder above with a `parameters/`, or its own."""
    return next((f for f in path.parents if (f / "parameters").is_dir()), path.parent)


def read_notebook(path: Path) -> Notebook:
    """Read a notebook's title and parameters cell; nothing is run.

    Raises:
        ValueError: no such file, not a notebook, not exactly one parameters cell, or one that holds
            anything but plain literals, or lacks `seed` or `out`.
    """
    import nbformat

    try:
        path = path.expanduser().resolve(strict=True)
        content = path.read_bytes().removeprefix(codecs.BOM_UTF8)
        if not content.lstrip().startswith(b"{") or b'"cells"' not in content:
            raise ValueError("expected JSON with cells")
        cells = nbformat.reads(content.decode(), as_version=4).cells  # type: ignore[no-untyped-call]
    except Exception as error:  # of links in a circle a RuntimeError, and more
        raise ValueError(f"kit report: {path} is not a notebook to be read: {error}") from error
    name = path.relative_to(notebooks_folder(path)).as_posix()
    sources = [c.source for c in cells if "parameters" in c.metadata.get("tags", [])]
    if len(sources) != 1:
        raise ValueError(
            f"kit report: {name}: expected one cell tagged 'parameters', found {len(sources)}"
        )
    title = _first_heading([c.source for c in cells if c.cell_type == "markdown"])
    digest = hashlib.sha256(content).hexdigest()[:16]
    defaults = parameter_defaults(sources[0], name)
    examples = defaults | {one: [ELEMENTS[kind]] for one, kind in EMPTY_LIST.findall(sources[0])}
    return Notebook(path, name, title or path.stem, defaults, examples, digest)


def parameter_defaults(source: str, name: str) -> dict[str, Any]:
    r"""The parameters of a cell of plain literals, one assignment each.

    >>> parameter_defaults("seed = 0  # of everything random\nout = ''", "a.ipynb")
    {'seed': 0, 'out': ''}
    """
    defaults: dict[str, Any] = {}
    try:
        for line in ast.parse(source).body:
            target = line.targets[0] if isinstance(line, ast.Assign) else getattr(line, "target", 0)
            value = ast.literal_eval(getattr(line, "value", None) or "")
            if not isinstance(target, ast.Name) or type(value) not in KINDS:
                raise ValueError(ast.unparse(line))
            defaults[target.id] = value
    except (ValueError, SyntaxError) as error:
        raise ValueError(
            f"kit report: {name}: its parameters cell must hold plain literals "
            f"(bool, int, float, str, list), one per line; got {error}"
        ) from error
    if missing := {"seed", "out"} - defaults.keys():
        raise ValueError(f"kit report: {name}: its parameters cell lacks {sorted(missing)}")
    return defaults


def _first_heading(texts: list[str]) -> str | None:
    lines = (line for text in texts for line in text.splitlines())
    return next((line.lstrip("# ").rstrip() for line in lines if line.startswith("#")), None)


def scale_parameters(path: Path, scale: str) -> tuple[dict[str, Any], float | None]:
    """What `parameters/SCALE.yaml` beside the notebooks says for one: values, and minutes it takes.

    ({}, None) where it is silent. A notebook that belongs to no notebooks folder has no scale: it
    runs with its own defaults.

    Raises:
        ValueError: the file is missing, or speaks of a notebook that does not exist.
    """
    folder = notebooks_folder(path)
    if not (folder / "parameters").is_dir():
        return {}, None
    file = folder / "parameters" / f"{scale}.yaml"
    by_notebook = read_mapping(file)
    minutes = by_notebook.pop("minutes", None) or {}
    for part, kind in ((by_notebook, dict | None), (minutes, int | float)):
        for name, values in part.items():
            if not (folder / name).is_file() or not isinstance(values, kind):
                raise ValueError(
                    f"kit report: {file}: expected notebook: {{parameter: value}}, or a number "
                    f"among minutes, with a notebook of {folder}; got {name!r}: {values!r}"
                )
    name = path.relative_to(folder).as_posix()
    return dict(by_notebook.get(name) or {}), minutes.get(name)


def read_mapping(file: Path) -> dict[str, Any]:
    """Read a YAML file of names and values.

    Raises:
        ValueError: it is missing, not YAML, or not a mapping.
    """
    try:
        mapping = plain_yaml(file.expanduser().read_bytes())
    except (OSError, ValueError) as error:
        raise ValueError(f"kit report: cannot read {file}: {error}") from error
    if mapping is None:
        return {}
    if not isinstance(mapping, dict) or not all(isinstance(name, str) for name in mapping):
        raise ValueError(f"kit report: {file}: expected a mapping of names to values")
    return mapping


def plain_yaml(text: bytes | str) -> Any:
    """What a YAML text says; without aliases, which could contain themselves.

    Raises:
        ValueError: it is not YAML, holds an alias, or is nested beyond Python's depth.
    """
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader)):
            raise ValueError("aliases (*name) are not taken")
        return yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(str(error)) from error


def new_folder(parent: Path) -> Path:
    """A dated folder below `parent` that does not exist yet, such as reports/2026-11-21_1430."""
    stem = time.strftime("%Y-%m-%d_%H%M")
    names = [stem, *(f"{stem}_{number}" for number in range(2, 100))]
    return next(parent / name for name in names if not (parent / name).exists())
