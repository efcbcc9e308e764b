"""Loader processes: they live for all epochs, leave nothing behind, and draw no common chance."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import sys
import threading
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from kit.data.epochs import EpochLoader


class Batch(NamedTuple):
    number: Tensor
    process: Tensor


class Numbers:
    """A batch says its key, and which process made it; a negative key is an error."""

    def __getitem__(self, key: int) -> Batch:
        if key < 0:
            raise ValueError(f"Numbers: expected a key of at least 0, got {key}")
        return Batch(torch.tensor(key), torch.tensor(os.getpid()))


@pytest.fixture(autouse=True)
def nothing_is_left() -> object:
    yield
    gc.collect()
    assert not multiprocessing.active_children()


def read(loader: EpochLoader[Batch], keys: list[int]) -> tuple[list[int], set[int]]:
    batches = list(loader.epoch(keys))
    return [int(b.number) for b in batches], {int(b.process) for b in batches}


def test_processes_are_started_once() -> None:
    loader = EpochLoader(Numbers(), workers=2)
    first, processes = read(loader, [*range(9)])
    read(loader, [])
    again, later = read(loader, [3, 1, 4])
    assert (first, again) == ([*range(9)], [3, 1, 4])
    assert len(processes) == 2
    assert later <= processes
    assert os.getpid() not in processes


def test_without_workers_there_is_no_process() -> None:
    loader = EpochLoader(Numbers())
    assert read(loader, [2, 0]) == ([2, 0], {os.getpid()})


@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_without_keys_is_empty(workers: int) -> None:
    loader = EpochLoader(Numbers(), workers=workers)
    assert read(loader, []) == ([], set())
    assert read(loader, [5])[0] == [5]


@pytest.mark.parametrize("workers", [0, 2])
def test_an_abandoned_epoch_leaves_nothing_to_the_next(workers: int) -> None:
    loader = EpochLoader(Numbers(), workers=workers)
    read(loader, [7])
    left = loader.epoch([*range(20)])
    assert int(next(left).number) == 0
    left.close()  # type: ignore[attr-defined]
    assert not multiprocessing.active_children()
    assert read(loader, [30, 31, 32])[0] == [30, 31, 32]


@pytest.mark.parametrize("workers", [0, 2])
def test_epochs_may_overlap(workers: int) -> None:
    loader = EpochLoader(Numbers(), workers=workers)
    pairs = zip(loader.epoch([1, 2, 3]), loader.epoch([4, 5, 6]), strict=True)
    assert [(int(a.number), int(b.number)) for a, b in pairs] == [(1, 4), (2, 5), (3, 6)]


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_comes_out_and_the_next_epoch_is_whole(workers: int) -> None:
    loader = EpochLoader(Numbers(), workers=workers)
    with pytest.raises(ValueError, match=r"expected a key of at least 0, got -1"):
        list(loader.epoch([0, 1, -1, 2]))
    assert not multiprocessing.active_children()
    assert read(loader, [8, 9])[0] == [8, 9]


def test_a_keyboard_interrupt_ends_the_processes() -> None:
    loader = EpochLoader(Numbers(), workers=2)

    def interrupted() -> None:
        for batch in loader.epoch([*range(20)]):
            if int(batch.number) == 3:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    gc.collect()
    assert read(loader, [1, 2])[0] == [1, 2]


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork")
def test_processes_do_not_outlive_a_parent_that_is_killed() -> None:
    """They hold what their parent had open, such as a locked file."""
    reads, writes = os.pipe()
    parent = multiprocessing.get_context("fork").Process(target=be_killed, args=(writes,))
    parent.start()
    os.close(writes)
    with open(reads) as pipe:
        assert len(pipe.read().split()) == 2  # its end comes when nobody has the other end open
    parent.join()
    assert parent.exitcode == -signal.SIGKILL


def be_killed(pipe: int) -> None:
    batches = EpochLoader(Numbers(), workers=2).epoch([*range(20)])
    processes = {int(next(batches).process) for _ in range(4)}
    os.write(pipe, " ".join(map(str, processes)).encode())
    os.kill(os.getpid(), signal.SIGKILL)


def test_processes_leave_an_interrupt_to_their_parent() -> None:
    batches = EpochLoader(Numbers(), workers=2).epoch([*range(20)])
    next(batches)
    for child in multiprocessing.active_children():
        os.kill(child.pid, signal.SIGINT)  # type: ignore[arg-type]
    assert [int(batch.number) for batch in batches] == [*range(1, 20)]


@pytest.mark.parametrize("workers", [0, 2])
def test_no_common_chance_is_drawn(workers: int) -> None:
    loader = EpochLoader(Numbers(), workers=workers)
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    drawn = [torch.rand(1)]
    for _ in loader.epoch([1, 2]):
        pass
    drawn.append(torch.rand(1))
    assert torch.equal(torch.cat(drawn), expected)


def test_threads_beside_it_and_more_processes_than_cores_warn_of_nothing() -> None:
    done = threading.Event()
    beside = threading.Thread(target=done.wait)
    beside.start()
    try:
        workers = (os.cpu_count() or 1) + 1
        assert read(EpochLoader(Numbers(), workers=workers), [1, 2])[0] == [1, 2]
    finally:
        done.set()
        beside.join()


def test_without_a_gpu_nothing_is_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    (batch,) = EpochLoader(Numbers(), pin=True).epoch([1])
    assert not batch.number.is_pinned()
