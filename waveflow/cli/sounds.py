"""Vocode one file: read it in slices, vocode it as a stream, write it piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import soundfile
import torch
from torch import Tensor

from waveflow.audio.check import check_mel, warn_if_implausible
from waveflow.audio.mel import LogMel
from waveflow.audio.mel_file import MelSlices, mel_frames, open_mel
from waveflow.audio.reading import NoSound, read_audio_pieces
from waveflow.audio.writing import write_audio_pieces
from waveflow.cli.files import is_pipe, output_file, regular_file
from waveflow.inference.denoiser import Denoiser
from waveflow.inference.mel import SLICE, mel_pieces
from waveflow.interop.mels import convention, converter, lag
from waveflow.io.folders import MELS, SOUNDS, WRITABLE

if TYPE_CHECKING:
    from waveflow.vocoder import Vocoder


@dataclass
class SoundMaker:
    """Vocodes files on the vocoder's device; the result of a file does not depend on the others.

    Attributes:
        vocoder: the model; it may be moved to another device before the first call.
        temperature: standard deviation of the noise; None is the model's own.
        consistency: iterations that move the sound towards the mel; None is the model's own.
        seed: seed of the noise.
        denoise: strength of the denoiser; 0 is off.
        convention: name of the mels' convention; None is the model's own.
    """

    vocoder: Vocoder
    temperature: float | None
    consistency: int | None
    seed: int
    denoise: float
    convention: str | None

    def __post_init__(self) -> None:
        self.config = self.vocoder.config.mel
        # on the CPU, so that a recording and its `waveflow mel` agree
        self._log_mel = LogMel(self.config)
        self._source = None if self.convention is None else convention(self.convention)
        self._frames_first = self._source is not None and self._source.frames_first

    def __call__(self, source: Path, target: Path, progress: Callable[[float], object]) -> None:
        """Write the sound of a file completely, or not at all.

        Args:
            source: recording or mel.
            target: file of the sound.
            progress: called with the length in seconds of every finished piece.

        Raises:
            ValueError, OSError: the file is not a valid input, or its sound cannot be written.
        """
        with regular_file(source) as file:
            is_mel = file.suffix.lower() in MELS
            mel = self._slices(file) if is_mel else self._mel_of_recording(file)
            pieces = self._reporting(self._stream(mel), progress)
            if self._source is not None and is_mel:
                pieces = _earlier(pieces, lag(self._source, self.config))
            with output_file(target, WRITABLE[0]) as output:
                write_audio_pieces(output, pieces, self.config.sample_rate)

    def seconds(self, file: Path) -> float:
        """The approximate length of the sound of a file; 0 if it is unknown, as for a pipe."""
        if is_pipe(file):
            return 0.0
        try:
            if file.suffix.lower() in MELS:
                frames = mel_frames(file, frames_first=self._frames_first)
                return frames * self.config.hop_length / self.config.sample_rate
            return float(soundfile.info(file).duration)
        except Exception:  # the error is reported when the file is vocoded
            return 0.0

    @cached_property
    def _denoiser(self) -> Denoiser:
        return Denoiser.of(self.vocoder, temperature=self.temperature, consistency=self.consistency)

    def _stream(self, mel: Iterable[Tensor]) -> Iterator[Tensor]:
        """The audio (samples,) of a mel, in pieces."""
        audio = self.vocoder.stream(
            mel, temperature=self.temperature, consistency=self.consistency, seed=self.seed
        )
        return self._denoiser.stream(audio, strength=self.denoise) if self.denoise else audio

    def _reporting(
        self, pieces: Iterator[Tensor], progress: Callable[[float], object]
    ) -> Iterator[Tensor]:
        """The pieces on the CPU, with ``progress`` called after each."""
        for piece in pieces:
            yield piece.cpu()
            progress(len(piece) / self.config.sample_rate)

    def _slices(self, file: Path) -> Iterator[Tensor]:
        """The mel in a file, checked as far as possible."""
        mel = self._convert(open_mel(file, frames_first=self._frames_first))
        for part in mel.slices(SLICE) if mel.frames else [mel.take(0, 0)]:
            check_mel(part[None], self._log_mel)
        if mel.config is None:
            warn_if_implausible(mel.take(0, min(mel.frames, SLICE)), self._log_mel)
        return mel.slices(SLICE)

    def _mel_of_recording(self, file: Path) -> Iterator[Tensor]:
        """The mel of a recording; its first piece is read at once, to fail early."""
        audio = read_audio_pieces(file, self.config.sample_rate)
        mel = mel_pieces(audio, self._log_mel)
        try:
            return chain([next(mel)], mel)
        except NoSound as error:
            if file.suffix.lower() in (*SOUNDS, ""):
                raise
            kinds = ", ".join(MELS)
            raise ValueError(
                f"{file}: expected a recording, or a mel file ending in {kinds}; got {error.got}"
            ) from None

    def _convert(self, mel: MelSlices) -> MelSlices:
        """A mel, converted from its declared convention to the model's."""
        if self._source is None:
            if mel.config is not None:
                self.config.require_same(mel.config)
            return mel
        if mel.config is not None:
            self._source.front_end.require_same(mel.config)
        source = replace(self._source, frames_first=False)  # slices are always (n_mels, frames)
        converted = converter(source, self.config, allow=("center",))
        return replace(mel, take=lambda start, stop: converted(mel.take(start, stop)))


def _earlier(pieces: Iterator[Tensor], samples: int) -> Iterator[Tensor]:
    """Audio in pieces, moved to an earlier time (a later one if negative), of the same length."""
    skipped = max(samples, 0)
    held = torch.zeros(max(-samples, 0), dtype=torch.float32, device="cpu")
    behind = len(held)
    for piece in pieces:
        held = torch.cat([held, piece[skipped:]])
        skipped -= min(skipped, len(piece))
        ready = len(held) - behind
        if ready > 0:
            yield held[:ready]
            held = held[ready:]
    if samples > 0:
        yield torch.zeros(samples, dtype=torch.float32, device="cpu")
