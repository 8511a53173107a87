"""The lapped transform as stages: samples round the blocks' boundaries rotate, blocks transform."""

from __future__ import annotations

import torch
from torch import Tensor

from waveflow.streaming.rows import Line, Push, joined
from waveflow.streaming.weights import baked


class Rotation:
    """The rotation round every inner boundary of blocks, audio (samples,) -> (samples,).

    The first half block and the last pass as they are. See :class:`waveflow.bijections.Lapped`.

    Args:
        cos: of the angles, by distance from the boundary, (samples a block / 2,); float64.
        sin: of the angles, by distance from the boundary, (samples a block / 2,); float64; its
            opposite for the inverse.
        like: a tensor, for precision and device.
    """

    def __init__(self, cos: Tensor, sin: Tensor, like: Tensor):
        self._cos, self._sin = baked(cos, like), baked(sin, like)
        self._groups = 2 * len(cos)

    def begin(self, context: Line) -> Push:
        half = self._groups // 2
        held: Tensor | None = None
        begun = False

        def push(samples: Tensor, last: bool) -> Tensor:
            nonlocal held, begun
            samples = joined(held, samples)
            done = []
            if not begun and len(samples) >= half:
                begun = True
                done.append(samples[:half])
                samples = samples[half:]
            whole = len(samples) // self._groups * self._groups if begun else 0
            done.append(self._rotate(samples[:whole].view(-1, self._groups)).flatten())
            held = samples[whole:]
            return torch.cat([*done, held] if last else done)

        return push

    def _rotate(self, around: Tensor) -> Tensor:
        """(boundaries, groups), the boundary in the middle of each row."""
        half = self._groups // 2
        before, after = around[:, :half].flip(1), around[:, half:]
        rotated = torch.empty_like(around)
        rotated[:, :half] = (self._cos * before - self._sin * after).flip(1)
        torch.addcmul(self._cos * after, self._sin, before, out=rotated[:, half:])
        return rotated

    def ready(self, steps: int) -> int:
        half = self._groups // 2
        return 0 if steps < half else half + (steps - half) // self._groups * self._groups

    def needs(self, step: int) -> int:
        return self.ready(step)  # the start of the block round the boundary


class Blocks:
    """Audio (samples,) -> whole blocks of it, (steps, groups)."""

    def __init__(self, groups: int):
        self._groups = groups

    def begin(self, context: Line) -> Push:
        held: Tensor | None = None

        def push(samples: Tensor, last: bool) -> Tensor:
            nonlocal held
            samples = joined(held, samples)
            whole = len(samples) // self._groups * self._groups
            held = samples[whole:]
            return samples[:whole].view(-1, self._groups)

        return push

    def ready(self, steps: int) -> int:
        return steps // self._groups

    def needs(self, step: int) -> int:
        return step * self._groups


class Samples:
    """Blocks (steps, groups) -> audio (samples,)."""

    def __init__(self, groups: int):
        self._groups = groups

    def begin(self, context: Line) -> Push:
        return lambda rows, last: rows.reshape(-1)

    def ready(self, steps: int) -> int:
        return steps * self._groups

    def needs(self, step: int) -> int:
        return step // self._groups
