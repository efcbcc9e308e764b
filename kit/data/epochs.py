"""Loader processes that live as long as their loader, instead of an epoch."""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import warnings
import weakref
from collections.abc import Iterator, Sequence
from typing import Any, Generic, Protocol, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader

Loaded = TypeVar("Loaded", covariant=True)


class Batches(Protocol[Loaded]):
    """A batch for each key, by no chance but the key's; picklable, for platforms without fork."""

    def __getitem__(self, key: Any, /) -> Loaded: ...


class Ordered(Batches[Loaded], Protocol[Loaded]):
    """Those of a training, for keys (epoch, rows).

    If nothing has to be opened for them, they have an attribute `in_memory` that is true.
    """

    def order(self, batch_size: int, epoch: int) -> list[NDArray[np.int64]]:
        """The rows of each batch of an epoch; every epoch has as many batches."""


class EpochLoader(Generic[Loaded]):
    """Batches by key, epoch after epoch, from processes that are started once.

    An epoch that is left before its end (an error, a keyboard interrupt, a generator that is
    closed) takes its processes along, and the next one starts new ones: nothing of a batch that
    was asked for in vain can come later. Epochs that overlap have processes of their own.

    Where there is fork (Linux), processes are forked: the data in memory is shared and not sent,
    what a notebook defines is known to them, and a script needs no ``if __name__ == "__main__"``.
    The children touch no GPU and compute in one thread. Elsewhere each is sent the data once.

    Args:
        batches: what is asked for each key of an epoch.
        workers: how many processes; with none, the caller's own makes the batches.
        pin: whether batches come in pinned memory, from which a GPU copies without a wait; it needs
            one.

    >>> loader = EpochLoader(["a", "b", "c"])
    >>> list(loader.epoch([2, 0]))
    ['c', 'a']

    """

    def __init__(self, batches: Batches[Loaded], *, workers: int = 0, pin: bool = False) -> None:
        self.batches, self.workers, self.pin = batches, workers, pin
        self._idle: DataLoader[Any] | None = None

    def epoch(self, keys: Sequence[Any]) -> Iterator[Loaded]:
        """The batches of these keys, in their order."""
        with warnings.catch_warnings():
            # Python 3.12 warns of every fork beside threads, torch of more processes than cores.
            warnings.filterwarnings("ignore", message=".*multi-threaded, use of fork")
            warnings.filterwarnings("ignore", message="This DataLoader will create")
            # Who runs an epoch owns the loader, and hands it back only at the epoch's end.
            loader, self._idle = self._idle, None
            if loader is None:
                loader = self._made()
            cast(list[Any], loader.sampler)[:] = keys
            batches = iter(loader)
        try:
            yield from batches
        except BaseException:  # also of a generator that is closed
            del loader  # at once, with its processes: a traceback holds what an error went through
            raise
        self._idle = loader

    def _made(self) -> DataLoader[Any]:
        several = self.workers > 0
        loader: DataLoader[Any] = DataLoader(
            cast(Any, self.batches),
            sampler=[],  # each epoch fills it
            batch_size=None,  # a key is a batch's
            num_workers=self.workers,
            persistent_workers=several,
            worker_init_fn=_follow_parent,
            multiprocessing_context="fork" if several and sys.platform == "linux" else None,
            pin_memory=self.pin and torch.cuda.is_available(),
            # A generator of its own: DataLoader would otherwise draw from the global one, and a
            # resumed run would not drop the same units as one that was never stopped.
            generator=torch.Generator().manual_seed(0),
        )
        if several:
            # The collector of garbage would close the pipes first, and wait 5 s for each process.
            with _interrupts_held():
                processes: Any = iter(loader)
            weakref.finalize(loader, processes._shutdown_workers)
        return loader


class TrainingLoader(Generic[Loaded]):
    """The batches of each epoch; `loader.epoch(3, skip=7)` leaves the first 7 out.

    Args:
        batches: what is asked for, and in which order.
        batch_size: samples in a batch.
        workers: loader processes, which live as long as the loader; none are started where all is
            in memory.
        pin: whether batches come in pinned memory, for a GPU.

    """

    def __init__(
        self, batches: Ordered[Loaded], batch_size: int, *, workers: int = 0, pin: bool = False
    ) -> None:
        self.batches, self.batch_size = batches, batch_size
        self._count = len(batches.order(batch_size, 0))
        workers = 0 if getattr(batches, "in_memory", False) else workers
        self._loader = EpochLoader(batches, workers=workers, pin=pin)

    def __len__(self) -> int:
        return self._count

    def epoch(self, epoch: int, *, skip: int = 0) -> Iterator[Loaded]:
        """The batches of one epoch, without the first `skip`."""
        order = self.batches.order(self.batch_size, epoch)[skip:]
        return self._loader.epoch([(epoch, rows) for rows in order])


def blocks(count: int, size: int) -> list[range]:
    """All rows in their order, so many at a time.

    >>> blocks(5, 2)
    [range(0, 2), range(2, 4), range(4, 5)]
    """
    return [range(count)[start : start + size] for start in range(0, count, size)]


def spare_cores() -> int:
    """Loader processes where something has to be opened: all cores but the training's, up to 8."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(8, (cores or 1) - 1)


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """Have Ctrl-C wait until the processes are there: they leave it to their parent."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _follow_parent(worker: int) -> None:
    """A process ends when its parent does, however that ends, and not by an interrupt before it.

    A forked process holds the run folder's lock along with its parent: it must not outlive it. And
    a parent that answers Ctrl-C with one more checkpoint may be waiting for a batch.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
