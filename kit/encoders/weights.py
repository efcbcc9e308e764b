"""Pre-trained weights from a file into a network, and a word on what was loaded and what not."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from kit.checks import first_few


@dataclass(frozen=True)
class LoadedWeights:
    """What came of loading weights: where from, the keys loaded, and those that were left over.

    >>> print(LoadedWeights("resnet.pth", ("conv1.weight",), ("fc.bias", "fc.weight")))
    resnet.pth: 1 tensors loaded, left over: fc.bias, fc.weight
    """

    source: str
    loaded: tuple[str, ...]
    unexpected: tuple[str, ...]

    def __str__(self) -> str:
        left_over = first_few(self.unexpected) or "none"
        return f"{self.source}: {len(self.loaded)} tensors loaded, left over: {left_over}"


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """The state dict in a ``.safetensors`` file or a torch file.

    Torch files are read with ``weights_only=True``, so that nothing in them is executed; a state
    dict may lie under the key ``state_dict`` or ``model``.

    Raises:
        ValueError: no such file, or a file that holds no state dict of tensors.

    """
    path = Path(path)
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, ValueError, RuntimeError, SafetensorError, UnpicklingError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ValueError(
            f"read_weights: {path}: expected a .safetensors or torch file of weights, got {reason}"
        ) from error
    for wrapper in ("state_dict", "model"):  # where training scripts put it
        if isinstance(state, Mapping) and isinstance(state.get(wrapper), Mapping):
            state = state[wrapper]
    if not isinstance(state, Mapping) or not state:
        raise ValueError(f"read_weights: {path}: expected tensors by name, got {state!r:.99}")
    others = [str(key) for key, value in state.items() if not isinstance(value, Tensor)]
    if others:
        raise ValueError(f"read_weights: {path}: expected tensors only, got {first_few(others)}")
    return dict(state)


def load_weights(network: nn.Module, state: Mapping[str, Tensor], *, source: str) -> LoadedWeights:
    """Copy a state dict into a network; every tensor of the network must be there, in its shape.

    Keys that the network does not have, such as a classifier's last layer, are left over and said.
    Batch norm's counter of batches may be missing: no output depends on it.

    Args:
        network: changed in place.
        state: tensors by the network's own keys.
        source: what the messages call the state dict, usually its file.

    Raises:
        ValueError: keys are missing, or shapes differ.

    """
    tensors = network.state_dict()
    loaded = tuple(key for key in tensors if key in state)
    missing = [
        key for key in tensors if not key.endswith("num_batches_tracked") and key not in state
    ]
    if missing:
        raise ValueError(
            f"load_weights: {source}: expected all {len(tensors)} tensors of the network, "
            f"{len(missing)} are missing: {first_few(missing)}"
        )
    try:
        unexpected = network.load_state_dict(dict(state), strict=False).unexpected_keys
    except RuntimeError as error:  # tensors of another shape, in torch's words
        raise ValueError(f"load_weights: {source}: {error}") from error
    return LoadedWeights(source, loaded, tuple(unexpected))
