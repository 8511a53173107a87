"""Share many items among many devices; one process does each item."""

from __future__ import annotations

import logging
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from subprocess import Popen
from typing import Any

import lightning.pytorch as lightning
import torch
from lightning.pytorch.strategies import DDPStrategy
from torch import distributed, nn
from torch.utils.data import DataLoader

_PATIENCE = timedelta(days=30)
"""Longest time that a process which has done its share waits for the others."""

_GRACE = 20.0
"""Seconds that processes have to clean up after an interrupt."""

_POLL = 0.05


class Team:
    """Processes that share a list of items, one per device: CPUs over gloo, GPUs over NCCL.

    Every process runs the same program, as in training; they are started by :meth:`share`, by
    ``torchrun``, or by SLURM. On the CPU each computes with one thread.

    Args:
        device: ``cpu`` or ``cuda``.
        devices: number of devices.

    Raises:
        ValueError: ``devices`` is more than the number of CUDA devices.
    """

    def __init__(self, device: str, devices: int):
        if device == "cuda" and devices > torch.cuda.device_count():
            raise ValueError(
                f"expected at most {torch.cuda.device_count()} CUDA devices; got {devices}"
            )
        with _hushed():
            self._trainer = lightning.Trainer(
                accelerator={"cuda": "gpu"}.get(device, device),
                devices=devices,
                strategy=DDPStrategy(
                    process_group_backend="gloo" if device == "cpu" else "nccl", timeout=_PATIENCE
                ),
                logger=False,
                enable_checkpointing=False,
                enable_model_summary=False,
                enable_progress_bar=False,
                use_distributed_sampler=False,
            )

    @property
    def is_main(self) -> bool:
        """Whether this is the process that reports for all."""
        return self._trainer.is_global_zero

    def share(self, model: nn.Module, work: Callable[[int], bool], costs: Sequence[float]) -> bool:
        """Do all items; every process makes this call with the same items.

        Args:
            model: module that computes; moved to the device of the process.
            work: does the item of the given number, and returns whether it succeeded.
            costs: cost of each item, in any unit; the shares have about the same sum.

        Returns:
            Whether all items succeeded, in all processes.

        Raises:
            ValueError: the processes have different costs.
            KeyboardInterrupt: Ctrl-C or SIGTERM; the other processes are stopped first.
        """
        sharing = _Sharing(model, work, list(costs))
        with _hushed():
            try:
                self._trainer.predict(sharing, return_predictions=False)
            except SystemExit as stop:
                if isinstance(stop.__context__, KeyboardInterrupt):  # Lightning ends by exiting
                    raise KeyboardInterrupt from stop
                raise
        return not sharing.failed


def deal(costs: Sequence[float], shares: int) -> list[list[int]]:
    """Distribute items: the costliest first, each to the share with the lowest sum.

    The costliest share is at most 4/3 of the optimum (Graham, *Bounds on
    multiprocessing timing anomalies*, 1969).

    Args:
        costs: cost of each item.
        shares: number of shares.

    Returns:
        Numbers of the items of each share, costliest first; a function of the arguments alone.

    >>> deal([1, 5, 2, 2], 2)
    [[1], [2, 3, 0]]
    """
    dealt: list[list[int]] = [[] for _ in range(shares)]
    sums = [0.0] * shares
    for item in sorted(range(len(costs)), key=lambda item: -costs[item]):
        least = min(range(shares), key=lambda share: (sums[share], len(dealt[share])))
        dealt[least].append(item)
        sums[least] += costs[item]
    return dealt


class _Sharing(lightning.LightningModule):
    """The share of this process; at its end, ``failed`` covers all processes."""

    def __init__(self, model: nn.Module, work: Callable[[int], bool], costs: list[float]):
        super().__init__()
        self.model = model
        self.failed = False
        self._work = work
        self._costs = costs

    def predict_dataloader(self) -> Any:
        if self.trainer.strategy.broadcast(self._costs) != self._costs:
            raise ValueError("expected the same items in every process; files have changed")
        shares = deal(self._costs, self.trainer.world_size)
        # None marks the end, because a share may be empty
        items = [*shares[self.trainer.global_rank], None]
        return DataLoader(items, batch_size=None)  # type: ignore[arg-type]

    def on_predict_start(self) -> None:
        if self.device.type == "cpu":
            torch.set_num_threads(1)
        # Lightning's own SIGTERM handler waits for processes that ignore it
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, _interrupt)

    def predict_step(self, item: int | None, number: int) -> None:
        try:
            if item is None:
                self.failed = self._any(self.failed)
            elif not self._work(item):
                self.failed = True
        except KeyboardInterrupt:
            launcher: Any = self.trainer.strategy.launcher
            _end(getattr(launcher, "procs", []))
            raise

    def _any(self, mine: bool) -> bool:
        """Whether ``mine`` is true in any process; signals are handled while it waits."""
        total = torch.tensor([float(mine)], dtype=torch.float32, device=self.device)
        waiting = distributed.all_reduce(total, async_op=True)
        while waiting is not None and not waiting.is_completed():
            time.sleep(_POLL)
        return bool(total.item())


def _end(processes: Sequence[Popen[Any]]) -> None:
    """Terminate processes, and give them time to clean up."""
    for process in processes:
        process.terminate()
    end = time.monotonic() + _GRACE
    while any(process.poll() is None for process in processes) and time.monotonic() < end:
        time.sleep(_POLL)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


@contextmanager
def _hushed() -> Iterator[None]:
    """Hide messages of Lightning that do not apply here."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        for logger in loggers:
            logger.setLevel(logging.WARNING)
        for message in (".*does not have many workers.*", ".*LeafSpec.*", "predict returned None"):
            warnings.filterwarnings("ignore", message=message)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
