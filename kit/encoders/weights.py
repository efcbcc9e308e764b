"""Pre-trained weights from a file into a network, and a word on what was loaded and what not."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from kit.checks import first_few
from kit.files import as_path


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
        ValueError: no such file, or a file that holds no state dict of plain tensors.

    """
    path = as_path("read_weights", path)
    try:
        if path.suffix.lower() == ".safetensors":
            state: Any = load_file(path)
        else:
            with warnings.catch_warnings(action="ignore"):  # of what is refused here anyway
                state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a file's bytes decide which of its reader's parts fails
        raise ValueError(
            f"read_weights: {path}: expected a .safetensors or torch file of weights, got "
            f"{_what_came(path, error)}"
        ) from error
    for wrapper in ("state_dict", "model"):  # where training scripts put it
        if isinstance(state, Mapping) and isinstance(state.get(wrapper), Mapping):
            state = state[wrapper]
    if not isinstance(state, Mapping) or not state:
        raise ValueError(f"read_weights: {path}: expected tensors by name, got {state!r:.99}")
    others = [key for key, value in state.items() if not _is_plain(key, value)]
    if others:
        raise ValueError(f"read_weights: {path}: expected tensors only, got {first_few(others)}")
    return dict(state)


def _what_came(path: Path, error: Exception) -> str:
    """Why a file cannot be read, and how it begins: a saved web page shows itself."""
    if isinstance(error, OSError):
        return str(error)
    words = str(error).strip().partition("\n")[0]
    if isinstance(error, UnpicklingError):  # torch advises to execute it
        words = "a pickle with something else than tensors, or none"
    with path.open("rb") as file:
        return f"{words or type(error).__name__} (the file begins with {file.read(24)!r})"


def _is_plain(key: object, value: object) -> bool:
    if not isinstance(key, str) or not isinstance(value, Tensor):
        return False
    return value.layout is torch.strided and not value.is_meta and not value.is_quantized


def check_weights(tensors: Mapping[str, Tensor], state: Mapping[str, Tensor], source: str) -> None:
    """Refuse a state dict that does not fit a network's tensors, which may lie on ``"meta"``.

    Batch norm's counter of batches may be missing: no output depends on it.

    Raises:
        ValueError: tensors that are missing, of another shape, of no float type where floats
            belong, or not finite in the network's own type.

    """
    where = f"load_weights: {source}"
    missing = [
        key for key in tensors if not key.endswith("num_batches_tracked") and key not in state
    ]
    if missing:
        raise ValueError(
            f"{where}: expected all {len(tensors)} tensors of the network, "
            f"{len(missing)} are missing: {first_few(missing)}"
        )
    wrong = [
        f"{key}: {list(state[key].shape)} {state[key].dtype} for {list(one.shape)} {one.dtype}"
        for key, one in tensors.items()
        if key in state and not _fits(one, state[key])
    ]
    if wrong:
        raise ValueError(f"{where}: {len(wrong)} tensors do not fit: {first_few(wrong)}")
    broken = [
        key
        for key, one in tensors.items()
        if key in state and not state[key].to(one.dtype).isfinite().all()
    ]
    if broken:
        raise ValueError(
            f"{where}: {len(broken)} tensors hold values that are not finite: {first_few(broken)}"
        )


def _fits(tensor: Tensor, given: Tensor) -> bool:
    floats = given.is_floating_point() or not tensor.is_floating_point()
    return given.shape == tensor.shape and floats and not given.is_complex()


def load_weights(network: nn.Module, state: Mapping[str, Tensor], *, source: str) -> LoadedWeights:
    """Copy a state dict into a network; every tensor of the network must be there, in its shape.

    Keys that the network does not have, such as a classifier's last layer, are left over and said.

    Args:
        network: changed in place.
        state: tensors by the network's own keys.
        source: what the messages call the state dict, usually its file.

    Raises:
        ValueError: what `check_weights` refuses.

    """
    tensors = network.state_dict()
    check_weights(tensors, state, source)
    unexpected = network.load_state_dict(dict(state), strict=False).unexpected_keys
    return LoadedWeights(source, tuple(key for key in tensors if key in state), tuple(unexpected))
