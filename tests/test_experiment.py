"""What the runs of all methods share: what a result was made with, and how exactly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
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
    one = setting(seed=np.int64(3), workers=np.int32(2), device=torch.device("cpu"))
    assert one == (Path("run"), 3, "cpu", "float32", 2)
    assert (type(one.seed), type(one.workers), type(one.device)) == (int, int, str)
    assert setting(seed=2**64 - 1).seed == 2**64 - 1
    assert setting(seed=torch.tensor(4)).seed == 4


@pytest.mark.parametrize(
    ("name", "wrong", "kind", "message"),
    [
        *(("seed", wrong, TypeError, "a whole number") for wrong in (1.0, "1", True, None, [1])),
        *(("seed", wrong, ValueError, "at least 0|below") for wrong in (-1, 2**64, -(2**70))),
        *(("workers", wrong, TypeError, "a whole number") for wrong in (1.0, "2", True)),
        ("workers", -1, ValueError, "at least 0"),
        *(("out", wrong, TypeError, "a path") for wrong in (None, 5, b"run", ["run"])),
        *(("out", wrong, ValueError, "without NUL") for wrong in ("", "a\0b")),
        *(("device", wrong, TypeError, "text") for wrong in (None, 0, 1.5, ["cpu"])),
        *(
            ("device", wrong, ValueError, "one of this machine")
            for wrong in ("gpu", "", "CPU:x", "meta", "cuda:99", "tpu", "cpu cpu")
        ),
        *(
            ("precision", wrong, (ValueError, TypeError), "'float32' or 'bfloat16'")
            for wrong in ("float16", None, 32, ["float32"])
        ),
    ],
)
def test_what_no_run_can_be_made_with_is_refused_by_name(
    name: str, wrong: Any, kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=rf"^train: {name} must be .*({message})"):
        setting(**{name: wrong})


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
@pytest.mark.parametrize("device", ["cuda", "cuda:0", torch.device("cuda")])
def test_a_machine_without_cuda_says_so(device: Any) -> None:
    with pytest.raises(ValueError, match=r"^train: device .* it has 'cpu' and 0 CUDA devices"):
        setting(device=device)
