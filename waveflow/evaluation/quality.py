"""All figures of the extra ``quality`` for a pair of recording and copy."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from waveflow.evaluation.band_periodicity import band_periodicity
from waveflow.evaluation.cache import cached
from waveflow.evaluation.clip_score import RecordingScore
from waveflow.evaluation.crepe import crepe_score
from waveflow.evaluation.metrics import judged, needed
from waveflow.evaluation.opinion import distill_mos, dnsmos


def require_quality() -> None:
    """Check that the packages of the extra are installed.

    Raises:
        ImportError: a package is missing; names the extra.
    """
    for package in ("distillmos", "speechmos", "onnxruntime", "torchcrepe"):
        needed(package, extra="quality")


def quality_scores(reference: Tensor, degraded: Tensor, sample_rate: int) -> dict[str, Any]:
    """Fields of a :class:`waveflow.evaluation.ClipScore`; None if a figure cannot be computed.

    Args:
        reference: recording, (time,); its own figures are cached.
        degraded: copy to judge, (time,).
        sample_rate: sample rate of both, Hz.

    Raises:
        ImportError: a package is missing; says how to install it.
        ValueError: the two do not have the same shape (time,), or are not finite.
    """
    periodicity = judged(crepe_score, reference, degraded, sample_rate)
    return {
        **vars(_alone(reference, degraded, sample_rate)),
        "periodicity_error": periodicity and periodicity.periodicity_error,
        "crepe_pitch_error": periodicity and periodicity.pitch_error,
        "crepe_voicing_f1": periodicity and periodicity.voicing_f1,
        "recorded": _recorded(reference, sample_rate),
    }


@cached
def _recorded(audio: Tensor, sample_rate: int) -> RecordingScore:
    return _alone(audio, audio, sample_rate)


def _alone(reference: Tensor, degraded: Tensor, sample_rate: int) -> RecordingScore:
    """The figures that need nothing of the reference, or its pitch alone."""
    return RecordingScore(
        judged(distill_mos, degraded, sample_rate),
        judged(dnsmos, degraded, sample_rate),
        judged(band_periodicity, reference, degraded, sample_rate),
    )
