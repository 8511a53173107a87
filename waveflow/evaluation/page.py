"""An HTML page with recordings, copies and their spectrograms side by side."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from waveflow.audio.mel import LogMel
from waveflow.audio.pictures import spectrogram
from waveflow.audio.writing import write_audio
from waveflow.evaluation.baseline import GRIFFIN_LIM, griffin_lim
from waveflow.evaluation.clip_score import ClipScore, RecordingScore
from waveflow.evaluation.figures import FIGURES
from waveflow.evaluation.html import template
from waveflow.evaluation.recording import read_recording
from waveflow.evaluation.report import Report
from waveflow.evaluation.white_noise import WHITE_NOISE, noise_copy
from waveflow.io.atomic import write_atomically
from waveflow.io.paths import as_path
from waveflow.vocoder import Vocoder

Maker = Callable[[Tensor], Tensor]

_LONGEST_STEM = 100  # of a title in file names, which a number makes unique


def write_page(
    folder: str | Path,
    report: Report,
    vocoder: Vocoder,
    *,
    baselines: Mapping[str, Report] | None = None,
    most: int = 20,
) -> Path:
    """Write ``index.html`` beside WAV files and PNG spectrograms of recordings and their copies.

    The page needs no network and no script. Copies are synthesised again with the mel, temperature
    and seed of the report.

    Args:
        folder: folder for the page; created if missing. Existing files of other names stay.
        report: report of the vocoder by :func:`waveflow.evaluation.evaluate`; its files are read.
        vocoder: vocoder of the report.
        baselines: reports of baselines on the same files, by name. The copies of ``GRIFFIN_LIM``
            and ``WHITE_NOISE`` are on the page; other baselines have only a column of figures.
        most: largest number of clips on the page, from the first on; the table covers all.

    Returns:
        The path of the page.

    Raises:
        OSError: a recording cannot be opened, or the folder cannot be written.
        ValueError: the report has no temperature, or a baseline has other files.
        ImportError: matplotlib is missing; says how to install it.
    """
    folder = as_path(folder)
    if report.temperature is None:
        raise ValueError("expected a report of a vocoder, with a temperature; got none")
    files = [clip.file for clip in report.clips]
    baselines = dict(baselines or {})
    for name, baseline in baselines.items():
        if [clip.file for clip in baseline.clips] != files:
            raise ValueError(f"expected baselines of the same files; got other files in {name}")
    folder.mkdir(parents=True, exist_ok=True)
    log_mel = LogMel(vocoder.config.mel).float()
    device = next(vocoder.parameters()).device
    sets: list[tuple[str, Report]] = [("Copy", report), *baselines.items()]
    makers = {name: _MAKERS[name](vocoder, one) for name, one in sets if name in _MAKERS}

    clips = []
    for number, clip in enumerate(report.clips[:most]):
        recording = read_recording(clip.file, log_mel)
        title = recording.path.stem
        stem = f"{number + 1:02d}-{re.sub(r'[^A-Za-z0-9.-]', '_', title)[:_LONGEST_STEM]}"
        mel = recording.mel[None].to(device)
        copies = {kind: make(mel)[0].float().clamp(-1, 1).cpu() for kind, make in makers.items()}
        sounds = []
        for kind, audio in {"Recording": recording.audio, **copies}.items():
            name = f"{stem}-{re.sub(r'[^a-z0-9-]+', '-', kind.lower())}"
            write_audio(folder / f"{name}.wav", audio, log_mel.config.sample_rate)
            picture = spectrogram(audio, log_mel.config.sample_rate)
            write_atomically(folder / f"{name}.png", picture)
            sounds.append((kind, name))
        scores = [(name, one.clips[number]) for name, one in sets]
        figures = _figures([*scores, *_recorded(clip)])
        clips.append({"title": title, "sounds": sounds, "figures": figures})
    page = folder / "index.html"
    text = template("waveflow.evaluation", "page.html").render(
        report=report, most=most, figures=_figures([*sets, *_recorded(report)]), clips=clips
    )
    write_atomically(page, text.encode())
    return page


def _copies(vocoder: Vocoder, report: Report) -> Maker:
    return partial(
        vocoder,
        temperature=report.temperature,
        consistency=report.consistency,
        seed=report.seed,
        mel_config=vocoder.config.mel,
    )


def _griffin_lim(vocoder: Vocoder, report: Report) -> Maker:
    return lambda mel: griffin_lim(mel[0], vocoder.config.mel, seed=report.seed)[None]


def _noise(vocoder: Vocoder, report: Report) -> Maker:
    synthesis = vocoder.config.synthesis.override(consistency=report.consistency)
    return partial(noise_copy, vocoder, synthesis=synthesis, seed=report.seed)


_MAKERS = {"Copy": _copies, GRIFFIN_LIM: _griffin_lim, WHITE_NOISE: _noise}
"""Makers of the sounds that a page can have, (1, n_mels, frames) -> (1, time), by their names."""


def _recorded(scores: Report | ClipScore) -> list[tuple[str, RecordingScore]]:
    """The column of the recordings' own figures, if there are any."""
    return [] if scores.recorded is None else [("Recording", scores.recorded)]


def _figures(columns: Sequence[tuple[str, object]]) -> dict[str, Any]:
    """A table with a row per figure and a column per vocoder; empty rows are left out."""
    rows = [(figure, [figure.of(scores) for _, scores in columns]) for figure in FIGURES]
    shown = [(figure, cells) for figure, cells in rows if any(cell != "–" for cell in cells)]
    return {"names": [name for name, _ in columns], "rows": shown}
