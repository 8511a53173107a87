"""The figures of one recording and its copy."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields
from typing import Any

from waveflow.evaluation.recording import bits_per_sample
from waveflow.evaluation.tones import PauseTones


@dataclass(frozen=True)
class RecordingScore:
    """Figures of recordings that need no second signal.

    Attributes:
        distill_mos: predicted opinion score.
        dnsmos: predicted overall opinion score.
        band_periodicity: one figure per band.
    """

    distill_mos: float | None = None
    dnsmos: float | None = None
    band_periodicity: tuple[float | None, ...] | None = None


@dataclass(frozen=True)
class ClipScore:
    """Figures of one recording and its copy synthesis; None if a figure cannot be computed.

    Attributes:
        file: path of the recording.
        samples: number of samples at the vocoder's sample rate.
        seconds: duration of these samples.
        nats_per_sample: exact log-likelihood (:func:`waveflow.evaluation.nats_per_sample`); None
            for a baseline.
        pesq: wide-band PESQ.
        stoi: STOI.
        synthesis_seconds: time from mel to audio; for a vocoder, the median of ``REPEATS`` after a
            warm-up.
        pesq_narrowband: narrow-band PESQ.
        estoi: extended STOI.
        mel_cepstral_distortion: MCD-13, dB.
        log_mel_distance: mean absolute difference, nats.
        stft_distance: multi-resolution STFT distance.
        f0_error: root mean square pitch error, cents.
        voicing_f1: F1 of the voiced frames.
        distill_mos: predicted opinion score (:func:`waveflow.evaluation.distill_mos`).
        dnsmos: predicted overall opinion score (:func:`waveflow.evaluation.dnsmos`).
        periodicity_error: periodicity error by CREPE (:func:`waveflow.evaluation.crepe_score`).
        crepe_pitch_error: root mean square pitch error by CREPE, cents.
        crepe_voicing_f1: F1 of the voiced frames by CREPE.
        band_periodicity: one figure per band (:func:`waveflow.evaluation.band_periodicity`).
        recorded: figures of the recording that need no second signal.
        tones: tones of the copy in the recording's pauses; one clip is too short to judge them.
        recorded_tones: tones of the recording in its pauses.
    """

    file: str
    samples: int
    seconds: float
    nats_per_sample: float | None
    pesq: float | None
    stoi: float | None
    synthesis_seconds: float
    pesq_narrowband: float | None = None
    estoi: float | None = None
    mel_cepstral_distortion: float | None = None
    log_mel_distance: float | None = None
    stft_distance: float | None = None
    f0_error: float | None = None
    voicing_f1: float | None = None
    distill_mos: float | None = None
    dnsmos: float | None = None
    periodicity_error: float | None = None
    crepe_pitch_error: float | None = None
    crepe_voicing_f1: float | None = None
    band_periodicity: tuple[float | None, ...] | None = None
    recorded: RecordingScore | None = None
    tones: PauseTones | None = None
    recorded_tones: PauseTones | None = None

    @property
    def bits_per_sample(self) -> float | None:
        """Upper bound on the cost of the 16-bit recording, bits per sample."""
        return None if self.nats_per_sample is None else bits_per_sample(self.nats_per_sample)

    @property
    def times_real_time(self) -> float:
        """Seconds of audio per second of synthesis."""
        return self.seconds / self.synthesis_seconds

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> ClipScore:
        """Read a score from its part of a report's JSON.

        Figures that an older report does not have are None.

        Raises:
            KeyError: a figure that every report has is missing.
        """
        values = {
            field.name: content[field.name]
            for field in fields(cls)
            if field.default is MISSING or field.name in content
        }
        parts = ("tones", PauseTones), ("recorded_tones", PauseTones), ("recorded", RecordingScore)
        for name, kind in parts:
            if values.get(name) is not None:
                values[name] = kind(**_with_tuples(values[name]))
        return cls(**_with_tuples(values))


def _with_tuples(values: dict[str, Any]) -> dict[str, Any]:
    """The values with tuples in place of JSON's lists."""
    return {
        name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
    }
