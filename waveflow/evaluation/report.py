"""Scores of a set of recordings and their copies, as JSON and as a table."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from waveflow.evaluation.clip_score import ClipScore, RecordingScore
from waveflow.evaluation.figures import FIGURES, mean, means, table
from waveflow.evaluation.recording import bits_per_sample
from waveflow.evaluation.tones import HOP, tone_prominence

_RUN = ("temperature", "consistency", "seed", "device", "threads")
_ALL = ("seconds", "pause_seconds", *(figure.name for figure in FIGURES))


class _Mean:
    """The attribute of a report that is the mean of a figure over the clips that have it."""

    def __set_name__(self, owner: type[Report], name: str) -> None:
        self.name = name

    def __get__(self, report: Report | None, owner: type[Report]) -> float | None:
        return None if report is None else mean(getattr(clip, self.name) for clip in report.clips)


@dataclass(frozen=True)
class Report:
    """Scores of clips and of the whole set.

    A figure of the set is the mean over the clips that have one, except for likelihood, tones and
    speed, for which the clips are pooled.

    Attributes:
        clips: one score per recording.
        temperature: temperature of the copy synthesis; None for a baseline.
        consistency: iterations of mel consistency; None if the method has none.
        seed: seed of the copy synthesis.
        device: device of the vocoder.
        threads: number of torch's threads on the CPU.
    """

    clips: tuple[ClipScore, ...]
    temperature: float | None
    consistency: int | None
    seed: int
    device: str
    threads: int

    @property
    def seconds(self) -> float:
        """Duration of all clips, seconds."""
        return sum(clip.seconds for clip in self.clips)

    @property
    def nats_per_sample(self) -> float | None:
        """Nats of all clips divided by their samples, so a long clip counts more."""
        nats = [
            clip.nats_per_sample * clip.samples
            for clip in self.clips
            if clip.nats_per_sample is not None
        ]
        return sum(nats) / sum(clip.samples for clip in self.clips) if nats else None

    @property
    def bits_per_sample(self) -> float | None:
        """Upper bound on the bits of all clips divided by their samples."""
        return None if self.nats_per_sample is None else bits_per_sample(self.nats_per_sample)

    pesq = _Mean()
    """Wide-band PESQ."""
    pesq_narrowband = _Mean()
    """Narrow-band PESQ."""
    stoi = _Mean()
    """STOI."""
    estoi = _Mean()
    """Extended STOI."""
    mel_cepstral_distortion = _Mean()
    """MCD-13, dB."""
    log_mel_distance = _Mean()
    """Mean absolute difference of log-mels, nats."""
    stft_distance = _Mean()
    """Multi-resolution STFT distance."""
    f0_error = _Mean()
    """Root mean square pitch error, cents."""
    voicing_f1 = _Mean()
    """F1 of the voiced frames."""
    distill_mos = _Mean()
    """Predicted opinion score."""
    dnsmos = _Mean()
    """Predicted overall opinion score."""
    periodicity_error = _Mean()
    """Periodicity error by CREPE."""
    crepe_pitch_error = _Mean()
    """Pitch error by CREPE, cents."""
    crepe_voicing_f1 = _Mean()
    """F1 of the voiced frames by CREPE."""

    @property
    def band_periodicity(self) -> tuple[float | None, ...] | None:
        """One figure per band."""
        return means(clip.band_periodicity for clip in self.clips)

    @property
    def recorded(self) -> RecordingScore | None:
        """The recordings' own figures; None if they were not computed."""
        known = [clip.recorded for clip in self.clips if clip.recorded is not None]
        if not known:
            return None
        return RecordingScore(
            mean(each.distill_mos for each in known),
            mean(each.dnsmos for each in known),
            means(each.band_periodicity for each in known),
        )

    @property
    def tone_prominence(self) -> float | None:
        """Prominence of tones at multiples of sample rate / groups in the copies' pauses, dB."""
        return tone_prominence(clip.tones for clip in self.clips if clip.tones is not None)

    @property
    def recorded_tone_prominence(self) -> float | None:
        """Prominence of tones in the pauses of the recordings, to compare with, dB."""
        recorded = (clip.recorded_tones for clip in self.clips)
        return tone_prominence(tones for tones in recorded if tones is not None)

    @property
    def pause_seconds(self) -> float:
        """Duration of the pauses in which tones were measured, seconds."""
        return sum(
            clip.tones.frames * HOP * clip.seconds / clip.samples
            for clip in self.clips
            if clip.tones is not None
        )

    @property
    def times_real_time(self) -> float:
        """Seconds of audio of all clips divided by the seconds of their synthesis."""
        return self.seconds / sum(clip.synthesis_seconds for clip in self.clips)

    def to_dict(self) -> dict[str, Any]:
        """All figures, unrounded: the options of the run, the set, and each clip."""
        derived = ("bits_per_sample", "times_real_time")
        return {
            **_values(self, _RUN),
            "all": _values(self, _ALL),
            "recordings": None if self.recorded is None else asdict(self.recorded),
            "clips": [asdict(clip) | _values(clip, derived) for clip in self.clips],
        }

    def to_json(self, baselines: Mapping[str, Report] | None = None) -> str:
        """The content of :meth:`to_dict` as JSON, with baselines by name under "baselines".

        Args:
            baselines: reports of baselines on the same files, by name.
        """
        content = self.to_dict()
        if baselines:
            content["baselines"] = {name: one.to_dict() for name, one in baselines.items()}
        return json.dumps(content, indent=2, ensure_ascii=False)

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Report:
        """Make a report from the content of :meth:`to_dict`.

        Raises:
            ValueError: a key is missing; names it.
        """
        try:
            clips = tuple(ClipScore.from_dict(clip) for clip in content["clips"])
            return cls(clips, **{name: content[name] for name in _RUN})
        except KeyError as error:
            raise ValueError(f"expected the figures of a report; {error} is missing") from None

    def to_table(self, baselines: Mapping[str, Report] | None = None) -> str:
        """A Markdown table of the most important figures.

        It has a row for each clip, for the whole set, for each baseline and, with the figures of
        the extra ``quality``, for the recordings. A line about tones follows if the pauses are long
        enough. The other ``FIGURES`` are only in :meth:`to_json`.

        Args:
            baselines: reports of baselines on the same files, by name.
        """
        return table(self, baselines or {})


def _values(scores: Report | ClipScore, names: Iterable[str]) -> dict[str, Any]:
    return {name: getattr(scores, name) for name in names}


def read_reports(content: dict[str, Any]) -> tuple[Report, dict[str, Report]]:
    """Read a report and its baselines by name from the content of :meth:`Report.to_json`.

    A single "baseline", which earlier versions wrote, is that of Griffin-Lim.

    Raises:
        ValueError: a key is missing; names it.
    """
    baselines = content.get("baselines", {})
    if "baseline" in content:
        baselines = {"Griffin-Lim": content["baseline"], **baselines}
    return Report.from_dict(content), {
        name: Report.from_dict(one) for name, one in baselines.items()
    }
