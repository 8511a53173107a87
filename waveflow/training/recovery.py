"""Recovery: return a run that has diverged to a checkpoint."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, cast

import torch
from lightning.pytorch import Trainer

from waveflow.bijections.conv1x1 import condition_numbers
from waveflow.training.checkpoint import checkpoint_step, newest_checkpoint
from waveflow.training.module import LikelihoodTraining

WORRYING, HOPELESS = 1e4, 1e6
"""Condition numbers of a 1x1 matrix: an inversion loses as many of float32's seven digits as the
number has zeros."""
TRIES = 5
"""Number of times that a run may return to the same checkpoint."""


class Recovery:
    """Returns a run that has diverged to its last good checkpoint, with a lower learning rate.

    A run has diverged if the recipe's ``patience`` steps in a row had no finite gradient, or if a
    1x1 matrix is so close to singular that its inverse is meaningless in float32. The matrices are
    checked every ``log_every`` steps. The learning rate falls by ``backoff``. The step count
    continues, so other crops follow.

    Args:
        checkpoints: folder of the checkpoints.
    """

    def __init__(self, checkpoints: Path):
        self.checkpoints = checkpoints
        self._worrying: set[str] = set()
        self._tries: dict[Path, int] = {}

    def check(self, trainer: Trainer, module: LikelihoodTraining) -> bool:
        """Check whether the run has diverged, and return it if so; the result is whether it did."""
        reason = self._divergence(trainer, module)
        if reason is not None:
            self._return_to_checkpoint(trainer, module, reason)
        return reason is not None

    def _divergence(self, trainer: Trainer, module: LikelihoodTraining) -> str | None:
        patience = module.config.optimizer.patience
        if module.number("skipped_in_a_row") >= patience:
            return f"{patience} steps in a row had no finite gradient"
        if trainer.global_step % module.config.run.log_every:
            return None
        for name, condition in condition_numbers(module.vocoder.flow.bijection).items():
            if not condition < HOPELESS:
                return f"the 1x1 matrix {name} is almost singular (condition {condition:.1e})"
            if condition > WORRYING and name not in self._worrying:
                self._worrying.add(name)
                _warn(
                    trainer,
                    f"the 1x1 matrix {name} is close to singular (condition {condition:.1e}); "
                    "a lower learning rate helps",
                )
        return None

    def _return_to_checkpoint(self, trainer: Trainer, module: LikelihoodTraining, why: str) -> None:
        path = newest_checkpoint(self.checkpoints)
        if path is None:
            raise ValueError(
                f"step {trainer.global_step}: {why}, and there is no checkpoint to return to"
            )
        self._tries[path] = self._tries.get(path, 0) + 1
        if self._tries[path] > TRIES:
            raise ValueError(
                f"step {trainer.global_step}: {why}, as after each of {TRIES} returns to {path}: "
                f"expected a finite likelihood of this data at a learning rate of "
                f"{_rate(trainer):.1e}; try a lower rate, or run waveflow score on the clips"
            )
        scale, skipped = module.number("rate_scale"), module.number("skipped_steps")
        state = torch.load(path, map_location="cpu", weights_only=True)  # a GPU may be full
        module.load_state_dict(state["state_dict"])
        trainer.optimizers[0].load_state_dict(state["optimizer_states"][0])
        module.set_number("rate_scale", scale * module.config.optimizer.backoff)
        module.set_number("skipped_steps", skipped)
        _set_rate(trainer)
        _warn(
            trainer,
            f"{why}; returned to the weights of step {checkpoint_step(path)}, with a learning rate "
            f"of {_rate(trainer):.1e} from here",
        )


def _rate(trainer: Trainer) -> float:
    return trainer.optimizers[0].param_groups[0]["lr"]


def _set_rate(trainer: Trainer) -> None:
    """Set the rates of the next step now, because the scheduler sets rates only after steps."""
    scheduler = cast(Any, trainer.lr_scheduler_configs[0].scheduler)
    groups = trainer.optimizers[0].param_groups
    for group, base, factor in zip(groups, scheduler.base_lrs, scheduler.lr_lambdas, strict=True):
        group["lr"] = base * factor(scheduler.last_epoch)


def _warn(trainer: Trainer, text: str) -> None:
    if trainer.is_global_zero:
        warnings.warn(f"step {trainer.global_step}: {text}", stacklevel=2)
