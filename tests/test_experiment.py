"""What the runs of all methods share: what a result was made with, and how exactly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from kit.experiment import Setting, check_setting, environment, exact_arithmetic


def test_environment_says_what_a_result_was_made_with() -> None:
    facts = environment(torch.device("cpu"))
    assert facts["torch"] == torch.__version__
    assert facts["device"].startswith("cpu")
    assert facts.keys() >= {"python", "numpy", "platform", "threads", "git"}


def test_cuda_is_told_to_compute_exactly() -> None:
    torch.backends.cudnn.allow_tf32 = True
    exact_arithmetic()
    assert not torch.backends.cudnn.allow_tf32
    assert torch.backends.cudnn.deterministic
    assert environment(torch.device("cpu"))["tf32"] is False


# ---- what every run is asked for


def setting(**changes: Any) -> Setting:
    given = {"out": "run", "seed": 0, "device": "cpu", "precision": "float32", "workers": None}
    return check_setting(**given | changes)


def test_a_setting_is_plain() -> None:
    one = setting(seed=2**64 - 1, workers=2, device=torch.device("cpu"))
    assert one == (Path("run"), 2**64 - 1, "cpu", "float32", 2)
    assert type(one.device) is str


@pytest.mark.parametrize(
    ("name", "wrong", "message"),
    [
        *(("seed", wrong, "at least 0|at most") for wrong in (-1, 2**64, -(2**70), 1.0, True)),
        ("workers", -1, "at least 0"),
        *(("out", wrong, "a path") for wrong in (None, 5, b"run", ["run"])),
        *(("out", wrong, "without NUL") for wrong in ("", "a\0b")),
        *(
            ("device", wrong, "one of this machine")
            for wrong in ("gpu", "", "CPU:x", "meta", "cuda:99", "tpu", "cpu cpu")
        ),
        *(
            ("precision", wrong, "'float32' or 'bfloat16'")
            for wrong in ("float16", None, 32, ["float32"])
        ),
    ],
)
def test_what_no_run_can_be_made_with_is_refused_by_name(
    name: str, wrong: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=rf"^train: {name} must be .*({message})"):
        setting(**{name: wrong})


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
@pytest.mark.parametrize("device", ["cuda", "cuda:0", torch.device("cuda")])
def test_a_machine_without_cuda_says_so(device: Any) -> None:
    with pytest.raises(ValueError, match=r"^train: device .* it has 'cpu' and 0 CUDA devices"):
        setting(device=device)
