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
    from waveflow.interop.convention import MelConvention
    from waveflow.vocoder import Vocoder


@dataclass(frozen=True)
class Sound:
    """An input file and its output.

    Attributes:
        file: recording or mel.
        output: file of the sound.
        seconds: approximate length of the sound, in seconds; 0 if the length is unknown.
    """

    file: Path
    output: Path
    seconds: float = 0.0


@dataclass(frozen=True)
class Synthesis:
    """Options of synthesis.

    Attributes:
        temperature: standard deviation of the noise; None is the model's own.
        consistency: iterations that move the sound towards the mel; None is the model's own.
        seed: seed of the noise.
        denoise: strength of the denoiser; 0 is off.
        convention: name of the mels' convention; None is the model's own.
    """

    temperature: float | None = None
    consistency: int | None = None
    seed: int = 0
    denoise: float = 0.0
    convention: str | None = None


class SoundMaker:
    """Vocodes files on the vocoder's device; the result of a file does not depend on the others.

    Args:
        vocoder: the model; it may be moved to another device before the first call.
        synthesis: options of synthesis.
    """

    def __init__(self, vocoder: Vocoder, synthesis: Synthesis):
        self.vocoder = vocoder
        self.synthesis = synthesis
        self.config = vocoder.config.mel
        # on the CPU, so that a recording and its `waveflow mel` agree
        self._log_mel = LogMel(self.config)

    def __call__(self, sound: Sound, progress: Callable[[float], object]) -> None:
        """Write the sound of a file completely, or not at all.

        Args:
            sound: input file and output.
            progress: called with the length in seconds of every finished piece.

        Raises:
            ValueError, OSError: the file is not a valid input, or its sound cannot be written.
        """
        with regular_file(sound.file) as file:
            is_mel = file.suffix.lower() in MELS
            mel = self._slices(file) if is_mel else self._mel_of_recording(file)
            pieces = self._reporting(self._stream(mel), progress)
            if self._source is not None and is_mel:
                pieces = _earlier(pieces, lag(self._source, self.config))
            with output_file(sound.output, WRITABLE[0]) as output:
                write_audio_pieces(output, pieces, self.config.sample_rate)

    def measured(self, sound: Sound) -> Sound:
        """A copy of ``sound`` with its ``seconds``, if they can be read; those of a pipe cannot."""
        if is_pipe(sound.file):
            return sound
        try:
            if sound.file.suffix.lower() in MELS:
                frames = mel_frames(sound.file, frames_first=self._frames_first)
                seconds = frames * self.config.hop_length / self.config.sample_rate
            else:
                seconds = soundfile.info(sound.file).duration
        except Exception:  # the error is reported when the file is vocoded
            return sound
        return replace(sound, seconds=float(seconds))

    @cached_property
    def _denoiser(self) -> Denoiser:
        return Denoiser.of(
            self.vocoder,
            temperature=self.synthesis.temperature,
            consistency=self.synthesis.consistency,
        )

    def _stream(self, mel: Iterable[Tensor]) -> Iterator[Tensor]:
        """The audio (samples,) of a mel, in pieces."""
        audio = self.vocoder.stream(
            mel,
            temperature=self.synthesis.temperature,
            consistency=self.synthesis.consistency,
            seed=self.synthesis.seed,
        )
        if self.synthesis.denoise:
            audio = self._denoiser.stream(audio, strength=self.synthesis.denoise)
        return audio

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

    @cached_property
    def _source(self) -> MelConvention | None:
        """The convention that ``--convention`` names; None if it names none."""
        return None if self.synthesis.convention is None else convention(self.synthesis.convention)

    @property
    def _frames_first(self) -> bool:
        return self._source is not None and self._source.frames_first

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
