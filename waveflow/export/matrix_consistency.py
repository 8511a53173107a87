"""Mel consistency by matrix products, for runtimes without a fast Fourier transform."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.func import functional_call

from waveflow.audio.consistency import MOMENTUM, LowBand, MelConsistency, Step
from waveflow.audio.mel import LogMel
from waveflow.export.columns import Columns, Ends
from waveflow.export.transform import grid_of, multiplicity_of, rows_of, transform


class MatrixConsistency(nn.Module):
    """A :class:`waveflow.audio.MelConsistency` as a plain graph of real products.

    Args:
        log_mel: The front end of the mel.
        iterations: Number of iterations.
        full_band: Number of first iterations that change all bins; by default all of them.
        cutoff: Frequency in Hz above which the other iterations leave audio as it is.

    >>> import torch
    >>> from waveflow.audio import MelConfig, MelConsistency
    >>> log_mel = LogMel(MelConfig())
    >>> mel, noise = log_mel(0.1 * torch.randn(1, 25600)), 0.03 * torch.randn(1, 25600)
    >>> nearer = MatrixConsistency(log_mel, iterations=4)(noise, mel)
    >>> bool((nearer - MelConsistency(log_mel)(noise, mel, 4)).abs().max() < 1e-5)
    True
    """

    def __init__(
        self,
        log_mel: LogMel,
        *,
        iterations: int,
        full_band: int | None = None,
        cutoff: float = 2200.0,
    ) -> None:
        super().__init__()
        if iterations < 0:
            raise ValueError(f"expected 0 or more iterations; got {iterations}")
        full = iterations if full_band is None else min(iterations, full_band)
        plain = MelConsistency(log_mel, cutoff=cutoff)
        self.whole = MatrixIterations(plain.whole, iterations=full)
        self.low: MatrixLowBand | None = None
        if plain.low is not None and iterations > full:
            self.low = MatrixLowBand(plain.low, iterations=iterations - full)

    def forward(self, audio: Tensor, mel: Tensor) -> Tensor:
        """(batch, frames * hop_length), (batch, n_mels, frames) -> (batch, frames * hop_length)."""
        audio = self.whole(audio, mel)
        return audio if self.low is None else self.low(audio, mel)


class MatrixLowBand(nn.Module):
    """A :class:`waveflow.audio.consistency.LowBand` as a plain graph of real products.

    Args:
        low_band: The module of the iterations.
        iterations: Number of iterations.
    """

    down_matrix: Tensor
    up_matrix: Tensor

    def __init__(self, low_band: LowBand, *, iterations: int) -> None:
        super().__init__()
        self.iterate = MatrixIterations(low_band.step, iterations=iterations)
        resampler = low_band.resampler
        self.resamples = resampler is not None
        if resampler is None:
            return
        self.down_columns = Columns(resampler.down_frames)
        self.up_columns = Columns(resampler.up_frames)
        self.blocks_of_a_frame = low_band.step.frames.hop // self.up_columns.hop
        for name in ("down_matrix", "up_matrix"):
            table = getattr(resampler, name).mT.contiguous()
            self.register_buffer(name, table, persistent=False)

    def forward(self, audio: Tensor, mel: Tensor) -> Tensor:
        """(batch, frames * hop_length), (batch, n_mels, frames) -> (batch, frames * hop_length)."""
        if not self.resamples:
            return cast(Tensor, self.iterate(audio, mel))
        blocks = mel.shape[2] * self.blocks_of_a_frame
        low = self.down_matrix @ self.down_columns.cut(audio, blocks, self.down_columns.ends(audio))
        low = low.mT.reshape(low.shape[0], -1)
        change = self.iterate(low, mel) - low
        change = self.up_matrix @ self.up_columns.cut(change, blocks, self.up_columns.ends(change))
        return audio + change.mT.reshape(change.shape[0], -1)


class MatrixIterations(nn.Module):
    """Iterations of a :class:`waveflow.audio.consistency.Step` as a plain graph of real products.

    Args:
        step: The arithmetic of an iteration.
        iterations: Number of iterations.
    """

    def __init__(self, step: Step, *, iterations: int) -> None:
        super().__init__()
        self.step = MatrixStep(step)
        self.iterations = iterations

    def forward(self, audio: Tensor, mel: Tensor) -> Tensor:
        """(batch, frames * hop), (batch, n_mels, frames) -> (batch, frames * hop)."""
        if not self.iterations:
            return audio
        columns = self.step.columns
        mel = mel[:, self.step.bands]
        ends = columns.ends(audio)
        share, hold = columns.share_and_hold(mel, ends)
        given = audio, mel, share, hold, *ends
        if not torch.compiler.is_exporting():
            state = audio, audio
            for _ in range(self.iterations):
                state = self.step(*state, *given)
            return state[1]
        # one iteration is recorded for any number of them, with all its tensors as arguments
        from torch._higher_order_ops.scan import scan_op  # slow to import

        tables = dict(self.step.named_buffers())

        def recorded(*tensors: Tensor) -> tuple[Tensor, ...]:
            extrapolated, before, time, *rest = tensors
            values = dict(zip(tables, rest[len(given) :], strict=True))
            arguments = extrapolated, before, *rest[: len(given)]
            return (*functional_call(self.step, values, arguments), time.clone())

        start, times = [audio.clone(), audio.clone()], [audio.new_zeros(self.iterations)]
        return cast(Tensor, scan_op(recorded, start, times, (*given, *tables.values()))[1])


class MatrixStep(nn.Module):
    r"""A :class:`waveflow.audio.consistency.Step` as a plain graph of real products.

    Three identities make it small:

    - *only the change is transformed back*: the transform is linear, so frames whose spectrum is
      scaled by gains :math:`g` are the old frames plus the transform of :math:`(g - 1) X`, and
      both transforms need only the bins that a band covers;
    - *momentum before the transform*: for the same reason extrapolated spectra are the spectra of
      extrapolated audio;
    - *two short transforms for a long one*: with :math:`N = N_1 N_2`, :math:`n = N_2 n_1 + n_2` and
      :math:`k = k_1 + N_1 k_2`,

      .. math:: X_k = \sum_{n_2} \Big[ e^{-2\pi i\, n_2 (k_1 + N_1 k_2) / N} \Big]
                      \sum_{n_1} e^{-2\pi i\, n_1 k_1 / N_1}\, x_n ,

      a product of one small matrix with all columns, then one for each of the
      :math:`\lfloor N_1 / 2 \rfloor + 1` values of :math:`k_1` that a real signal needs
      (Cooley & Tukey, *An algorithm for the machine calculation of complex Fourier series*, 1965).

    Frames are columns, (batch, n_fft, frames), so that only the cutting of frames copies numbers.
    Bins are in the order of the products, (k_1, k_2); some occur twice, as themselves and as the
    conjugate of their mirror image.

    Args:
        step: The arithmetic of an iteration.
    """

    first: Tensor
    second: Tensor
    second_back: Tensor
    first_back: Tensor
    filters: Tensor
    weights: Tensor

    def __init__(self, step: Step) -> None:
        super().__init__()
        bands, size = step.bands, step.frames.size
        self.columns = Columns(step.frames)
        self.size = size
        self.floor, self.clamp, self.bands = bands.floor, bands.clamp, bands.rows
        rows = rows_of(size)
        grid = grid_of(size, rows, bands.bins)
        bins = torch.minimum(grid, size - grid)
        seen = bins < bands.bins
        bins = bins.clamp_max(bands.bins - 1)
        multiplicity = multiplicity_of(rows)
        twice = (multiplicity == 1)[:, None] & (2 * grid > size)
        filters, weights = bands.filters.double(), bands.weights.double()
        first, second = transform(size, rows, grid)
        tensors = {
            "first": first.flatten(0, 1),
            "second": second,
            "first_back": first.flatten(0, 1).mT * multiplicity.repeat_interleave(2) / size,
            "second_back": second.mT,
            "filters": (filters[:, bins] * (seen & ~twice)).flatten(1),
            "weights": (weights[:, bins] * seen).flatten(1).mT,
        }
        for name, value in tensors.items():
            value = value.to(bands.filters.dtype).contiguous()
            self.register_buffer(name, value, persistent=False)

    def forward(
        self,
        extrapolated: Tensor,
        before: Tensor,
        audio: Tensor,
        mel: Tensor,
        share: Tensor,
        hold: Tensor,
        left: Tensor,
        right: Tensor,
        enough: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """One iteration.

        Args:
            extrapolated: The audio of the last iteration, extrapolated, (batch, frames * hop).
            before: The audio of the last iteration.
            audio: The audio before the first iteration.
            mel: The levels of the bands, (batch, bands, frames).
            share: The weight of the change of every sample, (1, frames * hop).
            hold: How far every sample is held at the audio before the first iteration.
            left: The numbers of the samples that are mirrored before the audio, (side,).
            right: The numbers of the samples that are mirrored after the audio, (side,).
            enough: 0 if the audio is too short for mirrors, else 1, (1,).

        Returns:
            The audio of this iteration, extrapolated; and the audio itself.
        """
        ends = left, right, enough
        change = self.columns.lay_down(self._change(extrapolated, mel, ends), ends)
        moved = extrapolated + share * change
        moved = moved + hold * (audio - moved)
        return moved + MOMENTUM * (moved - before), moved

    def _change(self, audio: Tensor, mel: Tensor, ends: Ends) -> Tensor:
        """The change of every frame by the mel, (batch, size, frames)."""
        batch, _, frames = mel.shape
        rows, bins = self.second.shape[0], self.second.shape[1] // 2
        columns = self.columns.cut(audio, frames, ends) * self.columns.window
        columns = columns.reshape(batch, self.first.shape[1], -1)
        parts = (self.first @ columns).reshape(batch, rows, -1, frames)
        spectrum = self.second @ parts  # (batch, k_1, [real k_2, imaginary k_2], frames)
        real, imaginary = spectrum[:, :, :bins], spectrum[:, :, bins:]
        power = real * real + imaginary * imaginary
        magnitude = (power + self.floor).sqrt().reshape(batch, -1, frames)
        bands = (self.filters @ magnitude).clamp_min(self.clamp).log()
        gain = (self.weights @ (mel - bands)).exp() - 1
        gain = gain.reshape(batch, rows, bins, frames)
        back = self.second_back @ torch.cat([real * gain, imaginary * gain], dim=2)
        back = self.first_back @ back.reshape(batch, self.first.shape[0], -1)
        return back.reshape(batch, self.size, frames)
