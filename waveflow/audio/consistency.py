"""Mel consistency: move audio to where its mel is the one that was asked for."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from waveflow.audio.mel import LogMel

MOMENTUM = 0.99
"""How far a spectrum is carried on along its last step, the fast Griffin-Lim algorithm's alpha."""

LEAST_ENERGY = 0.1
"""Energy that the windows over a sample are taken to have at least: where they hardly look, as at
the end of centred frames with long hops, least squares would change it without measure."""


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

    An iteration sees ``n_fft - hop_length`` samples to each side. Differentiable; nothing in the
    state dict.

    Args:
        log_mel: the front end whose mel is meant.

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

    weights: Tensor

    def __init__(self, log_mel: LogMel) -> None:
        super().__init__()
        self.log_mel = log_mel
        filters = log_mel.filters[:, : log_mel.bins]
        weights = filters / filters.sum(0).clamp_min(torch.finfo(filters.dtype).tiny)
        self.register_buffer("weights", weights, persistent=False)

    def forward(self, audio: Tensor, mel: Tensor, iterations: int) -> Tensor:
        """(batch, frames * hop_length), (batch, n_mels, frames) -> (batch, frames * hop_length).

        Args:
            audio: a guess, in [-1, 1].
            mel: natural log, in the convention of the front end.
            iterations: how many; none returns the audio as it is.

        Raises:
            ValueError: audio and mel do not fit, or fewer than 0 iterations.
        """
        config = self.log_mel.config
        if iterations < 0:
            raise ValueError(f"expected 0 or more iterations; got {iterations}")
        expected = (mel.shape[0], mel.shape[-1] * config.hop_length)
        if audio.shape != expected:
            raise ValueError(f"audio: expected shape {expected}; got {tuple(audio.shape)}")
        if not iterations:
            return audio
        with torch.autocast(audio.device.type, enabled=False):
            target = mel.to(self.weights.dtype).mT.contiguous()
            result = audio.to(self.weights.dtype)
            seen = self._overlap_add(self.log_mel.window.expand(1, mel.shape[-1], -1))
            before = result
            for _ in range(iterations):
                carried_on = torch.lerp(before, result, 1 + MOMENTUM)
                # a centred front end has one frame more than there are mel frames
                spectrum = self.log_mel.spectrum(carried_on)[:, : mel.shape[-1]]
                change = self._overlap_add(self.change(spectrum, target))
                before, result = result, carried_on + change / seen.clamp_min(LEAST_ENERGY)
            return result.to(audio.dtype)

    def change(self, spectrum: Tensor, mel: Tensor) -> Tensor:
        """What step 1 adds to the windowed frames of audio.

        Args:
            spectrum: of the frames, (..., frames, 1 + n_fft / 2).
            mel: (..., frames, n_mels).

        Returns:
            (..., frames, n_fft).
        """
        gain = ((mel - self.log_mel.bands(spectrum)) @ self.weights).expm1()
        return torch.fft.irfft(spectrum[..., : self.log_mel.bins] * gain, self.log_mel.config.n_fft)

    def _overlap_add(self, frames: Tensor) -> Tensor:
        """Frames windowed and laid down where they were cut, (batch, frames, n_fft) ->
        (batch, time).
        """
        hop_length, side = self.log_mel.config.hop_length, self.log_mel.padding
        batch, steps, size = frames.shape
        parts = -(-size // hop_length)
        pieces = nn.functional.pad(frames * self.log_mel.window, (0, parts * hop_length - size))
        pieces = pieces.view(batch, steps, parts, hop_length)
        total = frames.new_zeros(batch, steps + parts, hop_length)
        for part in range(parts):
            total[:, part : part + steps] += pieces[:, :, part]
        return total.view(batch, -1)[:, side : side + steps * hop_length]
