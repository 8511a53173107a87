"""Items shared among processes, each with a device: whoever has done one takes the next."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

import torch

from waveflow.io.signals import INTERRUPTED

Item = TypeVar("Item")
Work = Callable[[Item], bool]

_GRACE = 20.0
"""Seconds that processes have to clean up before they are killed."""


def share(
    prepare: Callable[[str], Work[Item]],
    items: Sequence[Item],
    device: str,
    devices: int,
    *,
    done: Callable[[Item], object],
) -> bool:
    """Do all items, in their order; on the CPU each process computes with one thread.

    Args:
        prepare: makes, in a process and for its device, what does an item and tells whether it
            could; can be pickled, as the items can.
        items: what to do; the costliest first, so that all processes end at about the same time.
        device: ``cpu`` or ``cuda``.
        devices: how many.
        done: called with each item, after it succeeds or fails.

    Returns:
        Whether all items could be done.

    Raises:
        ValueError: more CUDA devices than there are.
        ChildProcessError: a process has died.
        KeyboardInterrupt: Ctrl-C, or SIGTERM; the processes are stopped first.
    """
    if device == "cuda" and devices > torch.cuda.device_count():
        raise ValueError(
            f"expected {torch.cuda.device_count()} CUDA devices at most; got {devices}"
        )
    spawn = multiprocessing.get_context("spawn")
    places = spawn.SimpleQueue()
    for number in range(devices):
        places.put(f"cuda:{number}" if device == "cuda" else device)
    others = {*multiprocessing.active_children()}
    count = min(devices, len(items))
    pool = ProcessPoolExecutor(count, spawn, initializer=_begin, initargs=(prepare, places))
    results = []
    try:
        with _ctrl_c_waits():  # the processes never hear it: the main one tells them
            futures = {pool.submit(_do, item): item for item in items}
        for future in as_completed(futures):
            results.append(future.result())
            done(futures[future])
    except BrokenProcessPool:
        raise ChildProcessError(
            "expected processes that last; one has died, perhaps for want of memory: the same "
            "command resumes with the missing files"
        ) from None
    finally:
        if len(results) < len(items):
            _end({*multiprocessing.active_children()} - others)
        pool.shutdown(cancel_futures=True)
    return all(results)


@contextmanager
def _ctrl_c_waits() -> Iterator[None]:
    """Ctrl-C is heard at the end; a process that is started meanwhile never hears it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end(processes: set[BaseProcess]) -> None:
    """Let processes clean up and end, as this one is about to."""
    for process in processes:
        process.terminate()
    end = time.monotonic() + _GRACE
    for process in processes:
        process.join(max(0.0, end - time.monotonic()))
        process.kill()


# in the processes

_work: Work[Any]
_busy = _leaving = False


def _begin(prepare: Callable[[str], Work[Any]], places: Any) -> None:
    global _work
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGTERM, _leave)
    device = places.get()
    if device == "cpu":
        torch.set_num_threads(1)
    _work = prepare(device)


def _do(item: Any) -> bool:
    global _busy
    _busy = True
    try:
        return _work(item)
    finally:
        _busy = False
        if _leaving:  # the unfinished file is removed by now, even if the interrupt got lost
            os._exit(INTERRUPTED)


def _leave(*_: object) -> None:
    global _leaving
    _leaving = True
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # nothing disturbs the cleaning up
    if not _busy:
        os._exit(INTERRUPTED)
    raise KeyboardInterrupt


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(INTERRUPTED)
