"""The rates at a place between latent and audio."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor


@dataclass(frozen=True)
class Place:
    """The rates at the place between latent and audio where a stage stands.

    Attributes:
        step: Samples of audio for each step at this place.
        context_row: Samples of audio for each row of the context.
        like: A tensor with the precision and device of the computation.
    """

    step: int
    context_row: int
    like: Tensor

    @property
    def ratio(self) -> int:
        """Steps for each row of the context."""
        return self.context_row // self.step

    def of_step(self, step: int) -> Place:
        """The place where each step is ``step`` samples."""
        return replace(self, step=step)
