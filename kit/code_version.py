"""Which code a result was made with, as a hash that words cannot change."""

import ast
import functools
import hashlib
import importlib
import inspect
import linecache
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any


def code_version(*roots: str | type) -> str:
    """A hash of the code that a run passes through: the roots and all of kit that they import.

    A hash, and not a number that each method declares: nobody has to remember to raise it, and a
    notebook's method has one too. It is taken without docstrings, comments, layout, what `raise`
    says and what only type checkers read, so that words cannot change it.

    Args:
        roots: modules by name, or classes. Of a module that is not in kit its file counts, and what
            that imports of kit. A class that was defined in a notebook counts with its cell, and
            with what that names of kit and of other cells: functions, classes, CONSTANTS.

    Raises:
        ModuleNotFoundError: a module that does not exist.
        ValueError: a class whose source is not known.

    """
    return _version(roots)


@functools.cache  # the code that runs is what was imported, whatever is edited since
def _version(roots: tuple[str | type, ...]) -> str:
    waiting: list[Any] = list(roots)
    for root in roots:
        if isinstance(root, str):
            importlib.import_module(root)
        elif not any(_sources(root)):
            raise ValueError(f"code_version: expected a class whose source is known, got {root!r}")
    texts: dict[str, str] = {}
    while waiting:
        for source, known in _sources(waiting.pop()):
            if source not in texts:
                texts[source], named = _read(source, known)
                waiting += named
    return hashlib.sha256("\n".join(sorted(texts.values())).encode()).hexdigest()[:16]


def _sources(root: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The texts behind a module's name, a class or a function, and what a cell's names stand for.

    A module of kit brings the packages around it, which are imported before it.
    """
    module = root if isinstance(root, str) else root.__module__
    if _in_kit(module):
        place = Path(__file__).parent
        for part in ("", *module.split(".")[1:]):
            place /= part
            for file in (place / "__init__.py", place.with_suffix(".py")):
                if file.is_file():
                    yield file.read_text(encoding="utf-8"), {}
    elif file_name := getattr(sys.modules[module], "__file__", None):
        yield Path(file_name).read_text(encoding="utf-8"), {}
    else:  # a notebook: IPython keeps its cells where tracebacks look for them
        for member in (root, *vars(root).values()):
            function = inspect.unwrap(getattr(member, "__func__", getattr(member, "fget", member)))
            if isinstance(function, FunctionType):
                known = function.__globals__
                if cell := "".join(linecache.getlines(function.__code__.co_filename)):
                    yield cell, known
                    for name in filter(str.isupper, function.__code__.co_names):
                        if isinstance(value := known.get(name), int | float | str):
                            yield f"{name} = {value!r}", {}


def _read(source: str, known: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """A text without what only people and type checkers read; what it names of kit and of cells."""
    tree = ast.parse(source)
    named: list[Any] = []
    for node in ast.walk(tree):
        for _, field in ast.iter_fields(node):
            if isinstance(field, list):
                field[:] = [one for one in field if not _is_words(one)]
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            node.exc = node.exc.func
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            named += [alias.name for alias in node.names if _in_kit(alias.name)]
        elif isinstance(node, ast.ImportFrom) and _in_kit(str(node.module)):
            named += [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Name) and node.id in known:
            value = known[node.id]
            if isinstance(value, ModuleType) and _in_kit(value.__name__):
                named.append(value.__name__)
            elif isinstance(value, type | FunctionType) and (
                _in_kit(value.__module__) or value.__module__ == known["__name__"]
            ):
                named.append(value)
    return ast.unparse(tree), named


def _is_words(node: object) -> bool:
    if isinstance(node, ast.If):
        return ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")
    return isinstance(node, ast.Expr) and isinstance(getattr(node.value, "value", None), str)


def _in_kit(module: str) -> bool:
    return module.partition(".")[0] == "kit"
