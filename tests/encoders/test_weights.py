"""Weights from files: every format that is read, and every way in which a file can be wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from kit.encoders.weights import LoadedWeights, load_weights, read_weights


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))


def state(seed: int = 0) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    return {key: torch.rand(value.shape) for key, value in network().state_dict().items()}


@pytest.mark.parametrize("wrapper", [None, "state_dict", "model"])
def test_torch_files_are_read(tmp_path: Path, wrapper: str | None) -> None:
    path = tmp_path / "weights.pth"
    torch.save(state() if wrapper is None else {wrapper: state(), "epoch": 3}, path)
    read = read_weights(path)
    assert read.keys() == state().keys()
    assert all(torch.equal(read[key], value) for key, value in state().items())


def test_safetensors_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_file(state(), path)
    assert all(torch.equal(read_weights(path)[key], value) for key, value in state().items())


def test_all_tensors_are_copied_and_what_is_left_over_is_said() -> None:
    given = {**state(), "head.weight": torch.zeros(5, 2)}
    filled = network()
    loaded = load_weights(filled, given, source="a file")
    for key, value in filled.state_dict().items():
        assert torch.equal(value, given[key].to(value.dtype)), key
    assert set(loaded.loaded) == set(state())
    assert loaded.unexpected == ("head.weight",)
    assert str(loaded) == "a file: 7 tensors loaded, left over: head.weight"


def test_only_the_counter_of_batches_may_be_missing() -> None:
    given = state()
    del given["1.num_batches_tracked"]
    loaded = load_weights(network(), given, source="a file")
    assert set(loaded.loaded) == set(given)
    assert str(loaded) == "a file: 6 tensors loaded, left over: none"


def test_missing_tensors_are_counted_and_named_and_nothing_is_changed() -> None:
    given = state()
    del given["0.bias"], given["1.running_mean"]
    filled = network()
    before = {key: value.clone() for key, value in filled.state_dict().items()}
    with pytest.raises(
        ValueError,
        match=r"load_weights: a file: expected all 7 tensors of the network, 2 are missing: "
        r"0\.bias, 1\.running_mean",
    ):
        load_weights(filled, given, source="a file")
    assert all(torch.equal(value, before[key]) for key, value in filled.state_dict().items())


def test_wrong_shapes_are_named() -> None:
    given = {**state(), "0.weight": torch.zeros(2, 4)}
    with pytest.raises(
        ValueError, match=r"(?s)load_weights: a file: .*0\.weight: .*\[2, 4\].*\[2, 3\]"
    ):
        load_weights(network(), given, source="a file")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"read_weights: .*gone\.pth: expected .* got \[Errno 2\] No such"
    ):
        read_weights(tmp_path / "gone.pth")


@pytest.mark.parametrize("name", ["text.pth", "text.safetensors", "empty.pth", "zip.pth"])
def test_a_file_that_holds_no_weights_is_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes({"empty": b"", "zip": b"PK\x03\x04 broken"}.get(path.stem, b"no weights"))
    with pytest.raises(
        ValueError, match=rf"{name}: expected a .safetensors or torch file of weights, got "
    ):
        read_weights(path)


def test_a_whole_pickled_network_is_refused_unexecuted(tmp_path: Path) -> None:
    torch.save(network(), tmp_path / "network.pth")
    with pytest.raises(ValueError, match=r"network\.pth: expected a .safetensors or torch file"):
        read_weights(tmp_path / "network.pth")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([torch.zeros(2)], r"expected tensors by name, got \[tensor"),
        ({}, r"expected tensors by name, got \{\}"),
        ({"weight": torch.zeros(2), "epoch": 3}, "expected tensors only, got epoch"),
    ],
)
def test_a_torch_file_with_something_else_is_named(
    tmp_path: Path, content: object, message: str
) -> None:
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(ValueError, match=message):
        read_weights(tmp_path / "other.pt")


def test_the_line_about_many_keys_stays_short() -> None:
    keys = tuple(f"layer{index}" for index in range(100))
    assert len(str(LoadedWeights("a file", keys, keys))) < 120
