"""The sound of one file: read by slices, vocoded as a stream, written piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import soundfile
import torch
from torch import Tensor

from waveflow.audio.check import check_mel, warn_of_doubt
from waveflow.audio.io import read_audio, write_audio_pieces
from waveflow.audio.mel import LogMel
from waveflow.cli.files import MEL_OUTPUTS
from waveflow.inference.denoiser import Denoiser
from waveflow.interop.mels import convention, converter, lag
from waveflow.mel_file import MelSlices, mel_frames, open_mel

if TYPE_CHECKING:
    from waveflow.interop.convention import MelConvention
    from waveflow.vocoder import Vocoder

SLICE = 1024
"""Frames that are in memory at a time."""

WHOLE = 2**14
"""Frames up to which the mel of a recording is made at once."""


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
        mel = self._open(sound.file)
        for part in mel.slices(SLICE) if mel.frames else [mel.take(0, 0)]:
            check_mel(part[None], self._log_mel)
        warn_of_doubt(mel.take(0, min(mel.frames, SLICE)), self._log_mel)
        sound.output.parent.mkdir(parents=True, exist_ok=True)
        pieces = self._told(self._stream(mel), progress)
        if self._source is not None and sound.file.suffix.lower() in MEL_OUTPUTS:
            pieces = _earlier(pieces, lag(self._source, self.config))
        write_audio_pieces(sound.output, pieces, self.config.sample_rate)

    def measured(self, sound: Sound) -> Sound:
        """The same with its ``seconds``, as far as the file tells."""
        try:
            if sound.file.suffix.lower() in MEL_OUTPUTS:
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

    def _stream(self, mel: MelSlices) -> Iterator[Tensor]:
        """The audio (samples,) of a mel, in pieces."""
        audio = self.vocoder.stream(
            mel.slices(SLICE),
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

    def _open(self, file: Path) -> MelSlices:
        if file.suffix.lower() in MEL_OUTPUTS:
            return self._understood(open_mel(file, frames_first=self._frames_first))
        audio, _ = read_audio(file, sample_rate=self.config.sample_rate)
        return mel_of_audio(audio, self._log_mel)

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


def mel_of_audio(audio: Tensor, log_mel: LogMel, *, whole: int = WHOLE) -> MelSlices:
    """The mel of a recording, (time,), cut to whole hops.

    Args:
        audio: the recording.
        log_mel: the front end.
        whole: frames up to which it is made at once; more are made as they are taken.

    Raises:
        ValueError: the recording is too short.
    """
    config = log_mel.config
    frames = len(audio) // config.hop_length
    audio = audio[: frames * config.hop_length]
    if frames <= whole:
        mel = log_mel(audio[None])[0, :, :frames]  # a centred mel has one frame more
        return MelSlices(frames, config, lambda start, stop: mel[:, start:stop])
    framed = log_mel.continued(audio[None])[0].unfold(0, config.n_fft, config.hop_length)

    def take(start: int, stop: int) -> Tensor:
        return log_mel.bands(torch.fft.rfft(framed[start:stop] * log_mel.window)).mT

    return MelSlices(frames, config, take)
