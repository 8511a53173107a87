"""Callbacks around the training steps: time limit, signals, checkpoints."""

from __future__ import annotations

import math
import signal
import threading
import time
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Any, cast

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from waveflow.training.checkpoint import checkpoint_path
from waveflow.training.module import LikelihoodTraining
from waveflow.training.recovery import Recovery

TOGETHER = 2.0
"""Seconds within which several signals count as one request."""


class StepCallback(Callback):
    """Calls :meth:`on_step` after every step of the optimiser, for any number of parts."""

    _step = 0

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        self._step = trainer.global_step

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *args: object) -> None:
        if trainer.global_step > self._step:
            self._step = trainer.global_step
            self.on_step(trainer, cast(LikelihoodTraining, module))

    def on_step(self, trainer: Trainer, module: LikelihoodTraining) -> None:
        """Handle the end of a step."""
        raise NotImplementedError


class StopCallback(StepCallback):
    """Stops the run after a step, at its time limit or on a signal, so that it can resume later.

    SIGTERM and Ctrl-C request a stop. A second signal within :data:`TOGETHER` seconds belongs to
    the same request, because a scheduler signals a script and its processes, and the script passes
    its own signal on. A later signal has its usual effect.

    Args:
        max_time: time from now after which the run stops; None is no limit.
    """

    def __init__(self, max_time: timedelta | None = None):
        limit = math.inf if max_time is None else max_time.total_seconds()
        self.deadline = time.monotonic() + limit
        self.reason: str | None = None
        self._signal: int | None = None
        self._signalled = 0.0
        self._before: dict[int, Any] = {}

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        super().on_train_start(trainer, module)
        if threading.current_thread() is threading.main_thread():  # signals need the main thread
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, self._note)

    def on_step(self, trainer: Trainer, module: LikelihoodTraining) -> None:
        is_late = time.monotonic() > self.deadline
        must_stop = is_late or self._signal is not None
        # all devices stop after the same step
        if trainer.strategy.reduce_boolean_decision(must_stop, all=False):
            named = None if self._signal is None else signal.Signals(self._signal).name
            self.reason = named or ("time limit" if is_late else "another device")
            trainer.should_stop = True

    def teardown(self, *args: object, **kwargs: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._signal is None:
            self._signal, self._signalled = number, now
        elif now > self._signalled + TOGETHER:  # restores its usual effect
            signal.signal(number, self._before[number])
            signal.raise_signal(number)


class Autotune(Callback):
    """Lets cuDNN search for its fastest convolutions in training steps, where shapes repeat.

    Every validation clip has its own length, and cuDNN would search again for each.
    """

    def __init__(self) -> None:
        self._before = torch.backends.cudnn.benchmark

    def on_train_batch_start(self, *args: object) -> None:
        self._before = torch.backends.cudnn.benchmark
        torch.backends.cudnn.benchmark = True

    def on_train_batch_end(self, *args: object) -> None:
        torch.backends.cudnn.benchmark = self._before

    def on_exception(self, *args: object) -> None:
        self.on_train_batch_end()


class CheckpointCallback(StepCallback):
    """Writes checkpoints and the averaged vocoder at intervals and at the end of the run.

    Nothing is written while gradients are not finite, so a diverged run can return to a good
    checkpoint.

    Args:
        checkpoints: folder of the checkpoints.
        model: folder of the averaged vocoder.
    """

    def __init__(self, checkpoints: Path, model: Path):
        self.checkpoints = checkpoints
        self.model = model
        self.recovery = Recovery(checkpoints)

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        super().on_train_start(trainer, module)
        self._saved = trainer.global_step
        if trainer.global_step == 0:
            self._save(trainer)

    def on_step(self, trainer: Trainer, module: LikelihoodTraining) -> None:
        if self.recovery.check(trainer, module) or module.number("skipped_in_a_row"):
            return
        if trainer.global_step % module.config.run.checkpoint_every == 0:
            self._save(trainer)
        if trainer.global_step % module.config.run.validate_every == 0:
            self._export(trainer, module)

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        module = cast(LikelihoodTraining, module)
        if self._saved < trainer.global_step and not module.number("skipped_in_a_row"):
            self._save(trainer)
        self._export(trainer, module)

    def _save(self, trainer: Trainer) -> None:
        trainer.save_checkpoint(checkpoint_path(self.checkpoints, trainer.global_step))
        self._saved = trainer.global_step

    def _export(self, trainer: Trainer, module: LikelihoodTraining) -> None:
        if trainer.is_global_zero:
            module.averaged_vocoder.save_pretrained(self.model)
