"""The few checks that are shared, with one wording: function, what was expected, what came.

Losses also share the rule of spec and paper alike that they are computed in float32 or better:
`full_precision` sees to it, under autocast and for half-precision features.

What an annotation says is checked by `kit.arguments.checked`; here, what it cannot say.
"""

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Sequence, Sized
from functools import wraps
from itertools import combinations
from numbers import Real
from typing import Any, ParamSpec, TypeVar

import numpy as np
import torch
from torch import Tensor

from kit.arguments import checked

P = ParamSpec("P")
R = TypeVar("R")


def full_precision(loss: Callable[P, R]) -> Callable[P, R]:
    """Run a function of tensors outside autocast, with half-precision tensors raised to float32.

    Its arguments are `checked` first. float16 cannot hold the papers' epsilon of 1e-8, and bfloat16
    products blur the hardest triplet.
    """

    def raised(value: Any) -> Any:
        if isinstance(value, Tensor) and value.dtype in (torch.float16, torch.bfloat16):
            return value.float()
        return value

    @wraps(loss)
    def computed(*args: P.args, **kwargs: P.kwargs) -> R:
        tensors = [value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)]
        device = tensors[0].device.type if tensors else "cpu"
        with torch.autocast(device, enabled=False):
            return loss(*map(raised, args), **{name: raised(v) for name, v in kwargs.items()})

    return checked(computed)


def check_matrices(function: str, **matrices: Tensor) -> None:
    """Refuse what is not a non-empty (rows, columns) matrix of floats, or not all of one shape.

    >>> check_matrices("f", image_features=torch.zeros(8, 512), text_features=torch.zeros(8, 256))
    Traceback (most recent call last):
    ValueError: f: image_features (8, 512) and text_features (8, 256) must have the same shape
    """
    shapes = {name: tuple(matrix.shape) for name, matrix in matrices.items()}
    dtypes = {name: matrix.dtype for name, matrix in matrices.items()}
    for name, shape in shapes.items():
        if len(shape) != 2 or 0 in shape:
            raise ValueError(f"{function}: {name} must be a non-empty matrix, got {shape}")
        if not dtypes[name].is_floating_point:
            raise ValueError(f"{function}: {name} must be of a float type, got {dtypes[name]}")
    devices = {name: matrix.device for name, matrix in matrices.items()}
    for what, found in (("shape", shapes), ("type", dtypes), ("device", devices)):
        if len(set(found.values())) > 1:
            listed = " and ".join(f"{name} {value}" for name, value in found.items())
            raise ValueError(f"{function}: {listed} must have the same {what}")


def check_labels(function: str, labels: Tensor, *, rows: int, classes: int | None = None) -> None:
    """Refuse labels that are not (rows,) whole numbers, or, with `classes`, not in 0..classes-1.

    On a GPU the range is left to the loss's own assertion there.

    >>> check_labels("f", torch.tensor([0, 7]), rows=2, classes=5)
    Traceback (most recent call last):
    ValueError: f: labels must lie in 0..4, got 0 to 7
    """
    if labels.ndim != 1 or len(labels) != rows:
        shape = tuple(labels.shape)
        raise ValueError(f"{function}: labels must be of shape ({rows},), one per row, got {shape}")
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise ValueError(f"{function}: labels must be whole numbers, got {labels.dtype}")
    if classes is not None and labels.device.type == "cpu":  # a GPU would be waited for
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high >= classes:
            raise ValueError(
                f"{function}: labels must lie in 0..{classes - 1}, got {low} to {high}"
            )


def check_number(function: str, *, at_least: float | None = None, **values: float) -> None:
    """Refuse a number that is not finite, and one below `at_least`, or not positive without it.

    >>> check_number("f", temperature=0.0)
    Traceback (most recent call last):
    ValueError: f: temperature must be a positive number, got 0.0
    """
    expected = "a positive number" if at_least is None else f"a number of at least {at_least}"
    for name, value in values.items():
        number = isinstance(value, Real) and not isinstance(value, bool)
        enough = number and (value > 0 if at_least is None else value >= at_least)
        if not enough or value == float("inf"):
            raise ValueError(f"{function}: {name} must be {expected}, got {value!r}")


def check_whole(function: str, *, at_least: int, at_most: int | None = None, **values: Any) -> None:
    """Refuse what is no whole number of at least, and with `at_most` at most, so much.

    >>> check_whole("f", at_least=1, epochs=0)
    Traceback (most recent call last):
    ValueError: f: epochs must be a whole number of at least 1, got 0
    """
    for name, value in values.items():
        whole = isinstance(value, int) and not isinstance(value, bool)
        large = whole and at_most is not None and value > at_most
        if not whole or large or value < at_least:
            bound = f"at most {at_most}" if large else f"at least {at_least}"
            raise ValueError(f"{function}: {name} must be a whole number of {bound}, got {value!r}")


def check_choice(function: str, *, among: tuple[str, ...], **values: str) -> None:
    """Refuse a word that is not among the known ones.

    >>> check_choice("f", among=("row", "softmax"), kl_target="rows")
    Traceback (most recent call last):
    ValueError: f: kl_target must be 'row' or 'softmax', got 'rows'
    """
    for name, value in values.items():
        if not isinstance(value, str) or value not in among:
            known = " or ".join(repr(word) for word in among)
            raise ValueError(f"{function}: {name} must be {known}, got {value!r}")


def check_name(function: str, **names: str) -> None:
    """Refuse what cannot be part of a file's name: of a modality, a split, a class.

    >>> check_name("f", modality="../sound")
    Traceback (most recent call last):
    ValueError: f: modality must fit into a file's name, 1 to 100 bytes without slashes, '..', \
control characters or a dot in front, got '../sound'
    """
    for what, name in names.items():
        short = isinstance(name, str) and 0 < len(name.encode(errors="replace")) <= 100
        if not short or name[0] == "." or ".." in name or min(name) < " " or set(name) & set("/\\"):
            raise ValueError(
                f"{function}: {what} must fit into a file's name, 1 to 100 bytes without slashes, "
                f"'..', control characters or a dot in front, got {name!r}"
            )


def check_unique(function: str, **lists: Iterable[object]) -> None:
    """Refuse a list in which something stands twice.

    >>> check_unique("f", ids=["a", "b", "a"])
    Traceback (most recent call last):
    ValueError: f: ids must be unique, got twice: a
    """
    for what, things in lists.items():
        twice = [one for one, times in Counter(things).items() if times > 1]
        if twice:
            raise ValueError(f"{function}: {what} must be unique, got twice: {first_few(twice)}")


def check_lengths(function: str, per: str, count: int, /, **lists: Sized) -> None:
    """Refuse a list that has not one thing per image, caption or clip.

    >>> check_lengths("f", "clip", 4, labels=[0, 1])
    Traceback (most recent call last):
    ValueError: f: expected one of labels per clip (4), got 2
    """
    for what, things in lists.items():
        length = len(things)
        if length != count:
            raise ValueError(
                f"{function}: expected one of {what} per {per} ({count}), got {length}"
            )


def check_disjoint(function: str, what: str, splits: Sequence[tuple[str, Iterable[Any]]]) -> None:
    """Refuse splits, each with its name, that share something.

    >>> check_disjoint("f", "clips", [("train", ["a", "b"]), ("test", ["b"])])
    Traceback (most recent call last):
    ValueError: f: 1 clips are in 'train' and in 'test': b
    """
    for (first, things), (second, others) in combinations(splits, 2):
        shared = sorted(set(things) & set(others), key=str)
        if shared:
            where = f"{len(shared)} {what} are in {first!r} and in {second!r}"
            raise ValueError(f"{function}: {where}: {first_few(shared)}")


def first_few(things: Sequence[object], most: int = 5) -> str:
    """The first few of a list, for a message.

    >>> first_few(["a.jpg", "b.jpg", "c.jpg"], most=2)
    'a.jpg, b.jpg and 1 more'
    """
    shown = ", ".join(str(thing) for thing in things[:most])
    return shown + (f" and {len(things) - most} more" if len(things) > most else "")


def check_kind(function: str, kind: type, **things: object) -> None:
    """Refuse what is not of a class.

    >>> check_kind("f", Tensor, features=[0.5])
    Traceback (most recent call last):
    TypeError: f: features must be a Tensor, got list [0.5]
    """
    for what, thing in things.items():
        if not isinstance(thing, kind):
            found = f"{type(thing).__name__} {thing!r:.99}"
            raise TypeError(f"{function}: {what} must be a {kind.__name__}, got {found}")


def check_list(function: str, kinds: tuple[type, ...], *, at_least: int = 1, **lists: Any) -> None:
    """Refuse what is no list of things of some kinds, such as one text for several, or too short.

    >>> check_list("f", (str,), sentences="a dog")
    Traceback (most recent call last):
    TypeError: f: sentences must be a list of str, got 'a dog'
    """
    for what, things in lists.items():
        words = " or ".join(kind.__name__ for kind in kinds)
        listed = hasattr(things, "__getitem__") and hasattr(things, "__len__")
        if not listed or isinstance(things, (*kinds, str, bytes, dict)):
            raise TypeError(f"{function}: {what} must be a list of {words}, got {things!r:.99}")
        if len(things) < at_least:
            raise ValueError(f"{function}: {what} must be a list of at least one, got none")
        for row in range(len(things)):
            if not isinstance(things[row], kinds):
                raise TypeError(
                    f"{function}: {what} must be a list of {words}, got {things[row]!r:.99} "
                    f"in row {row}"
                )


def as_plain(value: Any) -> Any:
    """A number as Python has it, of a numpy scalar or of an array or tensor without axes.

    >>> as_plain(np.int64(3)), as_plain(torch.tensor(0.5)), as_plain("word")
    (3, 0.5, 'word')
    """
    without_axes = isinstance(value, np.ndarray | Tensor) and value.ndim == 0
    return value.item() if without_axes or isinstance(value, np.generic) else value


def check_fields(config: Any) -> None:
    """Make the numbers of a frozen dataclass plain; refuse fields of another type than the default.

    A field without a default, or with None, may be anything; a float may be given as a whole
    number, and a tuple as any list of what its default holds.

    Raises:
        TypeError: a field of another type, by its name.

    """
    name = type(config).__name__
    for field in dataclasses.fields(config):
        default, value = field.default, as_plain(getattr(config, field.name))
        if isinstance(default, tuple):
            if not isinstance(value, list | tuple | np.ndarray | Tensor):
                raise TypeError(f"{name}: {field.name} must be a list, got {value!r:.99}")
            kinds = default[:1] or (0,)
            value = tuple(_as_kind(name, field.name, kinds[0], one) for one in value)
        elif isinstance(default, bool | int | float | str):
            value = _as_kind(name, field.name, default, value)
        object.__setattr__(config, field.name, value)


def _as_kind(function: str, name: str, default: Any, value: Any) -> Any:
    """A plain value of the type of a default."""
    value, kind = as_plain(value), type(default)
    words = {bool: "True or False", int: "a whole number", float: "a number", str: "text"}
    if kind is int and isinstance(value, float | bool):
        return value  # what is whole, and of what size, `check_whole` says
    fits = type(value) in ((int, float) if kind is float else (kind,))
    if not fits and not (kind is str and isinstance(value, str)):
        raise TypeError(f"{function}: {name} must be {words[kind]}, got {value!r:.99}")
    return value


def as_whole(function: str, *, at_least: int, below: int = 2**63, **values: Any) -> int:
    """A whole number, given as Python's or numpy's, as a plain one.

    >>> as_whole("f", at_least=0, seed=np.int64(3))
    3
    >>> as_whole("f", at_least=0, seed=-1)
    Traceback (most recent call last):
    ValueError: f: seed must be a whole number of at least 0, got -1
    """
    ((name, given),) = values.items()
    value = as_plain(given)
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{function}: {name} must be a whole number, got {given!r:.99}")
    check_whole(function, at_least=at_least, **{name: value})
    if value >= below:
        raise ValueError(f"{function}: {name} must be below {below}, got {value}")
    return value
