"""A training run in a process of its own that kills itself where it is told to.

python killed_run.py FOLDER step 17        SIGKILL after the 17th step of this process
python killed_run.py FOLDER checkpoint 1   SIGKILL in the middle of writing its first checkpoint
python killed_run.py FOLDER never 0
"""

from __future__ import annotations

import io
import os
import signal
import sys
from pathlib import Path
from typing import Any

import torch

from kit.itmeetsal.method import ITMeetsALConfig
from kit.retrieval.run import train
from kit.training import Step
from kit.worlds.scenes import scenes

CONFIG = ITMeetsALConfig(
    dim=16, word_dim=8, lstm_units=8, epochs=3, batch_size=16, learning_rate=1e-3, min_word_count=1
)
STEPS = 13  # of an epoch: 40 training images, 5 captions each


def run(folder: Path, kill_after: int = 0) -> None:
    torch.set_num_threads(1)
    corpus = scenes(images=50, size=32)
    records = train(corpus, CONFIG, folder, seed=3, workers=2)
    steps = 0
    for record in records:
        steps += isinstance(record, Step)
        if steps == kill_after > 0:
            os.kill(os.getpid(), signal.SIGKILL)


def die_in_checkpoint(number: int) -> None:
    """Write half of the number-th checkpoint, then die."""
    save, written = torch.save, 0

    def half(state: Any, path: Path) -> None:
        nonlocal written
        written += 1
        if written < number:
            save(state, path)
            return
        whole = io.BytesIO()
        save(state, whole)
        with open(path, "wb") as file:
            file.write(whole.getvalue()[: whole.tell() // 2])
            file.flush()
            os.fsync(file.fileno())
        os.kill(os.getpid(), signal.SIGKILL)

    torch.save = half


if __name__ == "__main__":
    folder, where, number = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    if where == "checkpoint":
        die_in_checkpoint(number)
    run(folder, kill_after=number if where == "step" else 0)
