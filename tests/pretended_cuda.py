"""CUDA's faults found on a CPU: tensors wear a device label, and every torch call checks labels.

    with PretendedCuda() as gpu:
        ...  # what is tested, with device="cuda"
    gpu.mixes  # (where, function): it would raise on a GPU
    gpu.waits  # how often each (where, function) makes the CPU wait for the GPU

A label is an attribute of a tensor; values, autograd, optimizers and checkpoints are real. What
happens inside one C++ call is not seen.
"""

from __future__ import annotations

import contextlib
import traceback
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten, tree_map

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)
_LOOKS = "item tolist __bool__ __int__ __float__ __index__ nonzero unique masked_select equal"
WAITS = {*_LOOKS.split(), "allclose"}
NUMPY = {"numpy", "__array__", "__dlpack__"}
INDEXING = {"__getitem__", "__setitem__", "index_put", "index_put_"}  # a CPU index is copied
LISTS = {"cat", "stack", "concat", "vstack", "hstack"}  # here not even a CPU scalar is allowed
# These take tensors of both places, or only look at them.
_BOTH = "copy_ to cpu cuda type __get__ __set__ lstm load_state_dict backward grad"
_PACKING = {"_pack_padded_sequence", "_pad_packed_sequence"}
EITHER = {*_BOTH.split(), *_PACKING, "_has_compatible_shallow_copy_type"}


def place(tensor: Tensor) -> torch.device:
    found: torch.device = getattr(tensor, "_pretended", CPU)
    return found


def put(value: Any, device: torch.device) -> Any:
    if isinstance(value, Tensor):
        value._pretended = device  # type: ignore[attr-defined]
    return value


class PretendedCuda(TorchFunctionMode):
    """While it is entered, "cuda" is the CPU with a label.

    Args:
        package: a piece of the paths of the code under test; the innermost of its lines is named.

    """

    def __init__(self, package: str = "/kit/") -> None:
        super().__init__()
        self.package = package
        self.mixes = Counter[tuple[str, str]]()
        self.waits = Counter[tuple[str, str]]()

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs, name = dict(kwargs or {}), getattr(func, "__name__", str(func))
        owner = getattr(func, "__self__", None)
        attribute = getattr(owner, "__name__", "") if name in ("__get__", "__set__") else ""
        if name == "_parse_to":  # Module.to reads its arguments with it
            return func(*args, **kwargs)
        if attribute == "device":
            return place(args[0])
        if attribute == "is_cuda":
            return place(args[0]).type == "cuda"
        given = tree_flatten((args, kwargs))[0]
        tensors = [one for one in given if isinstance(one, Tensor)]
        wanted = _wanted(name, given)
        on_gpu = CUDA in map(place, tensors)
        if on_gpu:
            self._note(name, args, tensors, wanted)
        if name == "cuda":
            func, args = Tensor.to, (args[0], CPU)
        known = {id(tensor) for tensor in tensors}
        out = func(*tree_map(_real, args), **tree_map(_real, kwargs))
        target = wanted or (CUDA if on_gpu and name not in ("tolist", "numpy") else CPU)
        if wanted and isinstance(out, Tensor) and id(out) in known and place(out) != target:
            out = out.clone()  # a GPU would have copied
        tree_map(lambda one: put(one, target) if id(one) not in known else one, out)
        if name in _PACKING:
            put(out[1], CPU)  # batch sizes, lengths
        if attribute == "data" and name == "__set__":
            put(args[0], place(args[1]))
        return out

    def _note(
        self, name: str, args: Any, tensors: list[Tensor], wanted: torch.device | None
    ) -> None:
        masked = any(tensor.dtype == torch.bool for tensor in tensors[1:])
        if name in WAITS or (name == "__getitem__" and masked):
            self.waits[self._where(), name] += 1
        if wanted == CPU and name in ("to", "cpu"):
            self.waits[self._where(), name] += 1
        if name in NUMPY:
            self.mixes[self._where(), name] += 1
        if wanted is None and name not in EITHER:
            away = [t for t in tensors if place(t) == CPU and (t.ndim or name in LISTS)]
            if away and not (name in INDEXING and place(args[0]) == CUDA):
                self.mixes[self._where(), name] += 1

    def _where(self) -> str:
        """The innermost line of the code under test."""
        for frame in reversed(traceback.extract_stack()):
            if self.package in frame.filename and frame.filename != __file__:
                return f"{frame.filename.split(self.package)[-1]}:{frame.lineno}"
        return "elsewhere"

    def __enter__(self) -> PretendedCuda:
        real = torch.autocast

        class Autocast(real):  # type: ignore[misc, valid-type]
            def __init__(self, device_type: str, *args: Any, **kwargs: Any) -> None:
                super().__init__("cpu", *args, **kwargs)

        self._patches = contextlib.ExitStack()
        for target, value in (
            ("torch.autocast", Autocast),
            ("torch.nn.RNNBase.flatten_parameters", lambda network: None),
            ("torch.cuda.get_device_name", lambda device=None: "pretended"),
            ("torch.cuda.get_rng_state", lambda device=None: torch.get_rng_state()),
            ("torch.cuda.set_rng_state", lambda state, device=None: None),
        ):
            self._patches.enter_context(mock.patch(target, value))
        super().__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, trace)
        self._patches.close()


def _device(value: Any) -> torch.device | None:
    if not isinstance(value, str | torch.device):
        return None
    try:
        kind = torch.device(value).type
    except RuntimeError:
        return None
    return {"cuda": CUDA, "cpu": CPU}.get(kind)


def _wanted(name: str, given: list[Any]) -> torch.device | None:
    """Where the result is asked to be."""
    named = {"cpu": CPU, "cuda": CUDA}.get(name)
    return named or next((device for one in given if (device := _device(one))), None)


def _real(value: Any) -> Any:
    """An argument as the CPU takes it."""
    if _device(value) != CUDA:
        return value
    return "cpu" if isinstance(value, str) else CPU
