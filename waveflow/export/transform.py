"""The Fourier transform of a real signal as two products with small matrices."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def rows_of(size: int) -> int:
    """The factor N_1 of ``size`` for which the two products are cheapest in sum."""
    divisors = [number for number in range(1, size + 1) if size % number == 0]
    return min(divisors, key=lambda rows: rows + 2 * size // rows)


def grid_of(size: int, rows: int, bins: int) -> Tensor:
    """The frequencies k = k_1 + N_1 k_2, (k_1, k_2), without columns that have no needed bin."""
    grid = _numbers(rows // 2 + 1)[:, None] + rows * _numbers(size // rows)
    wanted = torch.minimum(grid, size - grid) < bins
    return grid[:, wanted.any(0)]


def transform(size: int, rows: int, grid: Tensor) -> tuple[Tensor, Tensor]:
    """The matrices of the two products, with separate real and imaginary parts.

    Returns:
        The first matrix, (N_1 / 2 + 1, 2, N_1), with rows (k_1, part); and the second,
        (N_1 / 2 + 1, 2 K_2, 2 N_2), for the K_2 columns of the grid.
    """
    angle = _numbers(rows // 2 + 1)[:, None] * _numbers(rows) % rows
    angle = 2 * math.pi / rows * angle.double()
    first = torch.stack([angle.cos(), -angle.sin()], dim=1)
    later = _numbers(size // rows)
    angle = 2 * math.pi / size * ((grid[:, :, None] * later) % size).double()
    cos, sin = angle.cos(), angle.sin()
    real, imaginary = torch.cat([cos, sin], dim=2), torch.cat([-sin, cos], dim=2)
    return first, torch.cat([real, imaginary], dim=1)


def multiplicity_of(rows: int) -> Tensor:
    """The number of values of k_1 that each of the first N_1 / 2 + 1 represents: itself, and
    N_1 - k_1 if that is a different one.
    """
    row = _numbers(rows // 2 + 1)
    return torch.where(2 * row % rows == 0, 1.0, 2.0).double()


def _numbers(count: int) -> Tensor:
    return torch.arange(count, device="cpu")
