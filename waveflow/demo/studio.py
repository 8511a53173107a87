"""The vocoders, loaded once, and the few threads that compute with them."""

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
from waveflow.pretrained.hub import bundled
from waveflow.vocoder import Vocoder

Result = TypeVar("Result")

MOST_WORKERS = 8


class Studio:
    """Vocoders by name, and a pool in which all visitors' work is done.

    Vocoders are in evaluation mode and on the CPU; nothing that is done here changes them, so
    threads share them. Each worker computes with one thread of its own: more of them than cores
    would only wait for one another.

    Args:
        models: folders or names besides the bundled ones, as ``Vocoder.from_pretrained`` takes
            them; the first is the default.
        limits: what visitors may ask for.
        workers: requests that are worked on at a time; by default one a core, 8 at most.

    Raises:
        ValueError, OSError: a model that cannot be loaded, or two of one name.
    """

    def __init__(
        self,
        models: Sequence[str] = (),
        *,
        limits: Limits | None = None,
        workers: int | None = None,
    ):
        self.limits = limits or Limits()
        self.workers = workers or max(1, min(os.cpu_count() or 1, MOST_WORKERS))
        given = {label(model): model for model in models}
        if len(given) < len(models):
            raise ValueError(f"expected models of different names; got {', '.join(models)}")
        ordered = ["ljspeech", *(name for name in bundled() if name != "ljspeech")]
        sources = given | {name: name for name in ordered if name not in given}
        self._vocoders = {name: Vocoder.from_pretrained(source) for name, source in sources.items()}
        self._log_mels = {
            name: LogMel(vocoder.config.mel) for name, vocoder in self._vocoders.items()
        }
        torch.set_num_threads(1)
        self._pool = ThreadPoolExecutor(self.workers, thread_name_prefix="studio")
        self.denoiser = lru_cache(maxsize=16)(self._denoiser)

    @property
    def names(self) -> list[str]:
        """Of the vocoders; the first is the default."""
        return list(self._vocoders)

    def vocoder(self, name: str) -> Vocoder:
        """The vocoder of a name.

        Raises:
            ValueError: there is none.
        """
        return self._vocoders[self._known(name)]

    def log_mel(self, name: str) -> LogMel:
        """The front end of the vocoder of a name.

        Raises:
            ValueError: there is none.
        """
        return self._log_mels[self._known(name)]

    def run(self, work: Callable[[], Result]) -> Result:
        """The result of ``work``, done by one of the workers when its turn comes."""
        return self._pool.submit(_inference, work).result()

    def close(self) -> None:
        """Let the workers go, once they are done."""
        self._pool.shutdown()

    def _known(self, name: str) -> str:
        if name not in self._vocoders:
            raise ValueError(f"expected a model among {', '.join(self.names)}; got {name}")
        return name

    def _denoiser(self, name: str, temperature: float, consistency: int) -> Denoiser:
        return Denoiser.of(self.vocoder(name), temperature=temperature, consistency=consistency)


def label(model: str) -> str:
    """What visitors see of a name or a path: its last part, two of a run's ``model``."""
    path = Path(model)
    parts = [part for part in path.parts[-2:] if part not in ("/", "..", ".")]
    return "/".join(parts) if path.name == "model" else path.name or model


def _inference(work: Callable[[], Result]) -> Result:
    with torch.no_grad():
        return work()
