"""Squeezing audio into frequency groups by an orthonormal lapped transform."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from waveflow.bijections.base import Axis, Bijection, PlacedStages, Shape, zero_log_det
from waveflow.bijections.lapped_forms import ConstantLapped, FusedLapped
from waveflow.precision import full_precision
from waveflow.streaming.lapping import LappedRotationStage, SqueezeStage, UnsqueezeStage
from waveflow.streaming.linear import LinearStage
from waveflow.streaming.place import Place

_CPU = torch.device("cpu")


class LappedTransform(Bijection):
    r"""An orthonormal lapped transform (MDCT of hop ``groups``) as a squeeze.

    (batch, time) <-> (batch, groups, time / groups); channel k is a frequency band around
    :math:`(k + \tfrac12)\, f_s / (2\,\text{groups})`. With the blocks' boundaries at multiples of
    M = ``groups``, the transform is two orthonormal steps:

    1. *fold*: at every inner boundary the samples at distance :math:`i + \tfrac12 < M/2` before
       (a) and after (b) it are rotated by an angle from the sine window,

       .. math:: b' = \cos\theta_i\, b + \sin\theta_i\, a, \qquad
                 a' = \cos\theta_i\, a - \sin\theta_i\, b, \qquad
                 \theta_i = \tfrac{\pi}{4} - \tfrac{\pi}{2M}(i + \tfrac12);

    2. *DCT-IV* of every block:
       :math:`X_k = \sqrt{2/M} \sum_n x_n \cos\frac{\pi}{M}(n + \tfrac12)(k + \tfrac12)`.

    A block thus has an even extension before its start and an odd one after its end: up to signs
    this is the textbook MDCT of the time-reversed signal. Nothing is folded at the two ends of the
    signal, which is an MDCT with a rectangular half-window there: the map stays square and
    orthonormal, the two ends do not wrap around, and ``log_det`` is 0.
    A coefficient depends on 2 M samples. The DCT-IV is one matrix product, M operations a sample,
    faster than an FFT at these sizes (``benchmarks/lapped.py``).

    Princen & Bradley, *Analysis/synthesis filter bank design based on time domain aliasing
    cancellation*, IEEE Trans. ASSP 34(5), 1986; Malvar, *Signal Processing with Lapped
    Transforms*, 1992.

    Args:
        groups: Block length and number of frequency bands; even.

    >>> import torch
    >>> tone = torch.sin(2 * torch.pi * 0.125 * torch.arange(1024.0))[None]
    >>> z, log_det = LappedTransform(64)(tone)
    >>> z.shape, z.square().sum((0, 2)).argmax().item()
    (torch.Size([1, 64, 16]), 16)
    >>> torch.allclose(LappedTransform(64).inverse(z), tone, atol=1e-5)
    True
    """

    volume_preserving = True

    def __init__(self, groups: int):
        super().__init__()
        if groups < 2 or groups % 2:
            raise ValueError(f"LappedTransform: expected an even number of groups; got {groups}")
        self.groups = groups

    def x_shape(self) -> Shape:
        return "batch", Axis("time", multiple_of=self.groups)

    def z_shape(self) -> Shape:
        return "batch", self.groups, "steps"

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        with full_precision(x):
            folded = self._rotate(x, sign=1).unflatten(1, (-1, self.groups))
            z = dct4(self.groups, x.dtype, x.device) @ folded.mT
        return z, zero_log_det(x)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        with full_precision(z):
            folded = (z.mT @ dct4(self.groups, z.dtype, z.device)).flatten(1)
            return self._rotate(folded, sign=-1)

    def stages(self, place: Place) -> PlacedStages:
        samples, rotation = UnsqueezeStage(self.groups), self._rotation(place, -1)
        return [self._dct4(place), samples, rotation], place.of_step(1)

    def forward_stages(self, place: Place) -> PlacedStages:
        rotation, blocks = self._rotation(place, 1), SqueezeStage(self.groups)
        return [rotation, blocks, self._dct4(place)], place.of_step(self.groups)

    def _dct4(self, place: Place) -> LinearStage:
        matrix = dct4(self.groups, torch.float64, _CPU).to(place.like.device)
        return LinearStage(matrix, matrix.new_zeros(self.groups), place.like)

    def _rotation(self, place: Place, sign: int) -> LappedRotationStage:
        cos, sin = rotation(self.groups, torch.float64, _CPU)
        return LappedRotationStage(cos, sign * sin, place.like)

    def constant(self) -> Bijection:
        tables = dct4(self.groups, torch.float64, _CPU), *rotation(self.groups, torch.float64, _CPU)
        return ConstantLapped(*tables)  # cast with the rest of the graph

    def fused(self) -> Bijection:
        impulses = torch.eye(3 * self.groups, dtype=torch.float64, device="cpu")
        half = self.groups // 2  # the middle block of the transforms of impulses
        seen = self(impulses)[0][half : half + 2 * self.groups, :, 1]
        return FusedLapped(seen, rotation(self.groups, torch.float64, _CPU)[0])

    def _rotate(self, audio: Tensor, *, sign: int) -> Tensor:
        """Rotate the samples around each inner boundary by ``sign`` times theta."""
        half = self.groups // 2
        cos, sin = rotation(self.groups, audio.dtype, audio.device)
        sin = sign * sin
        inner = audio[:, half : audio.shape[1] - half].unflatten(1, (-1, self.groups))
        before, after = inner[..., :half].flip(-1), inner[..., half:]
        rotated_before = (cos * before - sin * after).flip(-1)
        rotated_after = cos * after + sin * before
        rotated = torch.cat([rotated_before, rotated_after], dim=-1).flatten(1)
        return torch.cat([audio[:, :half], rotated, audio[:, audio.shape[1] - half :]], dim=1)


@lru_cache(maxsize=32)
def dct4(size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The DCT-IV matrix: symmetric, orthonormal, its own inverse."""
    with torch.inference_mode(False):
        n = torch.arange(size, dtype=torch.float64, device="cpu") + 0.5
        matrix = math.sqrt(2 / size) * torch.cos(math.pi / size * n[:, None] * n)
        return matrix.to(device, dtype)


@lru_cache(maxsize=32)
def rotation(size: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """cos(theta_i), sin(theta_i) for distances i + 1/2 from a boundary, each (size / 2,)."""
    with torch.inference_mode(False):
        i = torch.arange(size // 2, dtype=torch.float64, device="cpu")
        theta = math.pi / 4 - math.pi / (2 * size) * (i + 0.5)
        return theta.cos().to(device, dtype), theta.sin().to(device, dtype)
