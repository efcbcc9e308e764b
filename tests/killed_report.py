"""Reports that are killed at random moments and continued at once: what must hold of each.

python tests/killed_report.py MOMENTS [SEED]

Only `kit report` itself gets the SIGKILL. Then nothing that it started may go on, the report that
is started in the same moment must end finished, with the results of one that was never killed, and
neither part files nor processes may be left. Two notebooks take a second or two each; each of them
holds a lock on its folder and a process of its own, as a training with loader processes does.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from report_notebooks import write_notebook

from kit.files import read_json

SECONDS = 600  # after which something counts as stuck
BEGIN = """import multiprocessing, time
from pathlib import Path
from kit.files import locked, read_json, write_json

held = locked("the notebook", Path(out))
held.__enter__()
loader = multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,), daemon=True)
loader.start()"""
WORK = """state = Path(out, "state.json")
steps = read_json(state) if state.exists() else []
while len(steps) < 20:
    time.sleep(0.03)
    steps.append(len(steps) * seed)
    write_json(state, steps)"""
END = """write_json(Path(out, "result.json"), {"steps": len(steps), "sum": sum(steps)})
loader.kill()
held.__exit__(None, None, None)"""


def write_both(root: Path) -> list[Path]:
    """Write the two notebooks."""
    return [
        write_notebook(root / name, BEGIN, WORK, END, parameters=f"seed = {seed}\nout = ''")
        for seed, name in enumerate(("first.ipynb", "second.ipynb"), start=1)
    ]


def start(notebooks: list[Path], folder: Path, mark: str) -> subprocess.Popen[str]:
    """Start `kit report`; whatever it starts can be found by the mark in its environment."""
    command = ["-c", "from kit.cli import main; main()", "report", *map(str, notebooks)]
    return subprocess.Popen(
        [sys.executable, *command, "--out", str(folder)],
        env=os.environ | {"KIT_MARK": mark},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def alive(mark: str) -> list[int]:
    """The processes that have the mark, zombies left out: their environment is empty."""
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"KIT_MARK={mark}".encode() in environment.read_bytes().split(b"\0"):
                found.append(int(environment.parent.name))
        except OSError:
            continue
    return found


def seconds_until_gone(mark: str) -> float:
    """Wait until no process has the mark."""
    began = time.monotonic()
    while left := alive(mark):
        if time.monotonic() - began > SECONDS:
            raise AssertionError(f"processes left: {left}")
        time.sleep(0.01)
    return time.monotonic() - began


def kill_and_continue(notebooks: list[Path], folder: Path, moment: float) -> dict[str, Any]:
    """Kill a report after so many seconds, continue it at once, and look at what there is then.

    Returns:
        orphans (how many processes were left), gone (seconds until they had ended), code and said
        of the report that went on, states and results of its notebooks, parts that were left.
    """
    first = start(notebooks, folder, f"{folder} killed")
    time.sleep(moment)
    first.send_signal(signal.SIGKILL)
    first.wait()  # and not for its streams, which the orphans hold
    orphans = len(alive(f"{folder} killed"))
    second = start(notebooks, folder, f"{folder} continued")
    gone = seconds_until_gone(f"{folder} killed")
    _, said = second.communicate(timeout=SECONDS)
    first.communicate()
    seconds_until_gone(f"{folder} continued")
    outcomes = read_json(folder / "summary.json")["notebooks"]
    return {
        "orphans": orphans,
        "gone": gone,
        "code": second.returncode,  # 2 where the first had finished
        "said": said,
        "states": [outcome["state"] for outcome in outcomes.values()],
        "results": [outcome["results"] for outcome in outcomes.values()],
        "parts": [str(part) for part in folder.rglob("*.part*")],
    }


def faults(found: dict[str, Any]) -> list[str]:
    """What does not hold of a report that was killed and continued."""
    finished = found["code"] == 0 or (found["code"] == 2 and "is finished" in found["said"])
    expected = [{"steps": 20, "sum": seed * 190} for seed in (1, 2)]
    held = {
        f"ended with {found['code']}: {found['said']}": finished,
        f"states {found['states']}": set(found["states"]) == {"finished"},
        f"results {found['results']}": found["results"] == expected,
        f"left {found['parts']}": not found["parts"],
    }
    return [fault for fault, holds in held.items() if not holds]


def main(moments: int, seed: int) -> int:
    """Kill as often; print a line for each and the sum of all."""
    draw, wrong, orphans, longest = random.Random(seed), 0, 0, 0.0
    root = Path(tempfile.mkdtemp(prefix="killed_report_"))
    notebooks = write_both(root)
    began = time.monotonic()
    start(notebooks, root / "whole", "whole").communicate()
    lasts = time.monotonic() - began
    for number in range(moments):
        moment = draw.uniform(0, lasts)
        found = kill_and_continue(notebooks, root / f"report_{number}", moment)
        said = faults(found)
        wrong, orphans = wrong + bool(said), orphans + (found["orphans"] > 0)
        longest = max(longest, found["gone"])
        about = f"{found['orphans']} orphans, gone after {found['gone']:.2f} s"
        print(f"{moment:.2f} of {lasts:.2f} s: {about}: {'; '.join(said) or 'holds'}", flush=True)
    print(
        f"{moments} killed, {orphans} with orphans, all gone after {longest:.2f} s, {wrong} wrong"
    )
    shutil.rmtree(root)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0))
