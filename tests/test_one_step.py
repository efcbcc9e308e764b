"""One training step can be followed through at most four files, for either paper."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import torch
from torch import nn

import kit
from kit.amid.config import AMIDConfig
from kit.data.clips import ClipBatch
from kit.data.pairs import PairBatch
from kit.distillation.inputs import ClipInput, ClipKind
from kit.distillation.networks import Encoders, clip_encoders
from kit.itmeetsal.method import ITMeetsALConfig
from kit.retrieval.towers import Towers
from kit.training import Method, fit

ROOT = Path(kit.__file__).parent
# What is known before one reads a method: what a batch is, a modality's own network, refusals,
# entropy.
KNOWN = ("data/", "encoders/", "arguments.py", "checks.py", "information.py")


class TwoSteps:
    def __init__(self, batch: Any) -> None:
        self.batch = batch

    def __len__(self) -> int:
        return 2

    def epoch(self, epoch: int, *, skip: int = 0) -> Iterator[Any]:
        yield self.batch
        yield self.batch


def itmeetsal() -> tuple[Method[Any, Any], Any]:
    config = ITMeetsALConfig(dim=8, word_dim=4, lstm_units=4, discriminator_every=1)
    sizes = {"image_feature_dim": 6, "vocabulary_size": 9, "classes": 4}
    towers = Towers(config, image_backbone=nn.Identity(), **sizes)
    tokens, lengths = torch.full((4, 3), 5), torch.full((4,), 3)
    labels = torch.arange(4)
    return config.method(towers), PairBatch(torch.randn(4, 6), tokens, lengths, labels, labels)


def amid() -> tuple[Method[Any, Any], Any]:
    config = AMIDConfig(dim=8, batch_size=4, warm_up_epochs=0)
    kinds = {"seen": ClipKind((6,), False), "heard": ClipKind((5,), False)}
    target, auxiliary = (
        clip_encoders({name: ClipInput("identity")}, kinds, dim=8) for name in kinds
    )
    modalities = {"seen": torch.randn(4, 6), "heard": torch.randn(4, 5)}
    labels = torch.tensor([0, 1, 0, 1])
    batch = ClipBatch.of(modalities, {}, labels, torch.arange(4))
    return config.method(Encoders(target, auxiliary, (2, 2))), batch


@pytest.mark.parametrize("build", [itmeetsal, amid])
def test_a_step_passes_through_at_most_four_files(
    build: Callable[[], tuple[Method[Any, Any], Any]],
) -> None:
    method, batch = build()
    passed = set[str]()

    def note(frame: FrameType, event: str, _: object) -> None:
        file = Path(frame.f_code.co_filename)
        if event == "call" and file.is_relative_to(ROOT):
            passed.add(file.relative_to(ROOT).as_posix())

    records = fit(method, TwoSteps(batch), epochs=1)
    next(records)  # the epoch begins: rates are set
    sys.setprofile(note)
    try:
        next(records)
    finally:
        sys.setprofile(None)
    files = {file for file in passed if not file.startswith(KNOWN)}
    paper = build.__name__
    assert {"training.py", f"{paper}/method.py", f"{paper}/losses.py"} < files
    assert len(files) <= 4, files
