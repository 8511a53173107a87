"""Mel consistency: move audio to where its mel is the one that was asked for."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from waveflow.audio.mel import LogMel

MOMENTUM = 0.99
"""How far a spectrum is carried on along its last step, the fast Griffin-Lim algorithm's alpha."""

_REST = 1e-8  # weight of the audio as it was, where no window looks


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
    by :data:`MOMENTUM` (Perraudin, Balazs & Søndergaard, *A fast Griffin-Lim algorithm*, 2013).
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
            energy = self.log_mel.window.square().expand(1, mel.shape[-1], -1)
            seen = self._overlap_add(energy)
            before = None
            for _ in range(iterations):
                # a centred front end has one frame more than there are mel frames
                now = self.log_mel.spectrum(result)[:, : mel.shape[-1]]
                spectrum = now if before is None else _carried_on(before, now)
                before = now
                frames = torch.fft.irfft(self._as_asked(spectrum, target), config.n_fft)
                total = self._overlap_add(frames * self.log_mel.window)
                result = (total + _REST * result) / (seen + _REST)
            return result.to(audio.dtype)

    def _as_asked(self, spectrum: Tensor, mel: Tensor) -> Tensor:
        """Step 1 on (batch, frames, bins)."""
        gain = ((mel - self.log_mel.bands(spectrum)) @ self.weights).exp()
        bins = self.log_mel.bins
        return torch.cat([spectrum[..., :bins] * gain, spectrum[..., bins:]], dim=-1)

    def _overlap_add(self, frames: Tensor) -> Tensor:
        """Frames laid down where they were cut, (batch, frames, n_fft) -> (batch, time)."""
        hop_length, side = self.log_mel.config.hop_length, self.log_mel.padding
        batch, steps, size = frames.shape
        parts = -(-size // hop_length)
        pieces = nn.functional.pad(frames, (0, parts * hop_length - size))
        pieces = pieces.view(batch, steps, parts, hop_length)
        total = frames.new_zeros(batch, steps + parts, hop_length)
        for part in range(parts):
            total[:, part : part + steps] += pieces[:, :, part]
        return total.view(batch, -1)[:, side : side + steps * hop_length]


def _carried_on(before: Tensor, now: Tensor) -> Tensor:
    """``now + MOMENTUM * (now - before)``, in one pass over the real numbers."""
    ends = torch.view_as_real(before), torch.view_as_real(now)
    return torch.view_as_complex(torch.lerp(*ends, 1 + MOMENTUM))
