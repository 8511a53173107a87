"""Likelihood, quality, intelligibility and speed of a vocoder on a set of recordings."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from waveflow.audio.mel import LogMel
from waveflow.evaluation.metrics import NoSpeechError, pesq_wideband, stoi
from waveflow.evaluation.recording import bits_per_sample, nats_per_sample, read_recording
from waveflow.vocoder import Vocoder

REPEATS = 3
"""Timed syntheses a clip, of which the median counts."""

_COLUMNS = ("clip", "seconds", "nats/sample", "bits/sample", "PESQ-wb", "STOI", "× real time")


@dataclass(frozen=True)
class ClipScore:
    """What one recording and its copy synthesis gave.

    Attributes:
        file: of the recording.
        samples: judged, at the vocoder's sample rate.
        seconds: their duration.
        nats_per_sample: exact log-likelihood (:func:`waveflow.evaluation.nats_per_sample`).
        pesq: wide-band PESQ; None where there is no speech to judge.
        stoi: STOI; None where there is no speech to judge.
        synthesis_seconds: from mel to audio, median of :data:`REPEATS` after a warm-up.
    """

    file: str
    samples: int
    seconds: float
    nats_per_sample: float
    pesq: float | None
    stoi: float | None
    synthesis_seconds: float

    @property
    def bits_per_sample(self) -> float:
        """Cost of the 16-bit recording, at most."""
        return bits_per_sample(self.nats_per_sample)

    @property
    def times_real_time(self) -> float:
        """Seconds of audio made in one second."""
        return self.seconds / self.synthesis_seconds


@dataclass(frozen=True)
class Report:
    """Scores of clips and of the set they make up.

    Attributes:
        clips: one score a recording.
        temperature: of the copy synthesis.
        seed: of the copy synthesis.
        device: that the vocoder ran on.
        threads: that torch had on the CPU.
    """

    clips: tuple[ClipScore, ...]
    temperature: float
    seed: int
    device: str
    threads: int

    @property
    def seconds(self) -> float:
        """Duration of all the clips."""
        return sum(clip.seconds for clip in self.clips)

    @property
    def nats_per_sample(self) -> float:
        """All nats over all samples, so that a long clip counts for more."""
        samples = sum(clip.samples for clip in self.clips)
        return sum(clip.nats_per_sample * clip.samples for clip in self.clips) / samples

    @property
    def bits_per_sample(self) -> float:
        """All bits over all samples."""
        return bits_per_sample(self.nats_per_sample)

    @property
    def pesq(self) -> float | None:
        """Mean over the clips that have one."""
        return _mean(clip.pesq for clip in self.clips)

    @property
    def stoi(self) -> float | None:
        """Mean over the clips that have one."""
        return _mean(clip.stoi for clip in self.clips)

    @property
    def times_real_time(self) -> float:
        """All seconds of audio over all seconds of synthesis."""
        return self.seconds / sum(clip.synthesis_seconds for clip in self.clips)

    def to_json(self) -> str:
        """Every figure, unrounded."""
        clips = [{**asdict(clip), **_derived(clip)} for clip in self.clips]
        whole = {
            "seconds": self.seconds,
            "nats_per_sample": self.nats_per_sample,
            "pesq": self.pesq,
            "stoi": self.stoi,
            **_derived(self),
        }
        run = {name: getattr(self, name) for name in ("temperature", "seed", "device", "threads")}
        return json.dumps({**run, "all": whole, "clips": clips}, indent=2, ensure_ascii=False)

    def to_table(self) -> str:
        """A Markdown table: a row a clip, and a last one for all of them."""
        rows = [_row(Path(clip.file).name, clip) for clip in self.clips]
        lines = [_COLUMNS, ("---", *("---:" for _ in _COLUMNS[1:])), *rows]
        lines.append(_row(f"all {len(self.clips)}", self))
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def evaluate(
    vocoder: Vocoder,
    paths: Iterable[str | Path],
    *,
    temperature: float = 1.0,
    seed: int = 0,
    progress: bool = False,
) -> Report:
    """Score recordings under a vocoder, and their copy syntheses against them.

    Every recording is read before the first is scored, so a bad one costs no time.

    Args:
        vocoder: on any device.
        paths: sound files, resampled to its rate and cut to whole hops.
        temperature: of the synthesis.
        seed: of the synthesis; likelihoods do not depend on it.
        progress: show a bar on stderr, if that is a terminal.

    Raises:
        OSError: a file cannot be opened.
        ValueError: no file at all, one that is no usable recording, or a vocoder that makes NaN.
        ImportError: the packages of the metrics are missing; says how to install them.
    """
    log_mel = LogMel(vocoder.config.mel)
    recordings = [read_recording(path, log_mel) for path in paths]
    if not recordings:
        raise ValueError("expected recordings to evaluate; got none")
    device = next(vocoder.parameters()).device
    rate = vocoder.config.mel.sample_rate
    scores = []
    for recording in tqdm(recordings, unit="clip", disable=None if progress else True):
        audio, seconds = _synthesise(
            vocoder, recording.mel[None].to(device), temperature=temperature, seed=seed
        )
        if not audio.isfinite().all():
            raise ValueError(f"{recording.path}: expected finite audio of its mel; got NaN")
        scores.append(
            ClipScore(
                file=str(recording.path),
                samples=len(recording.audio),
                seconds=len(recording.audio) / rate,
                nats_per_sample=nats_per_sample(vocoder, recording),
                pesq=_score(pesq_wideband, recording.audio, audio, rate),
                stoi=_score(stoi, recording.audio, audio, rate),
                synthesis_seconds=seconds,
            )
        )
    return Report(tuple(scores), temperature, seed, str(device), torch.get_num_threads())


def _synthesise(
    vocoder: Vocoder, mel: Tensor, *, temperature: float, seed: int
) -> tuple[Tensor, float]:
    """The audio of a mel as a file would hold it, (time,) on the CPU, and the seconds it takes."""
    audio = vocoder(mel, temperature=temperature, seed=seed)
    seconds = []
    for _ in range(REPEATS):
        _wait_for(mel.device)
        start = time.perf_counter()
        vocoder(mel, temperature=temperature, seed=seed)
        _wait_for(mel.device)
        seconds.append(time.perf_counter() - start)
    return audio[0].float().clamp(-1, 1).cpu(), median(seconds)


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _score(
    metric: Callable[[Tensor, Tensor, int], float], reference: Tensor, audio: Tensor, rate: int
) -> float | None:
    try:
        return metric(reference, audio, rate)
    except NoSpeechError:
        return None


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def _derived(scores: ClipScore | Report) -> dict[str, Any]:
    return {
        "bits_per_sample": scores.bits_per_sample,
        "times_real_time": scores.times_real_time,
    }


def _row(name: str, scores: ClipScore | Report) -> tuple[str, ...]:
    return (
        name.replace("|", "\\|"),
        f"{scores.seconds:.2f}",
        f"{scores.nats_per_sample:.4f}",
        f"{scores.bits_per_sample:.3f}",
        "–" if scores.pesq is None else f"{scores.pesq:.3f}",
        "–" if scores.stoi is None else f"{scores.stoi:.4f}",
        f"{scores.times_real_time:.1f}",
    )
