"""What networks that are trained have in common: LeakyReLU, nothing in place, gradients all over.

Which activations are called is seen in the forward pass, whatever the modules say.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

# As torch calls them within; a name that ends with _ writes over its input.
RECTIFIERS = {
    name + place
    for name in ("relu", "relu6", "clamp_min", "threshold", "hardtanh", "leaky_relu", "elu", "gelu")
    for place in ("", "_")
}


class _Calls(TorchDispatchMode):
    """Notes the name of every operation."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        self.names.add(func.__name__.partition(".")[0])
        return func(*args, **(kwargs or {}))


def rectifiers_called(network: nn.Module, *inputs: Tensor) -> set[str]:
    """Return the rectifiers that a forward pass calls."""
    with _Calls() as calls:
        network(*inputs)
    return calls.names & RECTIFIERS


def check_only_leaky(network: nn.Module, *inputs: Tensor) -> None:
    """LeakyReLU(0.01) and no other, in the module tree and in use; inputs are not written to."""
    for module in network.modules():
        assert not isinstance(module, nn.ReLU | nn.ReLU6 | nn.Hardtanh), module
        assert not getattr(module, "inplace", False), module
        assert not isinstance(module, nn.LeakyReLU) or module.negative_slope == 0.01, module
    copies = [one.clone() for one in inputs]
    assert rectifiers_called(network, *inputs) == {"leaky_relu"}
    assert all(torch.equal(one, copy) for one, copy in zip(inputs, copies, strict=True))


def check_all_parameters_learn(network: nn.Module, *inputs: Tensor) -> None:
    """A gradient that is finite, and not zero all over, reaches every parameter."""
    features = network(*inputs)
    weights = torch.linspace(-1, 2, features.numel()).view_as(features)
    (features * weights).sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name
