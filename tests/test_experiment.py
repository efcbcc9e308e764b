"""What the runs of all methods share: what a result was made with, and how exactly."""

from __future__ import annotations

import torch

from kit.experiment import environment, exact_arithmetic


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
