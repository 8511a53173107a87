"""Periodicity of a voice in frequency bands: harmonics against noise."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from waveflow.evaluation.metrics import NoSpeechError, check_pair
from waveflow.evaluation.pitch import track_pitch

BANDS = ((60, 700), (700, 1400), (1400, 2800), (2800, 5600), (5600, 10500))
"""Lower and upper edge of each band, Hz."""

WINDOW = 768 / 22050
"""Length of the Hann window in seconds: 2 to 8 periods of a voice, weighted to the middle."""

SEARCH = 0.04
"""Range of the search for the best lag, as a fraction of the pitch period."""

LOUD = 20.0
"""Voiced frames count if they are at most this many dB below the loudest one of the recording."""

_HOP = 256 / 22050  # seconds per frame of the pitch track
_LEAST = 1e-20  # energy of a window; smaller values are silence


def band_periodicity(
    reference: Tensor, degraded: Tensor, sample_rate: int
) -> tuple[float | None, ...]:
    r"""Normalised autocorrelation at the pitch period in each of the ``BANDS``, at most 1.

    It measures whether a band consists of harmonics or of noise, which a mel does not show:
    harmonics of power H in noise of power N give about H / (H + N). It does not depend on level or
    timbre, and relies on the recording's pitch.

    With :math:`x_b` the signal in band b (a zero-phase FFT filter), :math:`w` a Hann window of 35
    ms around a voiced frame, and T the recording's pitch period there,

    .. math:: \rho_b = \max_{|k - T| \le T / 25} \frac{\sum_n w_n x_b[n] x_b[n - k]}
              {\sqrt{\sum_n w_n x_b[n]^2 \sum_n w_n x_b[n - k]^2}},

    averaged over the voiced frames of the recording that are within 20 dB of its loudest. Each band
    has its own search, because the pitch changes within a window. White noise gives slightly more
    than 0 by chance. Lags are whole samples, so the highest bands read too low, and more so at
    lower sample rates; do not compare those bands across sample rates.

    Args:
        reference: recording, (time,); it gives the voiced frames and their pitch.
        degraded: audio to judge, (time,); may be the recording itself.
        sample_rate: sample rate of both, Hz.

    Returns:
        One figure per band; None for a band that is not below the Nyquist frequency.

    Raises:
        NoSpeechError: one of the two is silent, or the reference has no voiced frame.
        ValueError: the two do not have the same shape (time,), or are not finite.
    """
    check_pair(reference, degraded)
    pitch = track_pitch(reference, sample_rate)
    if not pitch.voiced.any():
        raise NoSpeechError("expected a reference with voiced frames; got none")
    frames = pitch.voiced.nonzero()[:, 0]
    centres = (frames * (_HOP * sample_rate)).round().long()
    periods = sample_rate * 2 ** (-pitch.cents[frames] / 1200)
    window = torch.hann_window(round(WINDOW * sample_rate), dtype=torch.float64, device="cpu")
    energy = (_cut(reference.double().cpu(), centres, len(window)).square() * window).sum(1)
    loud = energy >= energy.max() * 10 ** (-LOUD / 10)
    spectrum = torch.fft.rfft(degraded.double().cpu())
    hertz = torch.fft.rfftfreq(len(degraded), 1 / sample_rate, dtype=torch.float64, device="cpu")

    def of_band(low: float, high: float) -> float | None:
        if high > sample_rate / 2:
            return None
        band = torch.fft.irfft(spectrum * ((hertz >= low) & (hertz < high)), len(degraded))
        return autocorrelation(band, centres[loud], periods[loud], window).mean().item()

    return tuple(of_band(*band) for band in BANDS)


def autocorrelation(audio: Tensor, centres: Tensor, periods: Tensor, window: Tensor) -> Tensor:
    """The largest normalised correlation of windows with those about one period earlier.

    Args:
        audio: audio, (time,), float64; it is continued by zeros.
        centres: centres of the windows in samples, (frames,) int64.
        periods: pitch periods in samples, (frames,); every whole lag within ``SEARCH`` of a period
            is tried.
        window: weights of the samples, (size,).

    Returns:
        (frames,), from -1 to 1; 0 in silence.
    """
    first = (periods * (1 - SEARCH)).round().long()
    last = (periods * (1 + SEARCH)).round().long()
    size = len(window)
    now = _cut(audio, centres, size) * window
    scale = (now * _cut(audio, centres, size)).sum(1)
    best = torch.full_like(scale, -1)
    for step in range(int((last - first).max()) + 1):
        past = _cut(audio, centres - torch.minimum(first + step, last), size)
        energy = (scale * (past.square() @ window)).sqrt().clamp_min(_LEAST)
        best = torch.maximum(best, (now * past).sum(1) / energy)
    return best


def _cut(audio: Tensor, centres: Tensor, size: int) -> Tensor:
    """Windows of audio, (time,) -> (frames, size)."""
    before = max(0, int(size // 2 - centres.min()))
    after = max(0, int(centres.max()) + size - len(audio))
    starts = centres + before - size // 2
    return functional.pad(audio, (before, after)).unfold(0, size, 1)[starts]
