"""Stages of the squeezes: blocks of samples, and the rotations of the lapped transform."""

from __future__ import annotations

import torch
from torch import Tensor

from waveflow.streaming.rows import NO_ROWS, PushFunction, SharedBuffer, joined
from waveflow.streaming.weights import to_constant


class LappedRotationStage:
    """The rotations around the inner boundaries of blocks, audio (samples,) -> (samples,).

    The first and the last half block stay as they are. See
    :class:`waveflow.bijections.LappedTransform`.

    Args:
        cos: Cosines of the angles, by distance from the boundary, (groups / 2,); float64.
        sin: Sines of the angles, by distance from the boundary, (groups / 2,); float64. The
            inverse has the opposite sign.
        like: A tensor with the precision and device of the result.
    """

    def __init__(self, cos: Tensor, sin: Tensor, like: Tensor):
        self._cos, self._sin = to_constant(cos, like), to_constant(sin, like)
        self._groups = 2 * len(cos)

    def begin(self, context: SharedBuffer) -> PushFunction:
        half = self._groups // 2
        held, is_first = NO_ROWS, True

        def push(samples: Tensor, last: bool) -> Tensor:
            nonlocal held, is_first
            samples = joined(held, samples)
            done = []
            if is_first and len(samples) >= half:
                is_first = False
                done.append(samples[:half])
                samples = samples[half:]
            whole = 0 if is_first else len(samples) // self._groups * self._groups
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

    def outputs_after(self, steps: int) -> int:
        half = self._groups // 2
        return 0 if steps < half else half + (steps - half) // self._groups * self._groups

    def first_input_of(self, step: int) -> int:
        return self.outputs_after(step)  # the start of the block around the boundary


class SqueezeStage:
    """Audio (samples,) -> its whole blocks, (steps, groups)."""

    def __init__(self, groups: int):
        self._groups = groups

    def begin(self, context: SharedBuffer) -> PushFunction:
        held = NO_ROWS

        def push(samples: Tensor, last: bool) -> Tensor:
            nonlocal held
            samples = joined(held, samples)
            whole = len(samples) // self._groups * self._groups
            held = samples[whole:]
            return samples[:whole].view(-1, self._groups)

        return push

    def outputs_after(self, steps: int) -> int:
        return steps // self._groups

    def first_input_of(self, step: int) -> int:
        return step * self._groups


class UnsqueezeStage:
    """Blocks (steps, groups) -> audio (samples,)."""

    def __init__(self, groups: int):
        self._groups = groups

    def begin(self, context: SharedBuffer) -> PushFunction:
        return lambda rows, last: rows.reshape(-1)

    def outputs_after(self, steps: int) -> int:
        return steps * self._groups

    def first_input_of(self, step: int) -> int:
        return step // self._groups
