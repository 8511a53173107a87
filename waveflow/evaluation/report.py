"""Likelihood, quality, intelligibility and speed of a vocoder on a set of recordings."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from statistics import fmean, median
from typing import Any, Literal

import torch
from torch import Tensor
from tqdm import tqdm

from waveflow.audio.mel import LogMel, MelConfig
from waveflow.evaluation.metrics import (
    NoSpeechError,
    estoi,
    pesq_narrowband,
    pesq_wideband,
    stoi,
)
from waveflow.evaluation.pitch import score_pitch
from waveflow.evaluation.recording import (
    Recording,
    bits_per_sample,
    nats_per_sample,
    read_recording,
)
from waveflow.evaluation.spectral import log_mel_distance, mel_cepstral_distortion, stft_distance
from waveflow.evaluation.tones import GROUPS, HOP, PauseTones, pause_tones, tone_prominence
from waveflow.vocoder import Vocoder

REPEATS = 3
"""Timed syntheses a clip, of which the median counts."""


@dataclass(frozen=True)
class Figure:
    """A figure of a report: its attribute, how it is written, and which way is better."""

    name: str
    title: str
    digits: int
    better: Literal["higher", "lower"]

    def of(self, scores: ClipScore | Report) -> str:
        """As it stands in a table; a dash where there is none."""
        value = getattr(scores, self.name, None)  # some are of sets alone
        return "–" if value is None else f"{value:.{self.digits}f}"


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
    Figure("tone_prominence", "tones, dB", 1, "lower"),
    Figure("recorded_tone_prominence", "tones of the recordings, dB", 1, "lower"),
    Figure("times_real_time", "× real time", 1, "higher"),
)
"""All figures, in the order of tables."""

_SHORT = "nats_per_sample bits_per_sample pesq stoi mel_cepstral_distortion f0_error voicing_f1"
_COLUMNS = [figure for figure in FIGURES if figure.name in [*_SHORT.split(), "times_real_time"]]


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
    tones: PauseTones | None = None
    recorded_tones: PauseTones | None = None

    @property
    def bits_per_sample(self) -> float | None:
        """Cost of the 16-bit recording, at most."""
        return _bits(self.nats_per_sample)

    @property
    def times_real_time(self) -> float:
        """Seconds of audio made in one second."""
        return self.seconds / self.synthesis_seconds


_RUN = ("temperature", "consistency", "seed", "device", "threads")


@dataclass(frozen=True)
class Report:
    """Scores of clips and of the set they make up.

    A figure of the set is the mean over the clips that have one, but for likelihood, tones and
    speed, for which the clips are pooled.

    Attributes:
        clips: one score a recording.
        temperature: of the copy synthesis; None of a vocoder that has none.
        consistency: iterations that brought it nearer to the mel; likewise.
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
        return _bits(self.nats_per_sample)

    @property
    def pesq(self) -> float | None:
        """Wide-band PESQ."""
        return self._mean("pesq")

    @property
    def pesq_narrowband(self) -> float | None:
        """Narrow-band PESQ."""
        return self._mean("pesq_narrowband")

    @property
    def stoi(self) -> float | None:
        """STOI."""
        return self._mean("stoi")

    @property
    def estoi(self) -> float | None:
        """Extended STOI."""
        return self._mean("estoi")

    @property
    def mel_cepstral_distortion(self) -> float | None:
        """MCD-13, dB."""
        return self._mean("mel_cepstral_distortion")

    @property
    def log_mel_distance(self) -> float | None:
        """Nats."""
        return self._mean("log_mel_distance")

    @property
    def stft_distance(self) -> float | None:
        """Multi-resolution STFT distance."""
        return self._mean("stft_distance")

    @property
    def f0_error(self) -> float | None:
        """Cents."""
        return self._mean("f0_error")

    @property
    def voicing_f1(self) -> float | None:
        """Of the voiced frames."""
        return self._mean("voicing_f1")

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
        return {**run, "all": {**lengths, **whole}, "clips": clips}

    def to_json(self, baseline: Report | None = None) -> str:
        """Of :meth:`to_dict`; the baseline's stands in it as "baseline"."""
        content = self.to_dict()
        if baseline is not None:
            content["baseline"] = baseline.to_dict()
        return json.dumps(content, indent=2, ensure_ascii=False)

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Report:
        """A report again, of what :meth:`to_dict` gave.

        Raises:
            ValueError: something is missing; names it.
        """
        try:
            clips = tuple(_clip(clip) for clip in content["clips"])
            return cls(clips, **{name: content[name] for name in _RUN})
        except KeyError as error:
            raise ValueError(f"expected the figures of a report; {error} is missing") from None

    def to_table(self, baseline: Report | None = None) -> str:
        """A Markdown table of the figures most asked for.

        A row a clip, one for all of them, and one for all of a baseline's; below it a line of the
        tones, if there is pause enough. The other ``FIGURES`` stand in :meth:`to_json` alone.
        """
        header = ("clip", *(figure.title for figure in _COLUMNS))
        rows = [_row(Path(clip.file).name, clip) for clip in self.clips]
        lines = [header, ("---", *("---:" for _ in _COLUMNS)), *rows]
        lines.append(_row(f"all {len(self.clips)}", self))
        if baseline is not None:
            lines.append(_row("Griffin-Lim", baseline))
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        tones = self._tones(baseline)
        return table if tones is None else f"{table}\n\n{tones}"

    def _tones(self, baseline: Report | None) -> str | None:
        """A line that says how far tones stand out, of all that were judged."""
        found = {
            "vocoder": self.tone_prominence,
            "recordings": self.recorded_tone_prominence,
            "Griffin-Lim": None if baseline is None else baseline.tone_prominence,
        }
        if found["vocoder"] is None:
            return None
        figures = ", ".join(f"{who} {dB:.1f} dB" for who, dB in found.items() if dB is not None)
        return f"tones in {self.pause_seconds:.1f} s of pauses: {figures}"

    def _mean(self, name: str) -> float | None:
        known = [value for clip in self.clips if (value := getattr(clip, name)) is not None]
        return fmean(known) if known else None


def evaluate(
    vocoder: Vocoder,
    paths: Iterable[str | Path],
    *,
    temperature: float | None = None,
    consistency: int | None = None,
    seed: int = 0,
    pitch: bool = True,
    progress: bool = False,
) -> Report:
    """Score recordings under a vocoder, and their copy syntheses against them.

    Every recording is read before the first is scored, so a bad one costs no time.

    Args:
        vocoder: on any device.
        paths: sound files, resampled to its rate and cut to whole hops.
        temperature: of the synthesis; by default the vocoder's own.
        consistency: iterations of the synthesis; by default the vocoder's own.
        seed: of the synthesis; likelihoods do not depend on it.
        pitch: track pitch, too, which takes longer than all the rest.
        progress: show a bar on stderr, if that is a terminal.

    Raises:
        OSError: a file cannot be opened.
        ValueError: no file at all, one that is no usable recording, or a vocoder that makes NaN.
        ImportError: the packages of the metrics are missing; says how to install them.
    """
    recordings = read_recordings(paths, vocoder.config.mel)
    device = next(vocoder.parameters()).device
    groups = getattr(vocoder.config.model, "groups", None)
    synthesis = vocoder.config.synthesis.override(temperature=temperature, consistency=consistency)
    how: dict[str, Any] = {
        "temperature": synthesis.temperature,
        "consistency": synthesis.consistency,
        "seed": seed,
    }
    scores = []
    for recording in tqdm(recordings, unit="clip", disable=None if progress else True):
        mel = recording.mel[None].to(device)
        audio, seconds = _timed(partial(vocoder, mel, **how), device)
        if not audio.isfinite().all():
            raise ValueError(f"{recording.path}: expected finite audio of its mel; got NaN")
        scores.append(
            score_copy(
                recording,
                audio[0].float().clamp(-1, 1).cpu(),
                vocoder.config.mel.sample_rate,
                nats_per_sample=nats_per_sample(vocoder, recording),
                synthesis_seconds=seconds,
                groups=groups,
                pitch=pitch,
            )
        )
    return Report(tuple(scores), **how, device=str(device), threads=torch.get_num_threads())


def read_recordings(paths: Iterable[str | Path], config: MelConfig) -> list[Recording]:
    """Recordings to score, for vocoders of a convention; at least one."""
    log_mel = LogMel(config)
    recordings = [read_recording(path, log_mel) for path in paths]
    if not recordings:
        raise ValueError("expected recordings to evaluate; got none")
    return recordings


def score_copy(
    recording: Recording,
    audio: Tensor,
    sample_rate: int,
    *,
    nats_per_sample: float | None,
    synthesis_seconds: float,
    groups: int | None,
    pitch: bool,
) -> ClipScore:
    """The figures of ``audio`` (time,), made in so many seconds of the mel of a recording."""

    def score(metric: Callable[[Tensor, Tensor, int], float]) -> float | None:
        try:
            return metric(recording.audio, audio, sample_rate)
        except NoSpeechError:
            return None

    def tones(audio: Tensor) -> PauseTones | None:
        if groups is None or groups not in GROUPS:
            return None
        try:
            return pause_tones(recording.audio, audio, groups=groups)
        except NoSpeechError:
            return None

    f0, f1 = score_pitch(recording.audio, audio, sample_rate) if pitch else (None, None)
    return ClipScore(
        file=str(recording.path),
        samples=len(recording.audio),
        seconds=len(recording.audio) / sample_rate,
        nats_per_sample=nats_per_sample,
        pesq=score(pesq_wideband),
        pesq_narrowband=score(pesq_narrowband),
        stoi=score(stoi),
        estoi=score(estoi),
        mel_cepstral_distortion=score(mel_cepstral_distortion),
        log_mel_distance=score(log_mel_distance),
        stft_distance=score(stft_distance),
        f0_error=f0,
        voicing_f1=f1,
        tones=tones(audio),
        recorded_tones=tones(recording.audio),
        synthesis_seconds=synthesis_seconds,
    )


def _timed(synthesise: Callable[[], Tensor], device: torch.device) -> tuple[Tensor, float]:
    """What a synthesis gives, and the seconds it takes: the median of ``REPEATS``."""
    audio = synthesise()
    seconds = []
    for _ in range(REPEATS):
        _wait_for(device)
        start = time.perf_counter()
        synthesise()
        _wait_for(device)
        seconds.append(time.perf_counter() - start)
    return audio, median(seconds)


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _clip(content: dict[str, Any]) -> ClipScore:
    """A score again, of its part of what :meth:`Report.to_dict` gave."""
    values = {field.name: content[field.name] for field in fields(ClipScore)}
    for name in ("tones", "recorded_tones"):
        if values[name] is not None:
            values[name] = PauseTones(values[name]["frames"], tuple(values[name]["excess"]))
    return ClipScore(**values)


def _bits(nats: float | None) -> float | None:
    return None if nats is None else bits_per_sample(nats)


def _row(name: str, scores: ClipScore | Report) -> tuple[str, ...]:
    return (name.replace("|", "\\|"), *(figure.of(scores) for figure in _COLUMNS))
