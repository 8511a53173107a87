"""The vocoders, loaded once, and the threads that compute with them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import torch

from waveflow.audio.mel import LogMel
from waveflow.demo.limits import Limits
from waveflow.inference.denoiser import Denoiser
from waveflow.interop.convention import front_end
from waveflow.pretrained.hub import bundled
from waveflow.vocoder import Vocoder

Result = TypeVar("Result")

MOST_WORKERS = 8


class Backend:
    """Vocoders by name, and a thread pool that serves the requests of all visitors.

    Vocoders are in evaluation mode on the CPU. Nothing here changes them, so threads share them.
    Each worker computes with one thread; more threads than cores would only wait for one another.

    Args:
        models: folders or names, as ``Vocoder.from_pretrained`` takes them, in addition to the
            bundled models; the first is the default.
        limits: limits of a request.
        workers: requests processed at a time; None is one per core, 8 at most.

    Raises:
        ValueError, OSError: a model cannot be loaded, or two have the same name.
    """

    def __init__(
        self,
        models: Sequence[str] = (),
        *,
        limits: Limits | None = None,
        workers: int | None = None,
    ):
        self.limits = limits or Limits()
        self.workers = workers or min(os.cpu_count() or 1, MOST_WORKERS)
        sources = {label(model): model for model in models}
        if len(sources) < len(models):
            raise ValueError(f"expected models of different names; got {', '.join(models)}")
        for name in ("ljspeech", *bundled()):
            sources.setdefault(name, name)
        self._vocoders = {name: Vocoder.from_pretrained(source) for name, source in sources.items()}
        torch.set_num_threads(1)
        self._pool = ThreadPoolExecutor(self.workers, thread_name_prefix="backend")
        self.denoiser = lru_cache(maxsize=16)(self._denoiser)

    @property
    def names(self) -> list[str]:
        """Names of the vocoders; the first is the default."""
        return list(self._vocoders)

    def vocoder(self, name: str) -> Vocoder:
        """The vocoder of a name.

        Raises:
            ValueError: the name is unknown.
        """
        if name not in self._vocoders:
            raise ValueError(f"expected a model among {', '.join(self.names)}; got {name}")
        return self._vocoders[name]

    def log_mel(self, name: str) -> LogMel:
        """The front end of the vocoder of a name.

        Raises:
            ValueError: the name is unknown.
        """
        return front_end(self.vocoder(name).config.mel)

    def run(self, work: Callable[[], Result]) -> Result:
        """Run ``work`` on one of the workers, wait, and return its result."""
        return self._pool.submit(torch.no_grad()(work)).result()

    def close(self) -> None:
        """Wait for the workers, and end them."""
        self._pool.shutdown()

    def _denoiser(self, name: str, temperature: float, consistency: int) -> Denoiser:
        return Denoiser.of(self.vocoder(name), temperature=temperature, consistency=consistency)


def label(model: str) -> str:
    """The label of a name or path: its last part, or the last two if it ends in ``model``."""
    path = Path(model)
    parts = [part for part in path.parts[-2:] if part not in ("/", "..", ".")]
    return "/".join(parts) if path.name == "model" else path.name or model
