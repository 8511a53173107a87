"""Perceptual metrics of speech: PESQ for quality, STOI for intelligibility."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any, TypeVar

import numpy as np
from torch import Tensor

from waveflow.audio.sample_rate import resample
from waveflow.checks import tensor, whole

Result = TypeVar("Result")


class NoSpeechError(ValueError):
    """The audio is silent, or has too little speech for a metric."""


def pesq_wideband(reference: Tensor, degraded: Tensor, sample_rate: int) -> float:
    """Wide-band PESQ (ITU-T P.862.2), from 1.0 to 4.64: a predicted opinion score.

    Levels and constant delays are compensated before the comparison.

    Args:
        reference: recording, (time,).
        degraded: copy to judge, (time,).
        sample_rate: sample rate of both, Hz; they are resampled to 16 kHz.

    Raises:
        ImportError: the package ``pesq`` is missing; says how to install it.
        NoSpeechError: no utterance is found in the reference, or the degraded audio is silent.
        ValueError: the two do not have the same shape (time,), or are not finite.

    >>> import torch
    >>> tone = torch.sin(torch.arange(32000) / 7) * torch.hann_window(32000)
    >>> round(pesq_wideband(tone, tone, 16000), 2)
    4.64
    """
    return _pesq(reference, degraded, sample_rate, rate=16000, mode="wb")


def pesq_narrowband(reference: Tensor, degraded: Tensor, sample_rate: int) -> float:
    """Narrow-band PESQ (ITU-T P.862, mapped by P.862.1), from 1.0 to 4.55.

    It ignores everything above 4 kHz, as on a telephone. Arguments and errors are those of
    :func:`pesq_wideband`; the two are resampled to 8 kHz.
    """
    return _pesq(reference, degraded, sample_rate, rate=8000, mode="nb")


def stoi(reference: Tensor, degraded: Tensor, sample_rate: int) -> float:
    """Short-time objective intelligibility, at most 1 (identity).

    Taal et al., *An algorithm for intelligibility prediction of time-frequency weighted noisy
    speech*, 2011. It does not depend on the level; a delay counts as degradation.

    Args:
        reference: recording, (time,).
        degraded: copy to judge, (time,).
        sample_rate: sample rate of both, Hz.

    Raises:
        ImportError: the package ``pystoi`` is missing; says how to install it.
        NoSpeechError: one of the two is silent, or fewer than 30 frames (0.4 s) of the reference
            are not silent.
        ValueError: the two do not have the same shape (time,), or are not finite.
    """
    return _stoi(reference, degraded, sample_rate, extended=False)


def estoi(reference: Tensor, degraded: Tensor, sample_rate: int) -> float:
    """Extended STOI, at most 1 (identity); it also compares spectra, not only each band over time.

    Jensen and Taal, *An algorithm for predicting the intelligibility of speech masked by modulated
    noise maskers*, 2016. Arguments and errors are those of :func:`stoi`.
    """
    return _stoi(reference, degraded, sample_rate, extended=True)


def check_pair(reference: Tensor, degraded: Tensor) -> None:
    """Refuse audio that no metric can compare.

    Raises:
        NoSpeechError: one of the two is silent.
        ValueError: the two do not have the same shape (time,), or are not finite.
    """
    tensor(reference, "reference audio")
    tensor(degraded, "degraded audio")
    if reference.dim() != 1 or reference.shape != degraded.shape:
        raise ValueError(
            f"expected reference and degraded audio of the same shape (time,); "
            f"got {tuple(reference.shape)} and {tuple(degraded.shape)}"
        )
    for name, audio in (("reference", reference), ("degraded", degraded)):
        if not audio.isfinite().all():
            raise ValueError(f"{name} audio: expected finite samples; got NaN or infinity")
        if not audio.any():
            raise NoSpeechError(f"{name} audio: expected speech; got silence")


def _pesq(reference: Tensor, degraded: Tensor, sample_rate: int, *, rate: int, mode: str) -> float:
    check_pair(reference, degraded)
    package = needed("pesq")
    both = (resample(audio, sample_rate, rate) for audio in (reference, degraded))
    try:
        score = float(package.pesq(rate, *(audio.cpu().numpy() for audio in both), mode=mode))
    except package.PesqError as error:
        reason = error.args[0].decode() if error.args else type(error).__name__
        raise NoSpeechError(f"PESQ: expected speech; got: {reason}") from None
    if not math.isfinite(score):
        raise NoSpeechError("PESQ: expected speech; got none that it can compare")
    return score


def _stoi(reference: Tensor, degraded: Tensor, sample_rate: int, *, extended: bool) -> float:
    check_pair(reference, degraded)
    sample_rate = whole(sample_rate, "sample_rate")
    package = needed("pystoi")
    state = np.random.get_state()
    np.random.seed(0)  # pystoi adds noise of 1e-16 from the global generator
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        try:
            arrays = (audio.double().cpu().numpy() for audio in (reference, degraded))
            return float(package.stoi(*arrays, sample_rate, extended=extended))
        except (RuntimeWarning, np.exceptions.AxisError):
            raise NoSpeechError("STOI: expected at least 0.4 s of speech; got less") from None
        finally:
            np.random.set_state(state)


def judged(metric: Callable[..., Result], *audio: Any, **options: Any) -> Result | None:
    """The result of a metric; None if it finds no speech to judge."""
    try:
        return metric(*audio, **options)
    except NoSpeechError:
        return None


def needed(package: str, *, extra: str = "evaluate") -> Any:
    """Import a package of an extra.

    Raises:
        ImportError: the package is missing; names the extra.
    """
    try:
        return import_module(package)
    except ImportError as error:
        raise ImportError(
            f"this metric needs {package}: pip install 'waveflow[{extra}]'"
        ) from error
