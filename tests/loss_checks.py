"""What the losses of both papers promise alike, checked on one loss and one batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

# Labels of seven samples; tests take the first few where that is enough.
PATTERNS = {
    "equal": [4, 4, 4, 4, 4, 4, 4],
    "distinct": [3, 8, 0, 5, 1, 7, 2],
    "mixed": [1, 1, 6, 2, 6, 1, 2],
    "singleton": [5, 5, 5, 2, 5, 0, 5],
}
PRODUCTS = {"mm", "addmm", "bmm", "baddbmm", "mv", "matmul", "linear", "einsum"}


def with_gradient(batch: Any) -> Any:
    """Return the same numbers as leaves that collect gradients; labels come last and stay."""
    return type(batch)(*(leaf.clone().requires_grad_() for leaf in batch[:-1]), batch.labels)


def gradients(batch: Any) -> dict[str, Tensor]:
    """Return what a backward pass left on the leaves that took part."""
    slopes = {name: getattr(batch, name).grad for name in batch._fields[:-1]}
    return {name: slope for name, slope in slopes.items() if slope is not None}


def check_gradient_is_the_slope(loss: Callable[[Any], Tensor], batch: Any) -> None:
    def of_leaves(*leaves: Tensor) -> Tensor:
        # the sum keeps leaves that a loss does not use in the graph, with slope 0
        unused = sum(0.0 * leaf.sum() for leaf in leaves)
        return loss(type(batch)(*leaves, batch.labels)) + unused

    assert torch.autograd.gradcheck(of_leaves, with_gradient(batch)[:-1])


def check_half_precision_is_computed_in_float32(loss: Callable[[Any], Tensor], half: Any) -> None:
    single = type(half)(*(each.float() for each in half[:-1]), half.labels)
    result, leaves = loss(half), with_gradient(half)
    assert result.dtype == torch.float32
    torch.testing.assert_close(result, loss(single), rtol=1e-6, atol=1e-6)
    loss(leaves).backward()
    assert all(slope.isfinite().all() for slope in gradients(leaves).values())


class Ledger(TorchDispatchMode):
    """Note every matrix product, and the largest tensor that any operation returns."""

    def __init__(self) -> None:
        super().__init__()
        self.products = 0
        self.largest = 0

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        self.products += func.overloadpacket.__name__ in PRODUCTS
        for each in result if isinstance(result, tuple | list) else (result,):
            if isinstance(each, Tensor):
                self.largest = max(self.largest, each.numel())
        return result
