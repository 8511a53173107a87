"""Training by exact likelihood, as a Lightning module."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias, cast

import lightning.pytorch as lightning
import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from waveflow.training.config import TrainingConfig
from waveflow.vocoder import Vocoder

_Tensors: TypeAlias = list[Tensor] | tuple[Tensor, ...]


class LikelihoodTraining(lightning.LightningModule):
    """Maximises nats per sample; keeps a moving average of the weights beside the weights.

    Steps whose gradient is not finite change nothing and are counted.

    Args:
        config: the recipe.
    """

    skipped_steps: Tensor

    def __init__(self, config: TrainingConfig):
        super().__init__()
        self.config = config
        self.vocoder = Vocoder(config.vocoder)
        self.average = AveragedModel(
            self.vocoder, multi_avg_fn=_moving_average(config.optimizer.ema_decay)
        )
        self.average.requires_grad_(False)
        self.register_buffer("skipped_steps", torch.tensor(0))
        self._step_is_finite = True

    @property
    def averaged_vocoder(self) -> Vocoder:
        """The vocoder to keep."""
        return cast(Vocoder, self.average.module)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        audio, mel = batch
        log_prob = self.vocoder.flow.log_prob(audio, self.vocoder.context_net(mel))
        nats = log_prob.sum() / audio.numel()
        self.log("train/nats_per_sample", nats, prog_bar=True)
        return -nats

    def configure_gradient_clipping(self, *args: object, **kwargs: object) -> None:
        """Clip the gradient, or drop it if it is not finite."""
        norm = torch.nn.utils.clip_grad_norm_(
            self.vocoder.parameters(), self.config.optimizer.clip_norm
        )
        self._step_is_finite = bool(norm.isfinite())
        if not self._step_is_finite:
            self.skipped_steps += 1
            for parameter in self.vocoder.parameters():
                parameter.grad = None
        self.log("train/grad_norm", norm)
        self.log("train/skipped_steps", self.skipped_steps.float())

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Step, and average at once: callbacks that save come right after."""
        super().optimizer_step(*args, **kwargs)
        if self._step_is_finite:
            self.average.update_parameters(self.vocoder)

    def on_validation_epoch_start(self) -> None:
        self._nats = torch.zeros((), dtype=torch.float64)
        self._samples = 0

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> None:
        audio, mel = batch
        self._nats += self.averaged_vocoder.log_prob(audio, mel).double().sum().cpu()
        self._samples += audio.numel()

    def on_validation_epoch_end(self) -> None:
        nats = (self._nats / self._samples).float()
        self.log("validation/nats_per_sample", nats, prog_bar=True)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        config = self.config.optimizer
        optimizer = torch.optim.Adam(
            self.vocoder.parameters(),
            lr=config.learning_rate,
            betas=(config.beta1, config.beta2),
            fused=True,
        )

        def schedule(step: int) -> float:
            progress = min(1.0, step / config.max_steps)
            warmup = min(1.0, (step + 1) / max(1, config.warmup_steps))
            return warmup * 0.5 * (1 + math.cos(math.pi * progress))

        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, schedule)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }


def _moving_average(decay: float) -> Callable[[_Tensors, _Tensors, Tensor | int], None]:
    """An exponential moving average that forgets its beginning: decay min(decay, (1+n)/(10+n))."""

    @torch.no_grad()
    def update(averaged: _Tensors, current: _Tensors, count: Tensor | int) -> None:
        n = int(count)
        torch._foreach_lerp_(averaged, current, 1 - min(decay, (1 + n) / (10 + n)))

    return update
