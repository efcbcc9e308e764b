"""Kill trainings at random moments; each must go on and end bit for bit as if nothing had happened.

python tests/kill_runs.py FOLDER --method itmeetsal --times 100

The moments are uniform over the time that the tiny training takes: opening the folder, first
writes, steps, checkpoints, the end. Each training is a fork of this process, which has imported
everything already. One that was killed goes on at once, and half of these are killed again. The
exit code is 1 if one was stuck or ended otherwise.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from killed_run import CONFIG

import kit.distillation.run
import kit.retrieval.run
from kit.amid.config import AMIDConfig
from kit.code_version import code_version
from kit.data.clips import Clips
from kit.data.splits import stratified_split
from kit.distillation.inputs import ClipInput
from kit.runs import load
from kit.worlds.scenes import scenes

Training = Callable[[Path], object]


def itmeetsal() -> Training:
    code_version(type(CONFIG), "kit.retrieval.run")  # once, not in each fork
    corpus = scenes(images=50, size=32)
    return lambda folder: list(kit.retrieval.run.train(corpus, CONFIG, folder, seed=3))


def amid() -> Training:
    rng = np.random.default_rng(0)
    labels = [row % 2 for row in range(40)]
    modalities = {name: rng.normal(size=(40, 6)).astype(np.float32) for name in ("seen", "heard")}
    clips = Clips("all", [str(row) for row in range(40)], labels, modalities)
    corpus = stratified_split(clips, ("one", "other"), name="noise", seed=0)
    code_version(AMIDConfig, "kit.distillation.run")  # once, not in each fork
    config = AMIDConfig(dim=8, warm_up_epochs=1, epochs=3, batch_size=4, decay_at=())
    inputs = {
        "target": {"seen": ClipInput("identity")},
        "auxiliary": {"heard": ClipInput("identity")},
    }
    return lambda folder: list(
        kit.distillation.run.train(corpus, config, folder, seed=3, **inputs)  # type: ignore[arg-type]
    )


def trained(training: Training, folder: Path, kill_after: float = 300) -> tuple[int, float]:
    """Train in a fork, killed after so many seconds: its wait status, and how long it took."""
    began = time.perf_counter()
    child = os.fork()
    if child == 0:
        try:
            training(folder)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    ended = 0
    while not ended and time.perf_counter() - began < kill_after:
        time.sleep(0.001)
        ended, status = os.waitpid(child, os.WNOHANG)
    if not ended:
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    return status, time.perf_counter() - began


def moment(folder: Path) -> str:
    """Where a run was when it was killed, by what it left."""
    if (folder / "done").exists():
        return "after its end"
    if parts := list(folder.rglob(".*.part")):
        return "writing " + parts[0].name.split(".")[1]
    if not (folder / "config.json").exists():
        return "opening the folder"
    if not (folder / "checkpoint.pt").exists():
        return "before the first checkpoint"
    return "scoring and finishing" if epochs(folder) == 3 else "between checkpoints"


def epochs(folder: Path) -> int:
    done: int = checkpoint(folder)["progress"]["epoch"]
    return done


def checkpoint(folder: Path) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(folder / "checkpoint.pt", weights_only=True)
    return state


def equal(a: Any, b: Any) -> bool:
    """Bit for bit, through dictionaries, lists and tensors."""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(equal, a, b))
    return bool(a == b)


def contents(folder: Path) -> dict[str, Any]:
    """Everything in a folder but what tells the time."""
    found: dict[str, Any] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        if name == "history.jsonl":
            lines = [json.loads(line) for line in path.read_text().splitlines()]
            found[name] = [{k: v for k, v in line.items() if k != "seconds"} for line in lines]
        elif name == "result.json":
            found[name] = json.loads(path.read_text()) | {"minutes": None}
        elif name == "checkpoint.pt":
            found[name] = checkpoint(folder)
            found[name]["written"].pop("history")
        elif name == "done":
            found[name] = list(json.loads(path.read_text()))
        elif name != "lock":  # a name that nobody holds, of a run killed after its end
            found[name] = path.read_bytes()
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--method", choices=("itmeetsal", "amid"), required=True)
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    training = {"itmeetsal": itmeetsal, "amid": amid}[asked.method]()
    _, duration = trained(training, asked.folder / "whole")
    whole = contents(asked.folder / "whole")

    draw, moments = random.Random(asked.seed), Counter[str]()
    kills = runs = stuck = different = 0
    while kills < asked.times:
        folder, killed, new = asked.folder / f"run_{runs}", True, True
        while killed and kills < asked.times:
            status, seconds = trained(training, folder, kill_after=draw.uniform(0, duration))
            if killed := status == signal.SIGKILL:
                kills += 1
                moments[moment(folder)] += 1
            elif new:
                duration = seconds
            new = False
            if draw.random() < 0.5:
                break
        runs += 1
        new = not (folder / "config.json").exists()
        status, seconds = trained(training, folder)
        if new:  # machines have other work, too
            duration = seconds
        if status != 0:
            stuck += 1
        elif not equal(contents(folder), whole) or load(folder) is None:
            different += 1
        else:
            shutil.rmtree(folder)
    print(f"{asked.method}: {duration:.2f} s a training; {kills} kills in {runs} runs:", end=" ")
    print(", ".join(f"{count} {where}" for where, count in moments.most_common()))
    print(f"{runs - stuck - different} ended bit-identical, {different} different, {stuck} stuck")
    return int(stuck + different > 0)


if __name__ == "__main__":
    sys.exit(main())
