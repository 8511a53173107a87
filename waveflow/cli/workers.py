"""Process items in several processes, each with a device; a free process takes the next item."""

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
Task = Callable[[Item], bool]

_PRELOADED = ["waveflow.cli.sounds", "waveflow.vocoder"]
"""Modules that a server imports once; it forks for each process, before anything computes."""

_GRACE = 20.0
"""Seconds for processes to clean up before they are killed."""


def share(
    prepare: Callable[[str], Task[Item]],
    items: Sequence[Item],
    device: str,
    devices: int,
    *,
    done: Callable[[Item], object],
) -> bool:
    """Process all items in order; on the CPU, each process computes with one thread.

    Args:
        prepare: called in each process with its device; returns the function that processes an item
            and returns whether it succeeded. It must be picklable.
        items: items to process, picklable; put the longest first, so that all processes end at
            about the same time.
        device: ``cpu`` or ``cuda``.
        devices: number of processes.
        done: called with each item after it succeeds or fails.

    Returns:
        Whether all items succeeded.

    Raises:
        ValueError: there are fewer CUDA devices than ``devices``.
        ChildProcessError: a process has died.
        KeyboardInterrupt: Ctrl-C or SIGTERM; the processes are stopped first.
    """
    if device == "cuda" and devices > torch.cuda.device_count():
        raise ValueError(
            f"expected {torch.cuda.device_count()} CUDA devices at most; got {devices}"
        )
    forks = multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload(_PRELOADED)
    names = forks.SimpleQueue()
    for number in range(devices):
        names.put(f"cuda:{number}" if device == "cuda" else device)
    others = {*multiprocessing.active_children()}
    count = min(devices, len(items))
    pool = ProcessPoolExecutor(count, forks, initializer=_begin, initargs=(prepare, names))
    results = []
    try:
        with _sigint_blocked():  # inherited: only this process handles Ctrl-C and ends the others
            futures = {pool.submit(_do, item): item for item in items}
        for future in as_completed(futures):
            results.append(future.result())
            done(futures[future])
    except BrokenProcessPool:
        raise ChildProcessError(
            "expected all processes to finish; one has died, perhaps because memory ran out: the "
            "same command resumes with the missing files"
        ) from None
    finally:
        if len(results) < len(items):
            _end({*multiprocessing.active_children()} - others)
        pool.shutdown(cancel_futures=True)
    return all(results)


@contextmanager
def _sigint_blocked() -> Iterator[None]:
    """Delay Ctrl-C to the end of the block; processes started in it inherit the block for good."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end(processes: set[BaseProcess]) -> None:
    """Make processes clean up and end, before this one does."""
    for process in processes:
        process.terminate()
    end = time.monotonic() + _GRACE
    for process in processes:
        process.join(max(0.0, end - time.monotonic()))
        process.kill()


# run in the started processes

_task: Task[Any]
_busy = _leaving = False


def _begin(prepare: Callable[[str], Task[Any]], devices: Any) -> None:
    global _task
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGTERM, _leave)
    device = devices.get()
    if device == "cpu":
        torch.set_num_threads(1)
    _task = prepare(device)


def _do(item: Any) -> bool:
    global _busy
    _busy = True
    try:
        return _task(item)
    finally:
        _busy = False
        if _leaving:  # the unfinished file has been removed, even if the interrupt was lost
            os._exit(INTERRUPTED)


def _leave(*_: object) -> None:
    global _leaving
    _leaving = True
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # do not interrupt the clean-up
    if not _busy:
        os._exit(INTERRUPTED)
    raise KeyboardInterrupt


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(INTERRUPTED)
