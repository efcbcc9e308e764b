"""Weights from files: every format that is read, and every way in which a file can be wrong."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from kit.encoders.weights import LoadedWeights, check_weights, load_weights, read_weights


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


class Executed:
    """A pickle of it would make a file if it were read without care."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, ("executed",)


def truncated(kind: str, tmp_path: Path) -> bytes:
    """The first half of a good file."""
    path = tmp_path / f"whole.{kind}"
    if kind == "safetensors":
        save_file(state(), path)
    else:
        torch.save(state(), path, _use_new_zipfile_serialization=kind == "pth")
    return path.read_bytes()[: path.stat().st_size // 2]


@pytest.mark.parametrize("suffix", ["pth", "safetensors", "SAFETENSORS", "bin", ""])
@pytest.mark.parametrize(
    "kind",
    ["page", "text", "zip", "json", "png", "zeros", "halfpth", "halfold", "halfsafetensors"],
)
def test_what_is_no_weights_file_is_refused_by_name_and_beginning(
    kind: str, suffix: str, tmp_path: Path
) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as inside:
        inside.writestr("readme.txt", "no weights")
    contents = {
        "page": b"<!DOCTYPE html>\n<html><body>Sign in to download</body></html>",
        "text": "Gewichte für später\n".encode("latin-1"),
        "zip": archive.getvalue(),
        "json": b'{"conv1.weight": [0.5]}',
        "png": b"\x89PNG\r\n\x1a\n" + bytes(range(99)),
        "zeros": bytes(4096),
    }
    path = tmp_path / f"weights.{suffix}"
    path.write_bytes(contents.get(kind) or truncated(kind.removeprefix("half"), tmp_path))
    with pytest.raises(ValueError, match=r"^read_weights: .*weights.*: expected .* got ") as caught:
        read_weights(path)
    assert str(path) in str(caught.value)
    if kind == "page":
        assert "<!DOCTYPE html>" in str(caught.value)


def test_a_pickle_with_code_is_refused_unexecuted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for new in (True, False):
        torch.save({"a": Executed()}, "code.pt", _use_new_zipfile_serialization=new)
        with pytest.raises(ValueError, match=r"read_weights: code\.pt: .*something else than"):
            read_weights("code.pt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Executed()))
    with pytest.raises(ValueError, match=r"read_weights: plain\.pt"):
        read_weights("plain.pt")
    assert not (tmp_path / "executed").exists()


def test_a_file_without_tensors_is_refused(tmp_path: Path) -> None:
    save_file({}, tmp_path / "none.safetensors")
    torch.save({"state_dict": {}}, tmp_path / "none.pth")
    for name in ("none.safetensors", "none.pth"):
        with pytest.raises(ValueError, match=rf"read_weights: .*{name}: expected tensors by name"):
            read_weights(tmp_path / name)


@pytest.mark.parametrize(
    "tensor",
    [torch.eye(2).to_sparse(), torch.empty(2, device="meta"), [0.5], 0.5, None],
    ids=["sparse", "meta", "list", "number", "none"],
)
def test_what_is_no_plain_tensor_is_named(tensor: Any, tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(2), "odd": tensor}, tmp_path / "a.pt")
    with pytest.raises(ValueError, match=r"a\.pt: expected tensors only, got odd"):
        read_weights(tmp_path / "a.pt")
    torch.save({0: torch.zeros(2)}, tmp_path / "a.pt")
    with pytest.raises(ValueError, match=r"a\.pt: expected tensors only, got 0"):
        read_weights(tmp_path / "a.pt")


@pytest.mark.parametrize("wrong", [None, 5, b"a", ["a"]])
def test_what_is_no_path_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"^read_weights: path must be a path, got "):
        read_weights(wrong)


@pytest.mark.parametrize("wrong", ["", "a\0b.pt", "."])
def test_a_path_that_is_no_file_is_named(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"^read_weights: "):
        read_weights(wrong)


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), -float("inf"), 1e300],
)
@pytest.mark.parametrize("key", ["0.weight", "1.running_var"])
def test_values_that_are_not_finite_are_named(key: str, value: float) -> None:
    given = state()
    given[key] = given[key].double()
    given[key].flatten()[-1:] = value
    with pytest.raises(
        ValueError,
        match=rf"^load_weights: a file: 1 tensors hold values that are not finite: {key}$",
    ):
        load_weights(network(), given, source="a file")


@pytest.mark.parametrize(
    "dtype", [torch.int64, torch.uint8, torch.bool, torch.complex64, torch.complex128]
)
def test_other_numbers_where_floats_belong_are_named(dtype: torch.dtype) -> None:
    given = state() | {"0.weight": torch.ones(2, 3, dtype=dtype)}
    before = network()
    with pytest.raises(ValueError, match=r"1 tensors do not fit: 0\.weight: \[2, 3\] torch\."):
        load_weights(before, given, source="a file")
    given = state() | {"1.num_batches_tracked": torch.tensor(1j)}
    with pytest.raises(ValueError, match=r"do not fit: 1\.num_batches_tracked"):
        load_weights(before, given, source="a file")


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_floats_of_any_precision_are_copied(dtype: torch.dtype) -> None:
    given = {key: value.to(dtype) for key, value in state().items()}
    filled = network()
    load_weights(filled, given, source="a file")
    assert torch.equal(filled[0].weight, given["0.weight"].float())


def test_sizes_are_compared_without_memory() -> None:
    with torch.device("meta"):
        huge = nn.Linear(10**7, 10**7).state_dict()
    given = {"weight": torch.ones(2, 3), "bias": torch.ones(2)}
    with pytest.raises(ValueError, match=r"a file: 2 tensors do not fit: weight: \[2, 3\]"):
        check_weights(huge, given, "a file")
