"""Distances of short-time spectra: envelopes (cepstra), mels, and fine structure."""

from __future__ import annotations

import math
from statistics import fmean

import torch
from torch import Tensor

from waveflow.audio.mel import LogMel, MelConfig
from waveflow.audio.sample_rate import resample
from waveflow.evaluation.metrics import NoSpeechError, check_pair

CEPSTRA = 13
"""Number of coefficients that mel-cepstral distortion compares: c1 to c13."""

RESOLUTIONS = ((1024, 120, 600), (2048, 240, 1200), (512, 50, 240))
"""FFT size, hop and length of the Hann window in samples, for Parallel WaveGAN's three STFTs."""

_LEAST_POWER = 1e-7


def mel_cepstral_distortion(reference: Tensor, degraded: Tensor, sample_rate: int) -> float:
    r"""Mel-cepstral distortion MCD-13 in dB, at least 0 (identity).

    :math:`\frac{10}{\ln 10} \sqrt{2 \sum_{k=1}^{13} (c_k - c'_k)^2}`, averaged over frames. The
    cepstrum is the DCT-II of the 80-band log-mel of ``hifigan-22k`` (``mel_cepstra``); cepstra
    from linear prediction or SPTK's all-pass warping give other figures. Frames are compared
    without time warping, so a delay counts as degradation; c0 is left out, so a gain does not
    count.

    Kubichek, *Mel-cepstral distance measure for objective speech quality assessment*, 1993.

    Args:
        reference: recording, (time,).
        degraded: copy to judge, (time,).
        sample_rate: sample rate of both, Hz; they are resampled to 22.05 kHz.

    Raises:
        NoSpeechError: one of the two is silent, or too short for a frame.
        ValueError: the two do not have the same shape (time,), or are not finite.
    """
    ours, theirs = _log_mels(reference, degraded, sample_rate)
    difference = mel_cepstra(ours) - mel_cepstra(theirs)
    distance = (2 * difference.square().sum(0)).sqrt().mean().item()
    return 10 / math.log(10) * distance


def mel_cepstra(log_mel: Tensor) -> Tensor:
    r"""(n_mels, frames) -> c1 to c13, (13, frames), float64.

    :math:`c_k = \frac{2}{M} \sum_{m=0}^{M-1} L_m \cos \frac{\pi k (m + 1/2)}{M}`, so
    :math:`L = c_0 + \sum_k c_k \cos(\ldots)`. With this scale, Kubichek's formula is the root mean
    square over the bands of the difference of the smoothed spectra in dB.
    """
    bands = len(log_mel)
    k = torch.arange(1, CEPSTRA + 1, dtype=torch.float64, device=log_mel.device)
    m = torch.arange(bands, dtype=torch.float64, device=log_mel.device)
    basis = torch.cos(math.pi / bands * k[:, None] * (m + 0.5))
    return 2 / bands * basis @ log_mel.double()


def log_mel_distance(reference: Tensor, degraded: Tensor, sample_rate: int) -> float:
    r"""Mean absolute difference of log-mels in nats, at least 0 (identity).

    The mean is over all frames and the 80 bands of ``hifigan-22k``. A gain g counts as
    :math:`|\ln g|` where both mels are above their floor. Arguments and errors are those of
    :func:`mel_cepstral_distortion`.
    """
    ours, theirs = _log_mels(reference, degraded, sample_rate)
    return (ours - theirs).abs().mean().item()


def stft_distance(reference: Tensor, degraded: Tensor, sample_rate: int) -> float:
    r"""Multi-resolution STFT distance, at least 0 (identity).

    :math:`\frac{\lVert S - S' \rVert_F}{\lVert S \rVert_F} + \mathrm{mean} |\ln S - \ln S'|`,
    spectral convergence plus log-magnitude distance in nats, averaged over the three
    ``RESOLUTIONS``; magnitudes are at least :math:`10^{-3.5}`. Yamamoto et al., *Parallel
    WaveGAN*, 2019, https://arxiv.org/abs/1910.11480, section 2.2.

    Args:
        reference: recording, (time,).
        degraded: copy to judge, (time,).
        sample_rate: sample rate of both, Hz; the audio is not resampled, the sizes are in samples.

    Raises:
        NoSpeechError: one of the two is silent, or too short for a frame.
        ValueError: the two do not have the same shape (time,), or are not finite.

    >>> noise = torch.randn(8000, generator=torch.Generator().manual_seed(0))
    >>> round(stft_distance(noise, noise / 2, 22050), 3)  # 0.5 + ln 2
    1.193
    """
    check_pair(reference, degraded)
    longest = max(n_fft for n_fft, _, _ in RESOLUTIONS)
    if len(reference) <= longest // 2:
        raise NoSpeechError(f"expected more than {longest // 2} samples; got {len(reference)}")
    return fmean(
        _distance(*(_magnitude(audio, *sizes) for audio in (reference, degraded)))
        for sizes in RESOLUTIONS
    )


def _magnitude(audio: Tensor, n_fft: int, hop_length: int, win_length: int) -> Tensor:
    window = torch.hann_window(win_length, dtype=torch.float64, device="cpu")
    spectrum = torch.stft(
        audio.double().cpu(), n_fft, hop_length, win_length, window, return_complex=True
    )
    return spectrum.abs().square().clamp_min(_LEAST_POWER).sqrt()


def _distance(reference: Tensor, degraded: Tensor) -> float:
    convergence = (reference - degraded).norm() / reference.norm()
    return (convergence + (reference.log() - degraded.log()).abs().mean()).item()


def _log_mels(reference: Tensor, degraded: Tensor, sample_rate: int) -> list[Tensor]:
    check_pair(reference, degraded)
    config = MelConfig()
    log_mel = LogMel(config).float()
    both = (
        resample(audio.float().cpu(), sample_rate, config.sample_rate)
        for audio in (reference, degraded)
    )
    try:
        return [log_mel(audio[None])[0] for audio in both]
    except ValueError as error:
        raise NoSpeechError(str(error)) from None
