"""How periodic each band of a voice is: harmonics against noise, from the bass to the hiss."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from waveflow.evaluation.metrics import NoSpeechError, check_pair
from waveflow.evaluation.pitch import reference_pitch

BANDS = ((60, 700), (700, 1400), (1400, 2800), (2800, 5600), (5600, 10500))
"""Hz, from and to."""

WINDOW = 768 / 22050
"""Seconds of the Hann window: at 2 to 8 periods of a voice, weighted to its middle."""

SEARCH = 0.04
"""How far from the pitch period the best lag is looked for, as a part of it."""

LOUD = 20.0
"""dB below the loudest voiced frame of the recording, down to which frames count."""

_HOP = 256 / 22050  # seconds, of the pitch track
_LEAST = 1e-20  # energy of a window; less is silence


def band_periodicity(
    reference: Tensor, degraded: Tensor, sample_rate: int
) -> tuple[float | None, ...]:
    r"""Normalised autocorrelation at the pitch period in each of the ``BANDS``, at most 1.

    It hears whether a band is made of harmonics or of noise, which a mel does not say: harmonics
    of power H in noise of power N give about H / (H + N). It does not hear level or timbre, nor
    whether what is periodic is pleasant, and it trusts the recording's pitch.

    With :math:`x_b` the signal in band b (a zero-phase FFT filter), :math:`w` a Hann window of 35
    ms around a voiced frame, and T the recording's pitch period there,

    .. math:: \rho_b = \max_{|k - T| \le T / 25} \frac{\sum_n w_n x_b[n] x_b[n - k]}
              {\sqrt{\sum_n w_n x_b[n]^2 \sum_n w_n x_b[n - k]^2}},

    mean over the voiced frames of the recording that are within 20 dB of its loudest. The search
    is one for each band, for the pitch moves within a window; chance gives white
    noise a little more than 0. Lags are whole samples, so the highest bands read low, the more so
    the lower the sample rate: figures of different rates do not compare there.

    Args:
        reference: (time,), the recording; says where there is voice, and of which pitch.
        degraded: (time,), what is judged; may be the recording itself.
        sample_rate: of both, Hz.

    Returns:
        A figure a band; None for a band that does not lie below the Nyquist frequency.

    Raises:
        NoSpeechError: one of the two is silent, or the reference has no voiced frame.
        ValueError: the two do not have the same shape (time,), or are not finite.
    """
    check_pair(reference, degraded)
    pitch = reference_pitch(reference, sample_rate)
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
    """The largest normalised correlation of windows with those about a period earlier.

    Args:
        audio: (time,), float64; silence is taken to be around it.
        centres: of the windows, samples, (frames,) int64.
        periods: in samples, (frames,); every whole lag within ``SEARCH`` of it is tried.
        window: weights of the samples, (size,).

    Returns:
        (frames,), from -1 to 1; 0 where there is silence.
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
    """Windows of (time,) audio, (frames, size)."""
    before = max(0, int(size // 2 - centres.min()))
    after = max(0, int(centres.max()) + size - len(audio))
    starts = centres + before - size // 2
    return functional.pad(audio, (before, after)).unfold(0, size, 1)[starts]
