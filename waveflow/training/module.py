"""Training by exact likelihood, as a Lightning module."""

from __future__ import annotations

import math
from collections import defaultdict
from functools import partial
from typing import Any, cast

import lightning.pytorch as lightning
import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from waveflow.bijections import ActNorm, Chain, Coupling, Reversible
from waveflow.bijections.cached import CachedScalar
from waveflow.nets import Bounded
from waveflow.training.config import ComputeConfig, TrainingConfig
from waveflow.vocoder import Vocoder


class MovingAverage(AveragedModel):
    """A vocoder whose weights are the exponential moving average of another's weights.

    After n updates the decay is min(decay, (1 + n) / (10 + n)), so early weights count little.

    Args:
        model: vocoder that the average starts from.
        decay: decay of the average.
    """

    def __init__(self, model: Vocoder, *, decay: float):
        super().__init__(model)
        self.decay = decay
        self._count = CachedScalar()

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Move towards a model's weights; the first update copies them. Buffers are copied."""
        n = int(self._count.read(self.n_averaged))
        step = 1 - min(self.decay, (1 + n) / (10 + n)) if n else 1.0
        torch._foreach_lerp_(list(self.module.parameters()), list(model.parameters()), step)
        for own, buffer in zip(self.module.buffers(), model.buffers(), strict=True):
            own.copy_(buffer)
        self._count.write(self.n_averaged, n + 1)


class LikelihoodTraining(lightning.LightningModule):
    """Maximises nats per sample, and keeps a moving average of the weights.

    Steps whose gradient is not finite change nothing and are counted.

    Args:
        config: the recipe.
        start: vocoder whose weights the training starts from, if the recipe's model
            ``grows_from`` it; None is random weights.
    """

    skipped_steps: Tensor
    skipped_in_a_row: Tensor
    rate_scale: Tensor

    def __init__(self, config: TrainingConfig, *, start: Vocoder | None = None):
        super().__init__()
        self.config = config
        self.vocoder = Vocoder(config.vocoder)
        if start is not None:
            grown = config.model != start.config.model
            self.vocoder.load_state_dict(start.state_dict(), strict=not grown)
        self.average = MovingAverage(self.vocoder, decay=config.optimizer.ema_decay)
        self.average.requires_grad_(False)
        _prepare(self.vocoder, config.compute)
        self.register_buffer("skipped_steps", torch.tensor(0))
        self.register_buffer("skipped_in_a_row", torch.tensor(0))
        self.register_buffer("rate_scale", torch.tensor(1.0, dtype=torch.float32))
        self._numbers: defaultdict[str, CachedScalar] = defaultdict(CachedScalar)

    @property
    def averaged_vocoder(self) -> Vocoder:
        """The vocoder with the averaged weights, which is validated and exported."""
        return cast(Vocoder, self.average.module)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Groups of the optimiser, the vocoder first, with their peak learning rate and warm-up.

        The gradient of each group is clipped separately.
        """
        config = self.config.optimizer
        return [
            {
                "params": list(self.vocoder.parameters()),
                "lr": config.learning_rate,
                "warmup_steps": config.warmup_steps,
            }
        ]

    def number(self, name: str) -> float:
        """The value of ``skipped_steps``, ``skipped_in_a_row`` or ``rate_scale``; no GPU waits."""
        return self._numbers[name].read(getattr(self, name))

    def set_number(self, name: str, value: float) -> None:
        """Set ``skipped_steps``, ``skipped_in_a_row`` or ``rate_scale``."""
        self._numbers[name].write(getattr(self, name), value)

    def on_train_start(self) -> None:
        """Initialise layers that depend on data from the whole first batch, on every device."""
        norms = [module for module in self.vocoder.modules() if isinstance(module, ActNorm)]
        if not all(norm.initialized for norm in norms):
            audio, mel = cast(Any, self.trainer).datamodule.first_batch()
            with torch.no_grad():
                self._log_prob(audio.to(self.device), mel.to(self.device))

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        audio, mel = batch
        nats = self._log_prob(audio, mel).sum() / audio.numel()
        self.log("train/nats_per_sample", nats, sync_dist=True, batch_size=len(audio))
        return -nats

    def configure_gradient_clipping(
        self, optimizer: torch.optim.Optimizer, *args: object, **kwargs: object
    ) -> None:
        """Clip the gradient, or drop it if it is not finite."""
        limit = self.config.optimizer.clip_norm
        norms = [
            nn.utils.clip_grad_norm_(group["params"], limit) for group in optimizer.param_groups
        ]
        if torch.stack(norms).isfinite().all():  # the only wait for a GPU in a step
            if self.number("skipped_in_a_row"):
                self.set_number("skipped_in_a_row", 0)
        else:
            for name in ("skipped_steps", "skipped_in_a_row"):
                self.set_number(name, int(self.number(name)) + 1)
            optimizer.zero_grad()
        self.log("train/grad_norm", norms[0])
        self.log("train/skipped_steps", self.skipped_steps.float())

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Step, then update the average at once, because callbacks save right after."""
        super().optimizer_step(*args, **kwargs)
        if self.trainer.world_size > 1:
            self._share_ranges()
        if not self.number("skipped_in_a_row"):
            self.average.update_parameters(self.vocoder)

    def on_validation_epoch_start(self) -> None:
        self._sums = torch.zeros(2, dtype=torch.float64, device="cpu")

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> None:
        audio, mel = batch
        if not audio.numel():  # there are fewer clips than devices
            return
        nats = self.averaged_vocoder.log_prob(audio, mel).double().sum().cpu()
        self._sums += torch.stack([nats, torch.full_like(nats, audio.numel())])

    def on_validation_epoch_end(self) -> None:
        sums = self.trainer.strategy.reduce(self._sums.to(self.device), reduce_op="sum")
        nats, samples = sums.tolist()
        self.log("validation/nats_per_sample", nats / samples, sync_dist=True)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        config = self.config.optimizer

        def schedule(warmup_steps: int, step: int) -> float:
            progress = min(1.0, step / config.max_steps)
            warmup = min(1.0, (step + 1) / max(1, warmup_steps))
            return self.number("rate_scale") * warmup * 0.5 * (1 + math.cos(math.pi * progress))

        groups = self.parameter_groups()
        optimizer = torch.optim.Adam(groups, betas=(config.beta1, config.beta2), fused=True)
        scheduler = torch.optim.lr_scheduler.LambdaLR(
            optimizer, [partial(schedule, group["warmup_steps"]) for group in groups]
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    def _share_ranges(self) -> None:
        """Merge the ranges of bounded layers over all devices."""
        layers = [layer for layer in self.vocoder.modules() if isinstance(layer, Bounded)]
        if not layers:
            return
        least = torch.cat([torch.cat([layer.low, -layer.high]) for layer in layers])
        torch.distributed.all_reduce(least, torch.distributed.ReduceOp.MIN)
        sizes = [2 * len(layer.low) for layer in layers]
        for layer, both in zip(layers, least.split(sizes), strict=True):
            low, negative_high = both.chunk(2)
            layer.low.copy_(low)
            layer.high.copy_(-negative_high)

    def _log_prob(self, audio: Tensor, mel: Tensor) -> Tensor:
        """Nats of each crop, (batch,)."""
        return self.vocoder.flow.log_prob(audio, self.vocoder.context_net(mel))


def _prepare(vocoder: Vocoder, config: ComputeConfig) -> None:
    """Apply ``reversible`` and ``compile`` to a vocoder; parameter names and values stay."""
    flow = vocoder.flow
    if config.reversible:
        flow.bijection = Reversible(*cast(Chain, flow.bijection).bijections)
    if config.compile is not None:
        couplings = [block for block in flow.modules() if isinstance(block, Coupling)]
        programs = 4 * len(couplings)  # each may have its own size, with and without gradients
        limits = torch._dynamo.config  # beyond its limits torch stops compiling silently
        limits.recompile_limit = max(limits.recompile_limit, programs)
        limits.accumulated_recompile_limit = max(limits.accumulated_recompile_limit, programs)
        for block in couplings:
            block.conditioner.compile(mode=config.compile, dynamic=False)
