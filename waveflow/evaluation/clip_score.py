"""What one recording and its copy gave."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields
from typing import Any

from waveflow.evaluation.recording import bits_per_sample
from waveflow.evaluation.tones import PauseTones


@dataclass(frozen=True)
class Recorded:
    """What the judges that need no second signal say of a recording, or of several.

    Attributes:
        distill_mos: predicted opinion.
        dnsmos: predicted overall opinion.
        band_periodicity: a figure a band.
    """

    distill_mos: float | None = None
    dnsmos: float | None = None
    band_periodicity: tuple[float | None, ...] | None = None


@dataclass(frozen=True)
class ClipScore:
    """What one recording and its copy synthesis gave; None where there is nothing to judge.

    Attributes:
        file: of the recording.
        samples: judged, at the vocoder's sample rate.
        seconds: their duration.
        nats_per_sample: exact log-likelihood (:func:`waveflow.evaluation.nats_per_sample`); None
            of a vocoder that has none.
        pesq: wide-band PESQ.
        stoi: STOI.
        synthesis_seconds: from mel to audio; of a vocoder, median of ``REPEATS`` after a
            warm-up.
        pesq_narrowband: narrow-band PESQ.
        estoi: extended STOI.
        mel_cepstral_distortion: MCD-13, dB.
        log_mel_distance: mean absolute difference, nats.
        stft_distance: multi-resolution STFT distance.
        f0_error: root mean square, cents.
        voicing_f1: of the voiced frames.
        distill_mos: predicted opinion (:func:`waveflow.evaluation.distill_mos`).
        dnsmos: predicted overall opinion (:func:`waveflow.evaluation.dnsmos`).
        periodicity_error: by CREPE (:func:`waveflow.evaluation.crepe_score`).
        crepe_pitch_error: by CREPE, cents.
        crepe_voicing_f1: by CREPE.
        band_periodicity: a figure a band (:func:`waveflow.evaluation.band_periodicity`).
        recorded: what judges that need no recording beside say of the recording.
        tones: of the copy in the recording's pauses, too short to judge a clip by.
        recorded_tones: of the recording in them.
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
    recorded: Recorded | None = None
    tones: PauseTones | None = None
    recorded_tones: PauseTones | None = None

    @property
    def bits_per_sample(self) -> float | None:
        """Cost of the 16-bit recording, at most."""
        return None if self.nats_per_sample is None else bits_per_sample(self.nats_per_sample)

    @property
    def times_real_time(self) -> float:
        """Seconds of audio made in one second."""
        return self.seconds / self.synthesis_seconds

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> ClipScore:
        """A score again, of its part of a report's JSON.

        Figures that an older report does not have are None.

        Raises:
            KeyError: a figure is missing that every report has.
        """
        values = {
            field.name: content[field.name]
            for field in fields(cls)
            if field.default is MISSING or field.name in content
        }
        for name in ("tones", "recorded_tones"):
            if values.get(name) is not None:
                values[name] = PauseTones(values[name]["frames"], tuple(values[name]["excess"]))
        if values.get("recorded") is not None:
            values["recorded"] = Recorded(**_bands(values["recorded"]))
        return cls(**_bands(values))


def _bands(values: dict[str, Any]) -> dict[str, Any]:
    """With a tuple where JSON has a list."""
    bands = values.get("band_periodicity")
    return values if bands is None else {**values, "band_periodicity": tuple(bands)}
