"""The lapped transform with its tables in buffers, for tracing, and in few operators, for a GPU."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from waveflow.bijections.base import Bijection, zero_log_det


class ConstantLapped(Bijection):
    """A lapped transform with its tables in buffers: tables cached while tracing would be traced
    tensors.

    Args:
        matrix: The DCT-IV matrix, (groups, groups).
        cos: Cosines of the angles, by distance from a boundary, (groups / 2,).
        sin: Sines of the angles, by distance from a boundary, (groups / 2,).
    """

    volume_preserving = True
    matrix: Tensor
    cos: Tensor
    sin: Tensor

    def __init__(self, matrix: Tensor, cos: Tensor, sin: Tensor) -> None:
        super().__init__()
        self.groups = len(matrix)
        self.register_buffer("matrix", matrix.clone())
        self.register_buffer("cos", cos.flip(0)[:, None])
        self.register_buffer("sin", sin.flip(0)[:, None])

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        blocks = x.reshape(x.shape[0], -1, self.groups).mT
        return self.matrix @ self._rotate(blocks, self.sin), zero_log_det(x)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        blocks = self._rotate(self.matrix @ z, -self.sin)
        return blocks.mT.reshape(z.shape[0], -1)

    def _rotate(self, blocks: Tensor, sin: Tensor) -> Tensor:
        """Rotate the last half of each block against the first of the next, mirrored."""
        half = self.groups // 2
        first, last = blocks[:, :half], blocks[:, half:]
        before, after = last[..., :-1], first[..., 1:].flip(1)
        rotated_before = self.cos * before - sin * after
        rotated_after = (self.cos * after + sin * before).flip(1)
        first = torch.cat([first[..., :1], rotated_after], dim=2)
        last = torch.cat([rotated_before, last[..., -1:]], dim=2)
        return torch.cat([first, last], dim=1)


class FusedLapped(Bijection):
    r"""A lapped transform as one convolution, and its inverse as the transposed one.

    A convolution pads audio with zeros, so at both ends it multiplies the samples by the cosine.
    The plain transform leaves them as they are. So the samples are divided by the cosine, in
    place, before the convolution and after the transposed one.

    Args:
        seen: Coefficients of a block for each of the samples that it sees, (2 * groups, groups).
        cos: Cosines of the angles, by distance from a boundary, (groups / 2,).
    """

    volume_preserving = True
    weight: Tensor
    ends: Tensor

    def __init__(self, seen: Tensor, cos: Tensor) -> None:
        super().__init__()
        self.groups = seen.shape[1]
        self.register_buffer("weight", seen.mT[:, None].contiguous())
        self.register_buffer("ends", torch.stack([1 / cos, 1 / cos.flip(0)])[:, None])

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        x = self._scaled(x)[:, None]
        z = functional.conv1d(x, self.weight, stride=self.groups, padding=self.groups // 2)
        return z, zero_log_det(x)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        padding = self.groups // 2
        x = functional.conv_transpose1d(z, self.weight, stride=self.groups, padding=padding)
        return self._scaled(x[:, 0])

    def _scaled(self, audio: Tensor) -> Tensor:
        batch, time = audio.shape
        half, (row, sample) = self.groups // 2, audio.stride()
        strides = ((time - half) * sample, row, sample)
        audio.as_strided((2, batch, half), strides, audio.storage_offset()).mul_(self.ends)
        return audio
