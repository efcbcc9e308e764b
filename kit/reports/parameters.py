"""Values for a notebook's parameters, checked against the defaults in its parameters cell.

papermill injects whatever it is given: an unknown name is a warning there, and YAML reads `1e-3` as
a string. So a report checks names and types itself, before anything runs.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from typing import Any

from kit.reports.notebooks import Notebook, plain_yaml


def checked_parameters(notebook: Notebook, given: Mapping[str, Any]) -> dict[str, Any]:
    """Bring values to the types of the notebook's own defaults.

    Args:
        notebook: whose parameters they are.
        given: values by name; text (from the command line) is read as the type of the default.

    Returns:
        The same names with values of the right type.

    Raises:
        ValueError: a line for each unknown name and each value of another type.
    """
    values, refused = {}, []
    for name, value in given.items():
        try:
            values[name] = as_type(value, notebook.examples[name])
        except KeyError:
            refused.append(_unknown(notebook, name))
        except ValueError:
            default = notebook.defaults[name]
            refused.append(
                f"kit report: {notebook.name}: parameter {name} must be "
                f"{described(notebook.examples[name])} "
                f"(default {default!r}), got {value!r}"
            )
    if refused:
        raise ValueError("\n".join(refused))
    return values


def _unknown(notebook: Notebook, name: str) -> str:
    close = difflib.get_close_matches(name, notebook.defaults, n=1)
    guess = f"; did you mean {close[0]!r}?" if close else "."
    known = ", ".join(notebook.defaults)
    return f"kit report: {notebook.name}: unknown parameter {name!r}{guess} Known: {known}"


def described(default: Any) -> str:
    """The type of a default in words.

    >>> described([1, 5, 10]), described(1e-3)
    ('a list of int', 'float')
    """
    if isinstance(default, list) and default:
        return f"a list of {described(default[0])}"
    if isinstance(default, list):
        return "left empty: no comment 'list of float: ...' behind it says what goes in"
    return type(default).__name__


def as_type(value: Any, default: Any) -> Any:
    """`value` as the type of `default`; text is parsed, nothing else is converted but int to float.

    A list takes its elements' type from the first element of its default; as text it is written
    as in YAML, `[1, 5, 10]`. Where the default is empty, only an empty one is taken.

    Raises:
        ValueError: it is of another type, or a float that is not finite.

    >>> as_type("1e-3", 0.1), as_type("true", False), as_type("[1, 5]", [10])
    (0.001, True, [1, 5])
    """
    kind = type(default)
    if kind is list:
        return _as_list(value, default)
    if kind is bool and isinstance(value, str):
        value = {"true": True, "false": False}.get(value.lower())
    elif kind in (int, float) and isinstance(value, str):
        value = kind(value)
    elif kind is float and type(value) is int:
        value = float(value)
    # `type is`, not isinstance: True is an int to Python, but not a number of epochs.
    if type(value) is not kind or (kind is float and not math.isfinite(value)):
        raise ValueError(f"as_type: expected {kind.__name__}, got {value!r}")
    return value


def _as_list(value: Any, default: list[Any]) -> list[Any]:
    if isinstance(value, str):
        value = plain_yaml(value)
    if not isinstance(value, list) or (value and not default):
        raise ValueError(f"as_type: expected a list of elements of a known type, got {value!r}")
    return [as_type(element, default[0]) for element in value]
