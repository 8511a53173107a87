"""All figures of the extra ``quality`` for a pair of recording and copy."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from torch import Tensor

from waveflow.evaluation.band_periodicity import band_periodicity
from waveflow.evaluation.cache import MeasureCache
from waveflow.evaluation.clip_score import RecordingScore
from waveflow.evaluation.crepe import crepe_score
from waveflow.evaluation.metrics import NoSpeechError
from waveflow.evaluation.opinion import distill_mos, dnsmos, needed

Result = TypeVar("Result")


def require_quality() -> None:
    """Check that the packages of the extra are installed.

    Raises:
        ImportError: a package is missing; names the extra.
    """
    for package in ("distillmos", "speechmos", "onnxruntime", "torchcrepe"):
        needed(package)


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
    periodicity = _judged(crepe_score, reference, degraded, sample_rate)
    return {
        "distill_mos": _judged(distill_mos, degraded, sample_rate),
        "dnsmos": _judged(dnsmos, degraded, sample_rate),
        "periodicity_error": periodicity and periodicity.periodicity_error,
        "crepe_pitch_error": periodicity and periodicity.pitch_error,
        "crepe_voicing_f1": periodicity and periodicity.voicing_f1,
        "band_periodicity": _judged(band_periodicity, reference, degraded, sample_rate),
        "recorded": _cache.of(reference, sample_rate, _recorded),
    }


def _recorded(audio: Tensor, sample_rate: int) -> RecordingScore:
    judged = partial(_judged, sample_rate=sample_rate)
    return RecordingScore(
        judged(distill_mos, audio),
        judged(dnsmos, audio),
        judged(band_periodicity, audio, audio),
    )


def _judged(judge: Callable[..., Result], *audio: Any, **options: Any) -> Result | None:
    try:
        return judge(*audio, **options)
    except NoSpeechError:
        return None


_cache: MeasureCache[RecordingScore] = MeasureCache()
