"""Mel consistency: move audio to where its mel is the one that was asked for."""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn

from waveflow.audio.bands import Bands
from waveflow.audio.frames import Frames
from waveflow.audio.low_band import low_bands, low_frames
from waveflow.audio.mel import LogMel
from waveflow.audio.resampling import Resampler
from waveflow.checks import real, tensor, whole
from waveflow.precision import full_precision

MOMENTUM = 0.9
"""How far a spectrum is carried on along its last step, the fast Griffin-Lim algorithm's alpha."""


class MelConsistency(nn.Module):
    r"""Audio and a log-mel to audio, near the first, whose mel is close to the second.

    A mel is a function of the audio, so given a mel :math:`m` the true density of audio lives on
    the set :math:`\{x : \mathrm{mel}(x) = m\}` alone. A model's sample falls beside it; this
    brings the sample there by alternating two steps:

    1. *the mel as asked*: every bin of the spectrum :math:`X = \mathrm{STFT}(x)` is scaled by the
       weighted geometric mean of how much the bands it belongs to are wanting, its phase and its
       fine structure within a band left as they are,

       .. math:: X_k \leftarrow X_k \exp \sum_b w_{kb}\,\big(m_b - \mathrm{mel}_b(X)\big), \qquad
                 w_{kb} = F_{bk} \Big/ \sum_{b'} F_{b'k},

       with the mel's filters :math:`F`; bins that no band sees stay as they are;
    2. *a spectrum of audio*: the audio whose spectrum is nearest in least squares (Griffin & Lim,
       *Signal estimation from modified short-time Fourier transform*, 1984).

    From the second iteration on, step 1 starts from the spectrum carried on along its last change
    by ``MOMENTUM`` (Perraudin, Balazs & Søndergaard, *A fast Griffin-Lim algorithm*, 2013). As
    both the spectrum and the least squares are linear, it is the audio that is carried on, and what
    step 1 changes that is laid down on it: less is transformed, and less is rounded.
    Griffin-Lim replaces every magnitude by that of a pseudo-inverse of the mel, which knows nothing
    of what lies within a band; here that is the sample's, and only the bands' levels are set.

    Where a mel's bands are too coarse to tell harmonics, the iterations move energy between them as
    they please, and a flow's own periodicity goes. So the first iterations may be of all bins and
    the rest of the *low band* alone: the exponent is multiplied by 1 below the cut-off and by 0
    above, with a flank of 60 Hz. What is above a cut-off of 2200 Hz then has no part in the
    iterations, so they are made of the low band at a rate of its own, of D times fewer samples, and
    what they change is interpolated and added.

    At the ends of a clip between silences, where fewer frames look than elsewhere, each iteration
    goes back a little to the audio at first (``waveflow.audio.frames.HOLD``): what is not seen
    there would grow.

    An iteration sees ``n_fft - hop_length`` samples to each side. Differentiable; nothing in the
    state dict.

    Args:
        log_mel: the front end whose mel is meant.
        cutoff: Hz above which the iterations of the low band leave audio as it is.

    >>> import torch
    >>> from waveflow.audio import MelConfig
    >>> log_mel = LogMel(MelConfig())
    >>> mel = log_mel(0.1 * torch.randn(1, 25600))
    >>> noise = 0.03 * torch.randn(1, 25600)
    >>> nearer = MelConsistency(log_mel)(noise, mel, iterations=8)
    >>> def distance(audio):
    ...     return (log_mel(audio) - mel).abs().mean()
    >>> bool(distance(nearer) < 0.2 * distance(noise))
    True
    """

    @torch.inference_mode(False)
    def __init__(self, log_mel: LogMel, *, cutoff: float = 2200.0) -> None:
        super().__init__()
        cutoff = real(cutoff, "cutoff")
        if not 0 < cutoff < math.inf:
            raise ValueError(f"expected a finite cutoff > 0; got {cutoff}")
        self.log_mel = log_mel
        config = log_mel.config
        bands = Bands(
            log_mel.filters[:, : log_mel.bins],
            rows=slice(0, config.n_mels),
            floor=config.power_floor,
            clamp=config.clamp,
        )
        self.whole = Step(log_mel.cutting, bands)
        self.low: LowBand | None = None
        low = low_bands(log_mel, cutoff)
        if low is not None:
            self.low = LowBand(log_mel, *low)

    def forward(
        self, audio: Tensor, mel: Tensor, iterations: int, full_band: int | None = None
    ) -> Tensor:
        """(batch, frames * hop_length), (batch, n_mels, frames) -> (batch, frames * hop_length).

        Args:
            audio: a guess, in [-1, 1].
            mel: natural log, in the convention of the front end.
            iterations: how many; none returns the audio as it is.
            full_band: how many of them, the first ones, move all bins; by default all of them.

        Raises:
            ValueError: audio and mel do not fit, or fewer than 0 iterations.
        """
        config = self.log_mel.config
        mel, audio = tensor(mel, "mel"), tensor(audio, "audio")
        iterations = whole(iterations, "iterations")
        full_band = None if full_band is None else whole(full_band, "full_band")
        if iterations < 0:
            raise ValueError(f"expected 0 or more iterations; got {iterations}")
        if full_band is not None and full_band < 0:
            raise ValueError(f"expected full_band of 0 or more; got {full_band}")
        expected = (mel.shape[0], mel.shape[-1] * config.hop_length)
        if audio.shape != expected:
            raise ValueError(f"audio: expected shape {expected}; got {tuple(audio.shape)}")
        if not iterations:
            return audio
        full = iterations if full_band is None else min(iterations, full_band)
        with full_precision(audio):
            target = mel.to(self.log_mel.window.dtype).mT.contiguous()
            result = self.whole(audio.to(target.dtype), target, full)
            if self.low is not None and iterations > full:
                result = self.low(result, target, iterations - full)
            return result.to(audio.dtype)


class Step(nn.Module):
    """Iterations at one rate, on some of the bands.

    Args:
        frames: how audio is cut.
        bands: which bands, and how bins follow them.
    """

    def __init__(self, frames: Frames, bands: Bands) -> None:
        super().__init__()
        self.frames, self.bands = frames, bands

    def forward(self, audio: Tensor, mel: Tensor, iterations: int) -> Tensor:
        """Audio (batch, frames * hop) after some iterations, the first without momentum.

        Args:
            audio: at the rate of the frames.
            mel: all bands, (batch, frames, n_mels).
            iterations: how many.
        """
        if not iterations:
            return audio
        steps, mel = mel.shape[1], mel[..., self.bands.rows]
        energy, hold = self.frames.energy(steps), self.frames.hold(steps)
        holds = not self.frames.mirrored(audio.shape[-1])  # else it would hold nothing
        first = before = audio
        for _ in range(iterations):
            carried_on = torch.lerp(before, audio, 1 + MOMENTUM)
            # a centred front end has one frame more than there are mel frames
            frames = self.frames.cut(carried_on)[:, :steps] * self.frames.window
            change = self.frames.lay_down(self.change(frames, mel))
            before, audio = audio, torch.addcdiv(carried_on, change, energy)
            if holds:
                audio = torch.lerp(audio, first, hold)
        return audio

    def change(self, frames: Tensor, mel: Tensor) -> Tensor:
        """What step 1 adds to windowed frames of audio.

        Args:
            frames: (..., frames, size).
            mel: of the bands alone, (..., frames, bands).

        Returns:
            (..., frames, size).
        """
        spectrum = torch.fft.rfft(frames)[..., : self.bands.bins]
        return torch.fft.irfft(spectrum * self.bands.gain(spectrum, mel), self.frames.size)


class LowBand(nn.Module):
    """Iterations on what is below a cut-off, at a lower rate; what is above stays.

    Args:
        log_mel: the front end.
        factor: by what the rate is lower.
        bands: of the low rate.
    """

    def __init__(self, log_mel: LogMel, factor: int, bands: Bands) -> None:
        super().__init__()
        self.factor = factor
        self.step = Step(low_frames(log_mel, factor), bands)
        self.resampler: Resampler | None = None
        if factor > 1:
            self.resampler = Resampler(
                factor,
                hop=self.step.frames.hop,
                mirrors=log_mel.reflects,
                like=log_mel.window,
            )

    def forward(self, audio: Tensor, mel: Tensor, iterations: int) -> Tensor:
        """Audio (batch, frames * hop_length) after some iterations.

        Args:
            audio: at the rate of the front end.
            mel: all bands, (batch, frames, n_mels).
            iterations: how many.
        """
        if self.resampler is None:
            return cast(Tensor, self.step(audio, mel, iterations))
        low = self.resampler.down(audio)
        return audio + self.resampler.up(self.step(low, mel, iterations) - low)
