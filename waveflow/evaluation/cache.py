"""A cache of measures of recordings, for several copies of the same recording."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Generic, TypeVar

from torch import Tensor

Measure = TypeVar("Measure")

_MOST = 1024  # measures, a few kilobytes each


class MeasureCache(Generic[Measure]):
    """A cache of at most 1024 measures of audio, by its samples and sample rate.

    >>> import torch
    >>> cache = MeasureCache()
    >>> def loudest(audio, sample_rate):
    ...     print("measured")
    ...     return audio.max().item()
    >>> cache.of(torch.ones(3), 22050, loudest)
    measured
    1.0
    >>> cache.of(torch.ones(3), 22050, loudest)
    1.0
    """

    def __init__(self) -> None:
        self._known: dict[bytes, Measure] = {}

    def of(
        self, audio: Tensor, sample_rate: int, measure: Callable[[Tensor, int], Measure]
    ) -> Measure:
        """``measure(audio, sample_rate)``, computed once for the same samples and sample rate.

        Args:
            audio: audio, (time,).
            sample_rate: sample rate of the audio, Hz.
            measure: function to compute; the same one in every call.
        """
        samples = audio.detach().double().cpu().numpy().tobytes()
        key = hashlib.sha256(samples + str(sample_rate).encode()).digest()
        if key not in self._known:
            if len(self._known) >= _MOST:
                self._known.pop(next(iter(self._known)))
            self._known[key] = measure(audio, sample_rate)
        return self._known[key]
