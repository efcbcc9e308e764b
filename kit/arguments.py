"""What the annotations of a public function promise, checked before it runs. Needs no torch.

A tensor is a tensor, a number a number, a list of strings no string. Numbers of numpy and tensors
without axes are numbers too: the function gets Python's own.
"""

import reprlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import wraps
from inspect import signature
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Any, Literal, NamedTuple, TypeVar, Union, cast, get_args, get_origin
from typing import get_type_hints as type_hints

import numpy as np
from numpy.typing import ArrayLike

Checked = TypeVar("Checked", bound=Callable[..., Any])
NOT_SO: Any = object()  # what a reader returns of a value of another kind


class Kind(NamedTuple):
    """A kind of argument: its words in a message, and what returns a value of it, or `NOT_SO`."""

    words: str
    read: Callable[[Any], Any]


def checked(function: Checked) -> Checked:
    """Refuse arguments that are not what a function's annotations say, and take numbers as plain.

    A class is checked where it is made. What is annotated otherwise than with tensors, arrays,
    numbers, strings, literals, classes and lists or mappings of them is left alone.

    >>> @checked
    ... def scaled(features: np.ndarray, *, by: float) -> np.ndarray:
    ...     return by * features
    >>> scaled(np.ones(2), by=np.float16(0.5))
    array([0.5, 0.5])
    >>> scaled(np.ones(2), by="0.5")
    Traceback (most recent call last):
    ValueError: scaled: by must be a number, got '0.5'
    """
    if isinstance(function, type):
        type.__setattr__(function, "__init__", checked(function.__init__))  # type: ignore[misc]
        return function
    name = function.__qualname__.rpartition("<locals>.")[2]
    name = name.removesuffix(".__init__").removesuffix(".__call__")
    kinds: dict[str, Kind] = {}
    order: list[str] = []

    def read(argument: str, value: Any) -> Any:
        kind = kinds.get(argument)
        result = value if kind is None else kind.read(value)
        if kind is not None and result is NOT_SO:
            raise ValueError(f"{name}: {argument} must be {kind.words}, got {described(value)}")
        return result

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if not order:  # at the first call, when all that annotations name is there
            hints = type_hints(function)
            kinds.update({key: kind for key, hint in hints.items() if (kind := kind_of(hint))})
            order.extend(signature(function).parameters)
        values = [read(argument, value) for argument, value in zip(order, args, strict=False)]
        named = {argument: read(argument, value) for argument, value in kwargs.items()}
        return function(*values, *args[len(values) :], **named)

    return cast(Checked, call)


def kind_of(hint: Any) -> Kind | None:
    """The kind that an annotation asks for, or None where it is left alone."""
    origin, inner = get_origin(hint) or hint, get_args(hint)
    if origin in (Union, UnionType):
        numbers = ARRAY_LIKE if set(ARRAY_LIKE) <= set(inner) else ()
        kinds = [kind_of(member) for member in inner if member not in numbers]
        return _any_of([*kinds, Kind("numbers", _numbers)] if numbers else kinds)
    if origin is Literal:
        return Kind(" or ".join(map(repr, inner)), lambda value: _choice(value, inner))
    if hint in PLAIN:
        return PLAIN[hint]
    if origin is np.ndarray:
        return Kind("an array", _array)
    if origin in LISTS:
        element = kind_of(inner[0]) if inner else None
        return Kind("a list" + MANY.get(inner[:1], ""), lambda value: _list(value, element))
    if origin is tuple and inner and inner[-1] is not ...:
        parts = [kind_of(one) for one in inner]
        words = f"a list of {len(parts)}" + MANY.get(inner[:1], "").replace(" of", "")
        return Kind(words, lambda value: _tuple(value, parts))
    if origin is Iterable:
        return Kind("iterable", lambda value: value if _iterable(value) else NOT_SO)
    if origin in (Mapping, dict):
        keys, held = (kind_of(one) for one in inner or (Any, Any))
        words = f"a mapping to {held.words}" if held else "a mapping"
        return Kind(words, lambda value: _mapping(value, keys, held))
    if isinstance(hint, type) and f"{hint.__module__}.{hint.__name__}" == "torch.Tensor":
        return Kind("a tensor", _tensor_reader())
    runtime = not getattr(hint, "_is_protocol", False)
    if isinstance(hint, type) and hint not in (object, Any) and runtime:
        article = "an" if hint.__name__[0] in "AEIOU" else "a"
        words = f"{article} {hint.__name__}"
        return Kind(words, lambda value: value if isinstance(value, hint) else NOT_SO)
    return None


def as_array(name: str, argument: str, values: Any) -> np.ndarray[Any, Any]:
    """As numpy has it, also a tensor; or refused where numpy has no array of it."""
    try:
        return values.detach().cpu().numpy() if hasattr(values, "detach") else np.asarray(values)
    except (TypeError, ValueError, RuntimeError):
        found = described(values)
        raise ValueError(f"{name}: {argument} must be an array, got {found}") from None


def described(value: Any) -> str:
    """What came, in few words.

    >>> described([1, 2]), described(np.zeros((2, 3))), described("0.5")
    ('a list [1, 2]', 'a float64 array (2, 3)', "'0.5'")
    """
    kind = type(value).__name__
    if value is None or isinstance(value, str | bytes | int | float | complex | np.generic):
        return reprlib.repr(value)
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        layout = str(getattr(value, "layout", "torch.strided")).removeprefix("torch.")
        where = (
            "meta " if getattr(value, "is_meta", False) else f"{layout} " * (layout != "strided")
        )
        what = {"ndarray": "array", "MaskedArray": "masked array"}.get(kind, kind.lower())
        dtype = str(value.dtype).removeprefix("torch.")
        return f"a {where}{dtype} {what} {tuple(value.shape)}"
    if isinstance(value, list | tuple | dict | set):
        return f"a {kind} {reprlib.repr(value)}"
    return f"an {kind}" if kind[0] in "aeiouAEIOU" else f"a {kind}"


def _any_of(members: list[Kind | None]) -> Kind | None:
    """A value is taken as it is by the first member that knows it; numbers and lists come last."""
    kinds = [kind for kind in members if kind is not None]
    if len(kinds) < len(members):
        return None
    last = (PLAIN[float], PLAIN[int], PLAIN[bool])
    ordered = sorted(kinds, key=lambda kind: (kind in last, kind.words.startswith("a list")))

    def read(value: Any) -> Any:
        for kind in ordered:
            if (result := kind.read(value)) is not NOT_SO:
                return result
        return NOT_SO

    words = dict.fromkeys(kind.words for kind in kinds if kind is not PLAIN[NoneType])
    return Kind(" or ".join(words), read)


def _scalar(value: Any) -> Any:
    """A number of numpy's, or a tensor or array without axes, as Python's; all else as it is."""
    known = getattr(value, "shape", None) == () and not isinstance(value, np.ma.MaskedArray)
    if known and not (getattr(value, "requires_grad", False) or getattr(value, "is_meta", False)):
        return value.item()
    return value


def _number(value: Any) -> Any:
    if type(value) is float:
        return value
    value = _scalar(value)
    if isinstance(value, bool) or not isinstance(value, Real):
        return NOT_SO
    if isinstance(value, int) and abs(value) <= 2**53:  # a float holds it; it stays as it reads
        return value
    try:
        return float(value)
    except OverflowError:
        return NOT_SO


def _whole(value: Any) -> Any:
    value = _scalar(value)
    return int(value) if isinstance(value, Integral) and not isinstance(value, bool) else NOT_SO


def _truth(value: Any) -> Any:
    value = _scalar(value)
    return value if isinstance(value, bool) else NOT_SO


def _choice(value: Any, choices: tuple[Any, ...]) -> Any:
    same = (choice for choice in choices if isinstance(value, type(choice)) and value == choice)
    return next(same, NOT_SO)


def _tensor_reader() -> Callable[[Any], Any]:
    """Dense tensors that hold numbers: none on the meta device."""
    import torch  # it is there: an annotation names its tensors

    def read(value: Any) -> Any:
        held = isinstance(value, torch.Tensor) and not value.is_meta
        return value if held and value.layout is torch.strided else NOT_SO

    return read


def _iterable(value: Any) -> bool:
    """Whether things come one after the other; letters do not count."""
    one = isinstance(value, str | bytes) or getattr(value, "shape", None) == ()
    return isinstance(value, Iterable) and not one


def _array(value: Any) -> Any:
    """Arrays with axes, and what numpy reads as one; a mask would be lost."""
    other = isinstance(value, np.ma.MaskedArray) or hasattr(value, "is_meta")
    if other or getattr(value, "shape", None) == ():
        return NOT_SO
    listed = isinstance(value, list | tuple | range)
    return value if listed or hasattr(value, "__array__") else NOT_SO


def _numbers(value: Any) -> Any:
    """A real number, or an array or nested lists of them; None stands for what is missing."""
    try:
        value = value.detach().cpu().numpy() if hasattr(value, "is_meta") else value
        if _array(value) is NOT_SO:
            return _number(value)
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError):
        return NOT_SO
    if array.dtype.kind == "O":
        return value if all(one is None or isinstance(one, Real) for one in array.flat) else NOT_SO
    return value if array.dtype.kind in "biuf" else NOT_SO


def _tuple(value: Any, parts: list[Kind | None]) -> Any:
    """A list of so many, each of its kind."""
    things = _list(value, None)
    if things is NOT_SO or len(things) != len(parts):
        return NOT_SO
    read = [part.read(one) if part else one for part, one in zip(parts, things, strict=True)]
    return NOT_SO if any(one is NOT_SO for one in read) else tuple(read)


def _mapping(value: Any, keys: Kind | None, held: Kind | None) -> Any:
    """A mapping whose keys and values are all of a kind."""
    if not isinstance(value, Mapping) or (keys and any(keys.read(k) is NOT_SO for k in value)):
        return NOT_SO
    read = {key: held.read(one) for key, one in value.items()} if held else value
    return NOT_SO if any(one is NOT_SO for one in read.values()) else read


def _list(value: Any, element: Kind | None) -> Any:
    """A list whose elements are all of a kind; a vector of numbers is one too."""
    if hasattr(value, "shape"):
        plain = not isinstance(value, np.ma.MaskedArray) and not getattr(value, "is_meta", False)
        rows = list(value) if len(value.shape) > 1 and plain else NOT_SO
        value = value.tolist() if plain and len(value.shape) == 1 else rows
    if not _iterable(value) or not isinstance(value, Collection):
        return NOT_SO
    if element is None:
        return value
    read = [element.read(one) for one in value]
    if any(one is NOT_SO for one in read):
        return NOT_SO
    same = all(one is other for one, other in zip(read, value, strict=True))
    return value if same else tuple(read)


PLAIN: dict[Any, Kind] = {
    float: Kind("a number", _number),
    int: Kind("a whole number", _whole),
    bool: Kind("True or False", _truth),
    str: Kind("a string", lambda value: value if isinstance(value, str) else NOT_SO),
    NoneType: Kind("None", lambda value: value if value is None else NOT_SO),
}
ARRAY_LIKE = get_args(ArrayLike)
LISTS = (Sequence, Collection, list)
MANY = {(float,): " of numbers", (int,): " of whole numbers", (str,): " of strings"}
