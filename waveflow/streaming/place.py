"""Where on the way from latent to audio a stage stands."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor


@dataclass(frozen=True)
class Place:
    """Where on the way from latent to audio a stage stands.

    Attributes:
        step: samples of audio for each step there.
        context_row: samples of audio for each row of the context.
        like: a tensor, for precision and device.
    """

    step: int
    context_row: int
    like: Tensor

    @property
    def ratio(self) -> int:
        """Steps for each row of the context."""
        return self.context_row // self.step

    def of_step(self, step: int) -> Place:
        """The place where each step is so many samples."""
        return replace(self, step=step)
