"""Pre-trained weights from a file into a network, and a word on what was loaded and what not."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from kit.checks import first_few

_WRAPPERS = ("state_dict", "model")  # the keys under which training scripts keep the state dict


@dataclass(frozen=True)
class LoadedWeights:
    """What came of loading weights: where from, and the keys loaded, missing and left over.

    >>> print(LoadedWeights("resnet.pth", ("conv1.weight",), (), ("fc.bias", "fc.weight")))
    resnet.pth: 1 tensors loaded, 0 missing, 2 left over (fc.bias, fc.weight)
    """

    source: str
    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]

    def __str__(self) -> str:
        said = f"{self.source}: {len(self.loaded)} tensors loaded"
        for keys, what in ((self.missing, "missing"), (self.unexpected, "left over")):
            said += f", {len(keys)} {what}" + (f" ({first_few(keys)})" if keys else "")
        return said


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """The state dict in a ``.safetensors`` file or a torch file.

    Torch files are read with ``weights_only=True``, so that nothing in them is executed; a state
    dict may lie under the key ``state_dict`` or ``model``.

    Raises:
        ValueError: no such file, or a file that holds no state dict of tensors.

    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"read_weights: expected a weights file at {path}, found none")
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        state: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ValueError(
            f"read_weights: {path}: expected a .safetensors or torch file of weights, got {reason}"
        ) from error
    for wrapper in _WRAPPERS:
        if isinstance(state, Mapping) and isinstance(state.get(wrapper), Mapping):
            state = state[wrapper]
    if not isinstance(state, Mapping) or not state:
        raise ValueError(
            f"read_weights: {path}: expected a state dict of tensors, got {type(state).__name__}"
            f"{' without entries' if isinstance(state, Mapping) else ''}"
        )
    others = [str(key) for key, value in state.items() if not isinstance(value, Tensor)]
    if others:
        raise ValueError(
            f"read_weights: {path}: expected a state dict of tensors, "
            f"got {len(others)} entries that are none: {first_few(others)}"
        )
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
    wanted = network.state_dict()
    loaded = [key for key in wanted if key in state]
    absent = [key for key in wanted if key not in state]
    missing = [key for key in absent if not key.endswith("num_batches_tracked")]
    if missing:
        raise ValueError(
            f"load_weights: {source}: expected all {len(wanted)} tensors of the network, "
            f"{len(missing)} are missing: {first_few(missing)}"
        )
    wrong = [
        f"{key} {tuple(state[key].shape)} instead of {tuple(wanted[key].shape)}"
        for key in loaded
        if state[key].shape != wanted[key].shape
    ]
    if wrong:
        raise ValueError(
            f"load_weights: {source}: {len(wrong)} tensors have another shape "
            f"than the network's: {first_few(wrong)}"
        )
    unexpected = network.load_state_dict(dict(state), strict=False).unexpected_keys
    return LoadedWeights(source, tuple(loaded), tuple(absent), tuple(unexpected))
