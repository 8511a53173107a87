"""Mel consistency: move audio to where its mel is the requested one."""

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
"""Momentum of a spectrum along its last step, the alpha of the fast Griffin-Lim algorithm."""


class MelConsistency(nn.Module):
    r"""From audio and a log-mel to audio that is close to the first and has the second as its mel.

    A mel is a function of the audio, so given a mel :math:`m` the true density of audio is
    restricted to the set :math:`\{x : \mathrm{mel}(x) = m\}`. A model's sample lies beside this
    set. Two alternating steps move the sample onto it:

    1. *the requested mel*: every bin of the spectrum :math:`X = \mathrm{STFT}(x)` is scaled by the
       weighted geometric mean of the ratios of target and present level over its bands; its phase
       and its fine structure within a band stay unchanged,

       .. math:: X_k \leftarrow X_k \exp \sum_b w_{kb}\,\big(m_b - \mathrm{mel}_b(X)\big), \qquad
                 w_{kb} = F_{bk} \Big/ \sum_{b'} F_{b'k},

       with the mel's filters :math:`F`; bins that no band sees stay unchanged;
    2. *a spectrum of audio*: the audio whose spectrum is nearest in least squares (Griffin & Lim,
       *Signal estimation from modified short-time Fourier transform*, 1984).

    From the second iteration on, step 1 starts from the spectrum plus ``MOMENTUM`` times its last
    change (Perraudin, Balazs & Søndergaard, *A fast Griffin-Lim algorithm*, 2013). Both the
    spectrum and the least squares are linear, so the momentum is applied to the audio, and the
    change by step 1 is added to it: this transforms and rounds less. Griffin-Lim replaces every
    magnitude by that of a pseudo-inverse of the mel, which has no structure within a band; here the
    structure of the sample stays, and only the levels of the bands are set.

    Where the bands of a mel are too coarse to resolve harmonics, the iterations move energy freely
    within them, which destroys the periodicity of the flow's sample. So the first iterations may
    use all bins, and the rest the *low band* alone: the exponent is multiplied by 1 below the
    cut-off and by 0 above, with a flank of 60 Hz. Then audio above a cut-off of 2200 Hz does not
    take part in the iterations. They run on the low band at a lower rate, with D times fewer
    samples, and their change is interpolated and added.

    At the ends of a clip between silences, fewer frames see a sample than elsewhere. There each
    iteration moves back a little to the initial audio (``waveflow.audio.frames.HOLD``), because
    parts that no frame sees would grow.

    An iteration sees ``n_fft - hop_length`` samples to each side. It is differentiable and has
    nothing in its state dict.

    Args:
        log_mel: front end that defines the mel.
        cutoff: frequency in Hz above which the iterations of the low band leave audio unchanged.

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
        low = low_bands(log_mel, cutoff)
        self.low = None if low is None else LowBand(log_mel, *low)

    def forward(
        self, audio: Tensor, mel: Tensor, iterations: int, full_band: int | None = None
    ) -> Tensor:
        """(batch, frames * hop_length), (batch, n_mels, frames) -> (batch, frames * hop_length).

        Args:
            audio: initial audio, (batch, frames * hop_length), in [-1, 1].
            mel: target mel, (batch, n_mels, frames), natural log, in the front end's convention.
            iterations: number of iterations; 0 returns the audio unchanged.
            full_band: number of iterations, from the first on, that move all bins; None is all.

        Raises:
            ValueError: the shapes of audio and mel do not match, or a number is below 0.
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
        frames: the frames that audio is cut into.
        bands: the bands, and the gains of their bins.
    """

    def __init__(self, frames: Frames, bands: Bands) -> None:
        super().__init__()
        self.frames, self.bands = frames, bands

    def forward(self, audio: Tensor, mel: Tensor, iterations: int) -> Tensor:
        """Audio (batch, frames * hop) after the iterations; the first has no momentum.

        Args:
            audio: audio at the rate of the frames, (batch, frames * hop).
            mel: target mel with all bands, (batch, frames, n_mels).
            iterations: number of iterations.
        """
        if not iterations:
            return audio
        steps, mel = mel.shape[1], mel[..., self.bands.rows]
        energy, hold = self.frames.energy(steps), self.frames.hold(steps)
        holds = not self.frames.mirrored(audio.shape[-1])  # otherwise ``hold`` is 0
        first = before = audio
        for _ in range(iterations):
            extrapolated = torch.lerp(before, audio, 1 + MOMENTUM)
            # a centred front end has one frame more than there are mel frames
            frames = self.frames.cut(extrapolated)[:, :steps] * self.frames.window
            change = self.frames.lay_down(self.change(frames, mel))
            before, audio = audio, torch.addcdiv(extrapolated, change, energy)
            if holds:
                audio = torch.lerp(audio, first, hold)
        return audio

    def change(self, frames: Tensor, mel: Tensor) -> Tensor:
        """The change of windowed frames of audio by step 1.

        Args:
            frames: windowed frames, (..., frames, size).
            mel: target levels of these bands, (..., frames, bands).

        Returns:
            (..., frames, size).
        """
        spectrum = torch.fft.rfft(frames)[..., : self.bands.bins]
        return torch.fft.irfft(spectrum * self.bands.gain(spectrum, mel), self.frames.size)


class LowBand(nn.Module):
    """Iterations on the audio below a cut-off, at a lower rate; audio above stays unchanged.

    Args:
        log_mel: front end that defines the mel.
        factor: the low rate is lower by this factor.
        bands: bands at the low rate.
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
        """Audio (batch, frames * hop_length) after the iterations.

        Args:
            audio: audio at the rate of the front end, (batch, frames * hop_length).
            mel: target mel with all bands, (batch, frames, n_mels).
            iterations: number of iterations.
        """
        if self.resampler is None:
            return cast(Tensor, self.step(audio, mel, iterations))
        low = self.resampler.down(audio)
        return audio + self.resampler.up(self.step(low, mel, iterations) - low)
