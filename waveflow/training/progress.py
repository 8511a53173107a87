"""The progress of a run: a bar on a terminal, lines in a log file."""

from __future__ import annotations

import sys
import time
from datetime import timedelta
from typing import Any, cast

from lightning.pytorch import LightningModule, Trainer
from tqdm import tqdm

from waveflow.training.callbacks import StepCallback
from waveflow.training.module import LikelihoodTraining


class ShowProgress(StepCallback):
    """Steps, steps per second, nats per sample, gradient norm and time left, on stderr.

    Without a terminal it prints a line every ``run.report_seconds`` of the recipe.
    """

    REFRESH = 0.5
    """Seconds between updates of the bar; each makes the GPU wait."""

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        super().on_train_start(trainer, module)
        mode = cast(LikelihoodTraining, module).config.compute.compile
        if mode is not None and trainer.is_global_zero:
            print(
                f"compiling the conditioners (compute.compile: {mode}): the first step takes "
                "longer, on a GPU up to some minutes",
                file=sys.stderr,
                flush=True,
            )
        self._bar: tqdm[Any] = tqdm(
            total=trainer.max_steps,
            initial=trainer.global_step,
            unit="step",
            dynamic_ncols=True,
            disable=not trainer.is_global_zero or not (sys.stderr and sys.stderr.isatty()),
        )
        self._started = self._shown = time.monotonic()
        self._first = trainer.global_step

    def on_step(self, trainer: Trainer, module: LikelihoodTraining) -> None:
        now = time.monotonic()
        interval = module.config.run.report_seconds if self._bar.disable else self.REFRESH
        if not trainer.is_global_zero or now - self._shown < interval:
            return
        self._shown = now
        figures = self._figures(trainer)
        self._bar.set_postfix_str(", ".join(figures), refresh=False)
        self._bar.update(trainer.global_step - self._bar.n)
        if self._bar.disable and sys.stderr:
            rate = (trainer.global_step - self._first) / max(now - self._started, 1e-9)
            left = timedelta(seconds=round((trainer.max_steps - trainer.global_step) / rate))
            steps = f"step {trainer.global_step}/{trainer.max_steps}"
            line = [steps, f"{rate:.2f} steps/s", *figures, f"{left} left"]
            print(", ".join(line), file=sys.stderr, flush=True)

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        self._bar.update(trainer.global_step - self._bar.n)
        self._bar.close()

    def on_exception(self, *args: object) -> None:
        if hasattr(self, "_bar"):
            self._bar.close()

    @staticmethod
    def _figures(trainer: Trainer) -> list[str]:
        metrics = trainer.callback_metrics
        shown = [f"{float(metrics['train/nats_per_sample']):.3f} nats/sample"]
        if "validation/nats_per_sample" in metrics:
            shown.append(f"{float(metrics['validation/nats_per_sample']):.3f} on validation")
        shown.append(f"grad norm {float(metrics['train/grad_norm']):.0f}")
        if skipped := int(metrics["train/skipped_steps"]):
            shown.append(f"{skipped} skipped")
        return shown
