"""The sound of one file: read by slices, vocoded as a stream, written piece by piece."""

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

from waveflow.audio.check import check_mel, warn_of_doubt
from waveflow.audio.mel import LogMel
from waveflow.audio.mel_file import MelSlices, mel_frames, open_mel
from waveflow.audio.reading import NoSound, read_audio_pieces
from waveflow.audio.writing import write_audio_pieces
from waveflow.cli.files import delivered, is_pipe, settled
from waveflow.inference.denoiser import Denoiser
from waveflow.inference.mel import SLICE, mel_pieces
from waveflow.interop.mels import convention, converter, lag
from waveflow.io.folders import MELS, SOUNDS, WRITABLE

if TYPE_CHECKING:
    from waveflow.interop.convention import MelConvention
    from waveflow.vocoder import Vocoder


@dataclass(frozen=True)
class Sound:
    """A file and the sound to be made of it.

    Attributes:
        file: a recording or a mel.
        output: where the sound goes.
        seconds: how long it will be, about; 0 if the file does not tell.
    """

    file: Path
    output: Path
    seconds: float = 0.0


@dataclass(frozen=True)
class Synthesis:
    """How sounds are made; None leaves it to the model.

    Attributes:
        temperature: standard deviation of the noise.
        consistency: iterations that bring the sound nearer to the mel.
        seed: of the noise.
        denoise: strength of the denoiser.
        convention: of the mels, by name, if it is not the model's own.
    """

    temperature: float | None = None
    consistency: int | None = None
    seed: int = 0
    denoise: float = 0.0
    convention: str | None = None


class SoundMaker:
    """Makes files of sound, each as if it were the only one, on the vocoder's device.

    Args:
        vocoder: may be moved until the first call.
        synthesis: how.
    """

    def __init__(self, vocoder: Vocoder, synthesis: Synthesis):
        self.vocoder = vocoder
        self.synthesis = synthesis
        self.config = vocoder.config.mel
        # on the CPU, so that a recording and its `waveflow mel` agree
        self._log_mel = LogMel(self.config)

    def __call__(self, sound: Sound, progress: Callable[[float], object]) -> None:
        """Write the sound of a file, all of it or nothing.

        Args:
            sound: the file.
            progress: is told the seconds of every piece that is done.

        Raises:
            ValueError, OSError: the file cannot be used, or its sound not be written.
        """
        with settled(sound.file) as file:
            is_mel = file.suffix.lower() in MELS
            mel = self._slices(file) if is_mel else self._mel_of_recording(file)
            pieces = self._told(self._stream(mel), progress)
            if self._source is not None and is_mel:
                pieces = _earlier(pieces, lag(self._source, self.config))
            with delivered(sound.output, WRITABLE[0]) as output:
                write_audio_pieces(output, pieces, self.config.sample_rate)

    def measured(self, sound: Sound) -> Sound:
        """The same with its ``seconds``, as far as the file tells; a pipe tells nothing."""
        if is_pipe(sound.file):
            return sound
        try:
            if sound.file.suffix.lower() in MELS:
                frames = mel_frames(sound.file, frames_first=self._frames_first)
                seconds = frames * self.config.hop_length / self.config.sample_rate
            else:
                seconds = soundfile.info(sound.file).duration
        except Exception:  # whatever is wrong is told when its turn comes
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

    def _told(
        self, pieces: Iterator[Tensor], progress: Callable[[float], object]
    ) -> Iterator[Tensor]:
        for piece in pieces:
            yield piece.cpu()
            progress(len(piece) / self.config.sample_rate)

    def _slices(self, file: Path) -> Iterator[Tensor]:
        """The mel in a file, known to be one as far as can be told."""
        mel = self._understood(open_mel(file, frames_first=self._frames_first))
        for part in mel.slices(SLICE) if mel.frames else [mel.take(0, 0)]:
            check_mel(part[None], self._log_mel)
        if mel.config is None:
            warn_of_doubt(mel.take(0, min(mel.frames, SLICE)), self._log_mel)
        return mel.slices(SLICE)

    def _mel_of_recording(self, file: Path) -> Iterator[Tensor]:
        """The mel of a recording, of which the first piece has been read."""
        audio = read_audio_pieces(file, self.config.sample_rate)
        mel = mel_pieces(audio, self._log_mel)
        try:
            return chain([next(mel)], mel)
        except NoSound as error:
            if file.suffix.lower() in (*SOUNDS, ""):
                raise
            kinds = ", ".join(MELS)
            raise ValueError(
                f"{file}: expected a recording, or a mel in {kinds}; got {error.got}"
            ) from None

    @cached_property
    def _source(self) -> MelConvention | None:
        """What the mels are said to be, if it is said."""
        return None if self.synthesis.convention is None else convention(self.synthesis.convention)

    @property
    def _frames_first(self) -> bool:
        return self._source is not None and self._source.frames_first

    def _understood(self, mel: MelSlices) -> MelSlices:
        """A mel of the convention that it is said to be of, as one of the model's."""
        if self._source is None:
            if mel.config is not None:
                self.config.require_same(mel.config)
            return mel
        if mel.config is not None:
            self._source.front_end.require_same(mel.config)
        source = replace(self._source, frames_first=False)  # slices never have them first
        converted = converter(source, self.config, allow=("framing",))
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
