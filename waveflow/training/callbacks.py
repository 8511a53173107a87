"""What keeps a run safe beside the training steps: the clock, signals, checkpoints, going back."""

from __future__ import annotations

import signal
import threading
import time
import warnings
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Any, cast

import lightning.pytorch as lightning
import torch

from waveflow.bijections.conv1x1 import condition_numbers
from waveflow.training.checkpoint import checkpoint_path, checkpoint_step, newest_checkpoint
from waveflow.training.module import LikelihoodTraining


class EachStep(lightning.Callback):
    """Calls :meth:`on_step` after every step of the optimiser, however many parts it had."""

    _step = 0

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        self._step = trainer.global_step

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, *args: object
    ) -> None:
        if trainer.global_step > self._step:
            self._step = trainer.global_step
            self.on_step(trainer, cast(LikelihoodTraining, module))

    def on_step(self, trainer: lightning.Trainer, module: LikelihoodTraining) -> None:
        """What to do."""
        raise NotImplementedError


class StopInTime(EachStep):
    """Stops after a step, so that the run can go on later: when time is over, or when told to.

    SIGTERM and Ctrl-C are taken as requests; a second one of them is not.

    Args:
        deadline: of :func:`time.monotonic`; none by default.
    """

    def __init__(self, deadline: float | None = None):
        self.deadline = deadline
        self.reason: str | None = None
        self._signal: int | None = None
        self._before: dict[int, Any] = {}

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        super().on_train_start(trainer, module)
        if threading.current_thread() is threading.main_thread():  # Python's rule for signals
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, self._note)

    def on_step(self, trainer: lightning.Trainer, module: LikelihoodTraining) -> None:
        late = self.deadline is not None and time.monotonic() > self.deadline
        wanted = late or self._signal is not None
        if trainer.world_size > 1:  # all devices stop after the same step
            wanted = trainer.strategy.reduce_boolean_decision(wanted, all=False)
        if wanted:
            named = None if self._signal is None else signal.Signals(self._signal).name
            self.reason = named or ("time limit" if late else "another device")
            trainer.should_stop = True

    def teardown(self, *args: object, **kwargs: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._signal = number
        signal.signal(number, self._before[number])  # the next one acts as it did before


class KeepRun(EachStep):
    """Writes a checkpoint to resume from and the averaged vocoder, every so often and at the end.

    While gradients are not finite nothing is written: what is kept is good.

    Args:
        checkpoints: folder of the checkpoints.
        model: folder of the vocoder.
        every: steps between checkpoints.
        export_every: steps between exports of the vocoder.
    """

    def __init__(self, checkpoints: Path, model: Path, *, every: int, export_every: int):
        self.checkpoints = checkpoints
        self.model = model
        self.every = every
        self.export_every = export_every

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        super().on_train_start(trainer, module)
        self._saved = trainer.global_step
        if trainer.global_step == 0:
            self._save(trainer)

    def on_step(self, trainer: lightning.Trainer, module: LikelihoodTraining) -> None:
        if module.skipped_in_a_row:
            return
        if trainer.global_step % self.every == 0:
            self._save(trainer)
        if trainer.global_step % self.export_every == 0:
            self._export(trainer, module)

    def on_train_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        module = cast(LikelihoodTraining, module)
        if self._saved < trainer.global_step and not module.skipped_in_a_row:
            self._save(trainer)
        self._export(trainer, module)

    def _save(self, trainer: lightning.Trainer) -> None:
        trainer.save_checkpoint(checkpoint_path(self.checkpoints, trainer.global_step))
        self._saved = trainer.global_step

    def _export(self, trainer: lightning.Trainer, module: LikelihoodTraining) -> None:
        if trainer.is_global_zero:
            module.averaged_vocoder.save_pretrained(self.model)


class GoBack(EachStep):
    """Takes a run that has gone wrong back to its last good checkpoint, at a lower rate.

    Wrong is: no finite gradient for ``patience`` steps, or a 1x1 matrix so nearly singular that
    its inverse means nothing in float32. The step count goes on, so other crops follow.

    Args:
        checkpoints: folder of the checkpoints.
        patience: steps in a row without a finite gradient.
        backoff: factor of the learning rate.
        look_every: steps between looks at the matrices.
    """

    WORRYING, HOPELESS = 1e4, 1e6
    """Condition numbers of a 1x1 matrix: digits that an inversion costs, of float32's seven."""
    TRIES = 5
    """How often a run may go back to the same checkpoint."""

    def __init__(self, checkpoints: Path, *, patience: int, backoff: float, look_every: int):
        self.checkpoints = checkpoints
        self.patience = patience
        self.backoff = backoff
        self.look_every = look_every
        self._worrying: set[str] = set()
        self._tries: dict[Path, int] = {}

    def on_step(self, trainer: lightning.Trainer, module: LikelihoodTraining) -> None:
        if int(module.skipped_in_a_row) >= self.patience:
            self._go_back(trainer, module, f"{self.patience} steps in a row had no finite gradient")
        elif trainer.global_step % self.look_every == 0:
            conditions = condition_numbers(module.vocoder.flow.bijection)
            hopeless = {name: k for name, k in conditions.items() if not k < self.HOPELESS}
            for name, condition in conditions.items():
                if condition > self.WORRYING and name not in self._worrying | hopeless.keys():
                    self._worrying.add(name)
                    _warn(
                        trainer,
                        f"step {trainer.global_step}: the 1x1 matrix {name} is nearing singularity "
                        f"(condition {condition:.1e}); a lower learning rate helps",
                    )
            for name, condition in list(hopeless.items())[:1]:
                why = f"the 1x1 matrix {name} is all but singular (condition {condition:.1e})"
                self._go_back(trainer, module, why)

    def _go_back(self, trainer: lightning.Trainer, module: LikelihoodTraining, why: str) -> None:
        path = newest_checkpoint(self.checkpoints)
        if path is None:
            raise ValueError(f"step {trainer.global_step}: {why}, and no checkpoint to go back to")
        self._tries[path] = self._tries.get(path, 0) + 1
        if self._tries[path] > self.TRIES:
            raise ValueError(
                f"step {trainer.global_step}: {why}, as after each of {self.TRIES} returns to "
                f"{path}: expected a finite likelihood on this data at a learning rate of "
                f"{self._rate(trainer):.1e}; try a lower one, or waveflow score on the clips"
            )
        scale, skipped = module.rate_scale.clone(), module.skipped_steps.clone()
        state = torch.load(path, map_location=module.device, weights_only=True)
        module.load_state_dict(state["state_dict"])
        trainer.optimizers[0].load_state_dict(state["optimizer_states"][0])
        module.rate_scale.copy_(scale * self.backoff)
        module.skipped_steps.copy_(skipped)
        module.skipped_in_a_row.zero_()
        self._apply_rate(trainer)
        _warn(
            trainer,
            f"step {trainer.global_step}: {why}; went back to the weights of step "
            f"{checkpoint_step(path)}, at a learning rate of {self._rate(trainer):.1e} from here",
        )

    @staticmethod
    def _rate(trainer: lightning.Trainer) -> float:
        return trainer.optimizers[0].param_groups[0]["lr"]

    @staticmethod
    def _apply_rate(trainer: lightning.Trainer) -> None:
        """The scheduler sets rates after steps; the next one needs its own now."""
        scheduler = cast(Any, trainer.lr_scheduler_configs[0].scheduler)
        groups = trainer.optimizers[0].param_groups
        for group, base, factor in zip(
            groups, scheduler.base_lrs, scheduler.lr_lambdas, strict=True
        ):
            group["lr"] = base * factor(scheduler.last_epoch)


def deadline(limit: timedelta | None) -> float | None:
    """The :func:`time.monotonic` at which a limit that begins now is over."""
    return None if limit is None else time.monotonic() + limit.total_seconds()


def _warn(trainer: lightning.Trainer, text: str) -> None:
    if trainer.is_global_zero:
        warnings.warn(text, stacklevel=3)
