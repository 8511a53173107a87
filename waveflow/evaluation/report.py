"""Scores of a set of recordings and their copies, and how they are written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from waveflow.evaluation.clip_score import ClipScore, Recorded
from waveflow.evaluation.figures import FIGURES, mean, means, table
from waveflow.evaluation.recording import bits_per_sample
from waveflow.evaluation.tones import HOP, tone_prominence

_RUN = ("temperature", "consistency", "seed", "device", "threads")


class _Mean:
    """The mean of a figure over the clips that have it, as an attribute of a report."""

    def __set_name__(self, owner: type[Report], name: str) -> None:
        self.name = name

    def __get__(self, report: Report | None, owner: type[Report]) -> float | None:
        return None if report is None else mean(getattr(clip, self.name) for clip in report.clips)


@dataclass(frozen=True)
class Report:
    """Scores of clips and of the set they make up.

    A figure of the set is the mean over the clips that have one, but for likelihood, tones and
    speed, for which the clips are pooled.

    Attributes:
        clips: one score a recording.
        temperature: of the copy synthesis; None of a vocoder that has none.
        consistency: iterations that brought it nearer to the mel; None where there are none to
            choose.
        seed: of the copy synthesis.
        device: that the vocoder ran on.
        threads: that torch had on the CPU.
    """

    clips: tuple[ClipScore, ...]
    temperature: float | None
    consistency: int | None
    seed: int
    device: str
    threads: int

    @property
    def seconds(self) -> float:
        """Duration of all the clips."""
        return sum(clip.seconds for clip in self.clips)

    @property
    def nats_per_sample(self) -> float | None:
        """All nats over all samples, so that a long clip counts for more."""
        nats = [
            clip.nats_per_sample * clip.samples
            for clip in self.clips
            if clip.nats_per_sample is not None
        ]
        return sum(nats) / sum(clip.samples for clip in self.clips) if nats else None

    @property
    def bits_per_sample(self) -> float | None:
        """All bits over all samples."""
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
    """Nats."""
    stft_distance = _Mean()
    """Multi-resolution STFT distance."""
    f0_error = _Mean()
    """Cents."""
    voicing_f1 = _Mean()
    """Of the voiced frames."""
    distill_mos = _Mean()
    """Predicted opinion."""
    dnsmos = _Mean()
    """Predicted overall opinion."""
    periodicity_error = _Mean()
    """By CREPE."""
    crepe_pitch_error = _Mean()
    """Cents, by CREPE."""
    crepe_voicing_f1 = _Mean()
    """Of the voiced frames, by CREPE."""

    @property
    def band_periodicity(self) -> tuple[float | None, ...] | None:
        """A figure a band."""
        return means(clip.band_periodicity for clip in self.clips)

    @property
    def recorded(self) -> Recorded | None:
        """The recordings' own figures; None where they were not asked for."""
        known = [clip.recorded for clip in self.clips if clip.recorded is not None]
        if not known:
            return None
        return Recorded(
            mean(each.distill_mos for each in known),
            mean(each.dnsmos for each in known),
            means(each.band_periodicity for each in known),
        )

    @property
    def tone_prominence(self) -> float | None:
        """Of the pauses of all clips, at multiples of sample rate / groups, dB."""
        return tone_prominence(clip.tones for clip in self.clips if clip.tones is not None)

    @property
    def recorded_tone_prominence(self) -> float | None:
        """The same of the recordings, to compare with."""
        recorded = (clip.recorded_tones for clip in self.clips)
        return tone_prominence(tones for tones in recorded if tones is not None)

    @property
    def pause_seconds(self) -> float:
        """Of the pauses in which tones were looked for."""
        return sum(
            clip.tones.frames * HOP * clip.seconds / clip.samples
            for clip in self.clips
            if clip.tones is not None
        )

    @property
    def times_real_time(self) -> float:
        """All seconds of audio over all seconds of synthesis."""
        return self.seconds / sum(clip.synthesis_seconds for clip in self.clips)

    def to_dict(self) -> dict[str, Any]:
        """Every figure, unrounded: how it was run, of the set, of each clip."""
        run = {name: getattr(self, name) for name in _RUN}
        whole = {figure.name: getattr(self, figure.name) for figure in FIGURES}
        derived = ("bits_per_sample", "times_real_time")
        clips = [
            {**asdict(clip), **{name: getattr(clip, name) for name in derived}}
            for clip in self.clips
        ]
        lengths = {name: getattr(self, name) for name in ("seconds", "pause_seconds")}
        recorded = None if self.recorded is None else asdict(self.recorded)
        return {**run, "all": {**lengths, **whole}, "recordings": recorded, "clips": clips}

    def to_json(self, baselines: Mapping[str, Report] | None = None) -> str:
        """Of :meth:`to_dict`; the reports of baselines stand in it as "baselines", by their names.

        Args:
            baselines: of the same files, by name.
        """
        content = self.to_dict()
        if baselines:
            content["baselines"] = {name: one.to_dict() for name, one in baselines.items()}
        return json.dumps(content, indent=2, ensure_ascii=False)

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Report:
        """A report again, of what :meth:`to_dict` gave.

        Raises:
            ValueError: something is missing; names it.
        """
        try:
            clips = tuple(ClipScore.from_dict(clip) for clip in content["clips"])
            return cls(clips, **{name: content[name] for name in _RUN})
        except KeyError as error:
            raise ValueError(f"expected the figures of a report; {error} is missing") from None

    def to_table(self, baselines: Mapping[str, Report] | None = None) -> str:
        """A Markdown table of the figures most asked for.

        A row a clip, one for all of them, one for each baseline and, with the judges of the extra
        ``quality``, one for the recordings; below it a line of the tones, if there is pause enough.
        The other ``FIGURES`` stand in :meth:`to_json` alone.

        Args:
            baselines: of the same files, by name.
        """
        return table(self, baselines or {})


def read_reports(content: dict[str, Any]) -> tuple[Report, dict[str, Report]]:
    """A report and its baselines by name, of what :meth:`Report.to_json` wrote.

    A file with one "baseline", as earlier versions wrote it, has Griffin-Lim's.

    Raises:
        ValueError: something is missing; names it.
    """
    baselines = content.get("baselines", {})
    if "baseline" in content:
        baselines = {"Griffin-Lim": content["baseline"], **baselines}
    return Report.from_dict(content), {
        name: Report.from_dict(one) for name, one in baselines.items()
    }
