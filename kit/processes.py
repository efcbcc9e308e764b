"""Processes beside this one: trainings on idle cores, and children that end with their parent."""

import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from typing import Any


def side_by_side(trainings: Sequence[Callable[[], Iterable[Any]]]) -> None:
    """Run trainings to their ends, as many at once as KIT_CORES says, each in one thread.

    A report sets that variable to the cores that each of its notebooks may use. Without it, and
    where there is a GPU that they would share, trainings run here, one after another. Small
    networks gain little from a second thread, and much from a second training.

    Args:
        trainings: each in a run folder of its own, such as ``partial(train, corpus, config, out)``;
            they are pickled where they run in other processes.

    Raises:
        Exception: what the first of them that fails raises; those that wait are not begun.

    """
    import torch  # not above: a report imports this file, and has no need of torch
    from tqdm import tqdm

    processes = min(int(os.environ.get("KIT_CORES", "1")), len(trainings))
    bar = partial(
        tqdm, total=len(trainings), unit="training", file=sys.stdout, disable=not trainings
    )
    if processes < 2 or torch.cuda.is_available():
        for training in bar(trainings):
            _run_to_end(training)
        return
    # "spawn": torch does not survive a fork well.
    with ProcessPoolExecutor(processes, get_context("spawn"), _prepare) as executor:
        try:
            running = [executor.submit(_run_to_end, training) for training in trainings]
            for ended in bar(as_completed(running), total=len(running)):
                ended.result()
        except BaseException:
            executor.shutdown(wait=False, cancel_futures=True)
            raise


def end_with_parent() -> None:
    """From now on this process ends when its parent does, however that ends."""
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent.sentinel,), daemon=True).start()


def _end_after(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)


def _prepare() -> None:
    import torch

    end_with_parent()
    torch.set_num_threads(1)
    # Bars of several trainings at once would write over one another, and over the parent's.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run_to_end(training: Callable[[], Iterable[Any]]) -> None:
    deque(training(), maxlen=0)
