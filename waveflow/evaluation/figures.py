"""The figures of a report, and a table of the most important ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Literal

from waveflow.io.markdown import markdown_table, written

if TYPE_CHECKING:
    from waveflow.evaluation.report import Report


@dataclass(frozen=True)
class Figure:
    """A figure of a report: attribute, title, number of digits, and which direction is better."""

    name: str
    title: str
    digits: int
    better: Literal["higher", "lower"]

    def of(self, scores: object) -> str:
        """The text of the figure in a table; a dash if there is none.

        Args:
            scores: score of a clip, report, or score of recordings.
        """
        value = getattr(scores, self.name, None)
        if isinstance(value, tuple):
            return " ".join(self._written(each).replace("0.", ".", 1) for each in value)
        return self._written(value)

    def _written(self, value: float | None) -> str:
        return written(value, f"{{:.{self.digits}f}}", missing="–")


FIGURES = (
    Figure("nats_per_sample", "nats/sample", 4, "higher"),
    Figure("bits_per_sample", "bits/sample", 3, "lower"),
    Figure("pesq", "PESQ-wb", 3, "higher"),
    Figure("pesq_narrowband", "PESQ-nb", 3, "higher"),
    Figure("stoi", "STOI", 4, "higher"),
    Figure("estoi", "ESTOI", 4, "higher"),
    Figure("mel_cepstral_distortion", "MCD, dB", 2, "lower"),
    Figure("log_mel_distance", "log-mel, nats", 3, "lower"),
    Figure("stft_distance", "STFT", 3, "lower"),
    Figure("f0_error", "F0 error, cents", 1, "lower"),
    Figure("voicing_f1", "V/UV F1", 3, "higher"),
    Figure("distill_mos", "DistillMOS", 2, "higher"),
    Figure("dnsmos", "DNSMOS", 2, "higher"),
    Figure("periodicity_error", "periodicity error", 3, "lower"),
    Figure("crepe_pitch_error", "CREPE pitch error, cents", 1, "lower"),
    Figure("crepe_voicing_f1", "CREPE V/UV F1", 3, "higher"),
    Figure("band_periodicity", "band periodicity", 3, "higher"),
    Figure("tone_prominence", "tones, dB", 1, "lower"),
    Figure("recorded_tone_prominence", "tones of the recordings, dB", 1, "lower"),
    Figure("times_real_time", "× real time", 1, "higher"),
)
"""All figures, in the order of tables."""


def mean(values: Iterable[float | None]) -> float | None:
    """The mean of the values that are not None; None if there are none."""
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def means(rows: Iterable[Sequence[float | None] | None]) -> tuple[float | None, ...] | None:
    """The mean of each column over the rows that are not None; None if there are none."""
    known = [row for row in rows if row is not None]
    return tuple(map(mean, zip(*known, strict=True))) if known else None


_QUICK = (
    *("nats_per_sample", "bits_per_sample", "pesq", "stoi", "mel_cepstral_distortion"),
    *("f0_error", "voicing_f1", "times_real_time"),
)
_QUALITY = ("distill_mos", "dnsmos", "periodicity_error", "band_periodicity")


def table(report: Report, baselines: Mapping[str, Report]) -> str:
    """A Markdown table of :meth:`waveflow.evaluation.Report.to_table`."""
    everyone = (report, *baselines.values())
    known = [name for name in _QUALITY if any(getattr(each, name) is not None for each in everyone)]
    columns = [figure for figure in FIGURES if figure.name in (*_QUICK, *known)]

    scored: list[tuple[str, object]] = [(Path(clip.file).name, clip) for clip in report.clips]
    scored += [(f"all {len(report.clips)}", report), *baselines.items()]
    if report.recorded is not None:
        scored.append(("recordings", report.recorded))
    parts = [
        markdown_table(
            ["clip", *(figure.title for figure in columns)],
            ([name, *(figure.of(scores) for figure in columns)] for name, scores in scored),
        ),
        _tones(report, baselines),
    ]
    return "\n\n".join(part for part in parts if part is not None)


def _tones(report: Report, baselines: Mapping[str, Report]) -> str | None:
    """A line with the prominence of tones for the vocoder, the recordings and the baselines."""
    if report.tone_prominence is None:
        return None
    prominences = {"vocoder": report.tone_prominence, "recordings": report.recorded_tone_prominence}
    prominences |= {name: baseline.tone_prominence for name, baseline in baselines.items()}
    figures = ", ".join(f"{who} {dB:.1f} dB" for who, dB in prominences.items() if dB is not None)
    return f"tones in {report.pause_seconds:.1f} s of pauses: {figures}"
