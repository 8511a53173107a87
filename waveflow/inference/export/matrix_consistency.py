"""Mel consistency in matrix products alone, for runtimes without a fast Fourier transform."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from waveflow.audio.consistency import LEAST_ENERGY, MOMENTUM
from waveflow.audio.mel import LogMel


class MatrixConsistency(nn.Module):
    r"""What :class:`waveflow.audio.MelConsistency` computes, as a plain graph of real products.

    Three identities make it small:

    - *the change alone is transformed back*: the transform is linear, so the frames whose spectrum
      is scaled by gains :math:`g` are the old frames plus the transform of :math:`(g - 1) X`, and
      only the bins that a band sees are needed, there and back;
    - *momentum before the transform*: for the same reason the spectrum carried on along its last
      change is the spectrum of audio carried on along its last change;
    - *two short transforms for a long one*: with :math:`N = N_1 N_2`, :math:`n = N_2 n_1 + n_2` and
      :math:`k = k_1 + N_1 k_2`,

      .. math:: X_k = \sum_{n_2} \Big[ e^{-2\pi i\, n_2 (k_1 + N_1 k_2) / N} \Big]
                      \sum_{n_1} e^{-2\pi i\, n_1 k_1 / N_1}\, x_n ,

      a product of one small matrix with all columns, then one for each of the
      :math:`\lfloor N_1 / 2 \rfloor + 1` values of :math:`k_1` that a real signal leaves
      (Cooley & Tukey, *An algorithm for the machine calculation of complex Fourier series*, 1965).

    Frames are columns, (batch, n_fft, frames), so that no step but the cutting of frames moves
    numbers about. Bins are kept in the order of the products, (k_1, k_2); some stand there twice,
    as themselves and as the conjugate of their mirror image.

    Args:
        log_mel: the front end whose mel is meant.
        iterations: how many.

    >>> import torch
    >>> from waveflow.audio import MelConfig, MelConsistency
    >>> log_mel = LogMel(MelConfig())
    >>> mel, noise = log_mel(0.1 * torch.randn(1, 25600)), 0.03 * torch.randn(1, 25600)
    >>> nearer = MatrixConsistency(log_mel, iterations=4)(noise, mel)
    >>> bool((nearer - MelConsistency(log_mel)(noise, mel, 4)).abs().max() < 1e-5)
    True
    """

    window: Tensor
    first: Tensor
    second: Tensor
    second_back: Tensor
    first_back: Tensor
    filters: Tensor
    weights: Tensor

    def __init__(self, log_mel: LogMel, *, iterations: int) -> None:
        super().__init__()
        if iterations < 0:
            raise ValueError(f"expected 0 or more iterations; got {iterations}")
        self.config = log_mel.config
        self.padding = log_mel.padding
        self.reflects = log_mel.reflects
        self.iterations = iterations
        rows = _rows(self.config.n_fft)
        grid = _grid(self.config.n_fft, rows, log_mel.bins)
        bins = torch.minimum(grid, self.config.n_fft - grid)
        seen = bins < log_mel.bins
        multiplicity = _multiplicity(rows)
        twice = (multiplicity == 1)[:, None] & (2 * grid > self.config.n_fft)
        filters = log_mel.filters.double()
        weights = filters / filters.sum(0).clamp_min(torch.finfo(log_mel.filters.dtype).tiny)
        first, second = _transform(self.config.n_fft, rows, grid)
        tensors = {
            "window": log_mel.window.double()[:, None],
            "first": first.flatten(0, 1),
            "second": second,
            "first_back": first.flatten(0, 1).mT
            * multiplicity.repeat_interleave(2)
            / self.config.n_fft,
            "second_back": second.mT,
            "filters": (filters[:, bins] * (seen & ~twice)).flatten(1),
            "weights": (weights[:, bins] * seen).flatten(1).mT,
        }
        for name, value in tensors.items():
            value = value.to(log_mel.window.dtype).contiguous()
            self.register_buffer(name, value, persistent=False)

    def forward(self, audio: Tensor, mel: Tensor) -> Tensor:
        """(batch, frames * hop_length), (batch, n_mels, frames) -> (batch, frames * hop_length)."""
        if not self.iterations:
            return audio
        ones = torch.ones_like(mel[:1, :1])
        energy = self._overlap_add(self.window.square() * ones)
        share = 1 / energy.clamp_min(LEAST_ENERGY)
        before = audio
        for index in range(self.iterations):
            carried_on = audio if index == 0 else audio + MOMENTUM * (audio - before)
            change = self._overlap_add(self.window * self._change(carried_on, mel))
            before, audio = audio, carried_on + share * change
        return audio

    def _change(self, audio: Tensor, mel: Tensor) -> Tensor:
        """What the mel asks of every frame, (batch, n_fft, frames)."""
        batch, _, frames = mel.shape
        rows, bins = self.second.shape[0], self.second.shape[1] // 2
        columns = self._frames(self._continued(audio), frames) * self.window
        columns = columns.reshape(batch, self.first.shape[1], -1)
        parts = (self.first @ columns).reshape(batch, rows, -1, frames)
        spectrum = self.second @ parts  # (batch, k_1, [real k_2, imaginary k_2], frames)
        real, imaginary = spectrum[:, :, :bins], spectrum[:, :, bins:]
        power = real * real + imaginary * imaginary
        magnitude = (power + self.config.power_floor).sqrt().reshape(batch, -1, frames)
        bands = (self.filters @ magnitude).clamp_min(self.config.clamp).log()
        gain = (self.weights @ (mel - bands)).exp() - 1
        gain = gain.reshape(batch, rows, bins, frames)
        back = self.second_back @ torch.cat([real * gain, imaginary * gain], dim=2)
        back = self.first_back @ back.reshape(batch, self.first.shape[0], -1)
        return back.reshape(batch, self.config.n_fft, frames)

    def _continued(self, audio: Tensor) -> Tensor:
        """Audio reflected at its ends; continued by silence if that is the convention, or if it is
        too short to be reflected.
        """
        time, side = audio.shape[1], self.padding
        if not self.reflects:
            return nn.functional.pad(audio, (side, side))
        distance = torch.arange(1, side + 1, device=audio.device)
        last = torch.full_like(distance, time) - 1
        long_enough = (last >= side).to(audio.dtype)
        left = audio[:, torch.minimum(distance, last).flip(0)]
        right = audio[:, (last - distance).clamp_min(0)]
        return torch.cat([left * long_enough, audio, right * long_enough], dim=1)

    def _frames(self, padded: Tensor, frames: int) -> Tensor:
        """(batch, time) -> (batch, n_fft, frames)."""
        hop_length = self.config.hop_length
        steps = frames + self.parts - 1
        short = steps * hop_length - (frames * hop_length + 2 * self.padding)
        padded = nn.functional.pad(padded, (0, short))  # cuts where it is negative
        hops = padded.reshape(padded.shape[0], steps, hop_length).mT
        pieces = [hops[:, :, part : part + frames] for part in range(self.parts)]
        return torch.cat(pieces, dim=1)[:, : self.config.n_fft]

    def _overlap_add(self, columns: Tensor) -> Tensor:
        """Frames laid down where they were cut, (batch, n_fft, frames) -> (batch, time)."""
        hop_length = self.config.hop_length
        batch, size, frames = columns.shape
        columns = nn.functional.pad(columns, (0, 0, 0, self.parts * hop_length - size))
        pieces = [
            nn.functional.pad(piece, (part, self.parts - part))
            for part, piece in enumerate(columns.split(hop_length, dim=1))
        ]
        total = torch.stack(pieces).sum(0)
        audio = total.mT.reshape(batch, -1)
        return audio[:, self.padding : self.padding + frames * hop_length]

    @property
    def parts(self) -> int:
        """Hops that a frame reaches over."""
        return -(-self.config.n_fft // self.config.hop_length)


def _rows(size: int) -> int:
    """N_1 of the factors of ``size`` whose two products are the cheapest together."""
    divisors = [number for number in range(1, size + 1) if size % number == 0]
    return min(divisors, key=lambda rows: rows + 2 * size // rows)


def _grid(size: int, rows: int, bins: int) -> Tensor:
    """The frequencies k = k_1 + N_1 k_2, (k_1, k_2), without columns that hold no wanted bin."""
    grid = torch.arange(rows // 2 + 1)[:, None] + rows * torch.arange(size // rows)
    wanted = torch.minimum(grid, size - grid) < bins
    return grid[:, wanted.any(0)]


def _transform(size: int, rows: int, grid: Tensor) -> tuple[Tensor, Tensor]:
    """The two products, real and imaginary parts apart.

    Returns:
        (N_1 / 2 + 1, 2, N_1), whose row is (k_1, part); and (N_1 / 2 + 1, 2 K_2, 2 N_2) for the
        K_2 columns of the grid.
    """
    angle = torch.arange(rows // 2 + 1)[:, None] * torch.arange(rows) % rows
    angle = 2 * math.pi / rows * angle.double()
    first = torch.stack([angle.cos(), -angle.sin()], dim=1)
    later = torch.arange(size // rows)
    angle = 2 * math.pi / size * ((grid[:, :, None] * later) % size).double()
    cos, sin = angle.cos(), angle.sin()
    real, imaginary = torch.cat([cos, sin], dim=2), torch.cat([-sin, cos], dim=2)
    return first, torch.cat([real, imaginary], dim=1)


def _multiplicity(rows: int) -> Tensor:
    """How many values of k_1 each of the first N_1 / 2 + 1 stands for: itself, and N_1 - k_1 if
    that is another.
    """
    row = torch.arange(rows // 2 + 1)
    return torch.where(2 * row % rows == 0, 1.0, 2.0).double()
