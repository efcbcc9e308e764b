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
from typing import Any, ParamSpec, TypeVar, get_args, get_origin, get_type_hints

import torch
from torch import Tensor

from kit.arguments import NOT_SO, PLAIN, checked, described, kind_of

P = ParamSpec("P")
R = TypeVar("R")
LARGEST = 1e15  # number that is taken for a margin, a weight, a temperature


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

    Also beyond `LARGEST`, or positive and below its inverse: products with it, or its square, would
    be infinite or zero in float32.

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
        if value > LARGEST or (at_least is None and value < 1 / LARGEST):
            least = 1 / LARGEST if at_least is None else at_least
            bounds = f"a number from {least:g} to {LARGEST:g}"
            raise ValueError(f"{function}: {name} must be {bounds}, got {value!r}")


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


def check_fields(config: Any) -> None:
    """Refuse fields of a frozen dataclass that are not as annotated, and make its numbers plain.

    A tuple may be given as any list. A number where a whole one belongs is left to `check_whole`.

    Raises:
        ValueError: a field of another kind, by its name.

    """
    name, hints = type(config).__name__, get_type_hints(type(config))
    for field in dataclasses.fields(config):
        hint, value = hints[field.name], getattr(config, field.name)
        listed = get_origin(hint) is tuple
        kind = kind_of(Sequence[get_args(hint)[0]] if listed else hint)  # type: ignore[misc]
        read = value if kind is None else kind.read(value)
        if kind is not None and read is NOT_SO:
            if kind is not PLAIN[int] or not isinstance(value, float | bool):
                got = described(value)
                raise ValueError(f"{name}: {field.name} must be {kind.words}, got {got}")
            read = value
        object.__setattr__(config, field.name, tuple(read) if listed else read)
