"""Mel conventions: their fields, and those that are known by name."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from waveflow.audio.fields import Section, from_plain, number, relation, renamed
from waveflow.audio.mel_values import MelConvention


@renamed
@dataclass(frozen=True)
class MelConfig(Section):
    """The convention of a log-mel: the natural log of mel bands of STFT magnitudes.

    Attributes:
        sample_rate: samples per second of the audio.
        n_fft: FFT size.
        win_length: length of the Hann window.
        hop_length: samples from one frame to the next.
        n_mels: number of bands.
        f_min: lower edge of the lowest band, Hz.
        f_max: upper edge of the highest band, Hz.
        center: whether frame t is centred on sample t * hop, as in ``torch.stft`` and librosa,
            time / hop + 1 frames in all (audio is continued by n_fft / 2 on each side); otherwise
            it is centred on the middle of hop t, as in HiFi-GAN, time / hop frames in all (audio
            is continued by (n_fft - hop) / 2).
        power_floor: value added to the power before the square root.
        clamp: smallest band magnitude; its logarithm is the smallest log-mel.
        scale: mel scale, ``"slaney"`` or ``"htk"``.
        norm: ``"slaney"``: every band has area 1; ``"none"``: every band peaks at 1.
        window: ``"hann"`` is periodic; ``"hann_symmetric"`` starts and ends with zero.
        pad_mode: continuation beyond the ends: ``"reflect"`` is mirrored, ``"constant"`` is
            silent.
    """

    section: ClassVar[str] = "mel"
    _prefix: ClassVar[str] = "mel: "
    _least: ClassVar[str] = ">= {}"
    former = {
        "framing": ("center", {"hop": False, "centred": True}),
        "edges": ("pad_mode", {"reflect": "reflect", "zeros": "constant"}),
    }
    sample_rate: int = number(22050, 0, 10_000_000, above=True)
    n_fft: int = number(1024, 0, 2**20, above=True)
    win_length: int = number(1024, 0, 2**20, above=True)
    hop_length: int = number(256, 0, 2**20, above=True)
    n_mels: int = number(80, 0, 2**14, above=True)
    f_min: float = number(0.0, -10_000_000, 10_000_000)
    f_max: float = number(8000.0, -10_000_000, 10_000_000)
    center: bool = False
    power_floor: float = number(1e-9, 0, 1e-3)
    clamp: float = number(1e-5, 0, 0.5, above=True)
    scale: Literal["slaney", "htk"] = "slaney"
    norm: Literal["slaney", "none"] = "slaney"
    window: Literal["hann", "hann_symmetric"] = "hann"
    pad_mode: Literal["reflect", "constant"] = "reflect"

    @relation("win_length", "n_fft")
    def _window_fits(self) -> str | None:
        if self.win_length <= self.n_fft:
            return None
        return f"expected win_length <= n_fft; got {self.win_length} > {self.n_fft}"

    @relation("hop_length", "win_length", "n_fft", "center")
    def _hop_fits(self) -> str | None:
        odd = not self.center and (self.n_fft - self.hop_length) % 2
        if self.hop_length <= self.win_length and not odd:
            return None
        return (
            "expected hop_length <= win_length with n_fft - hop_length even; "
            f"got hop_length {self.hop_length}, win_length {self.win_length}, n_fft {self.n_fft}"
        )

    @relation("f_min", "f_max", "sample_rate")
    def _bands_fit(self) -> str | None:
        if 0 <= self.f_min < self.f_max <= self.sample_rate / 2:
            return None
        return (
            "expected 0 <= f_min < f_max <= sample_rate / 2; "
            f"got f_min {self.f_min}, f_max {self.f_max}, sample_rate {self.sample_rate}"
        )

    @relation("n_fft", "center")
    def _frames_are_centred(self) -> str | None:
        if not self.center or self.n_fft % 2 == 0:
            return None
        return f"expected an even n_fft to centre frames; got {self.n_fft}"

    @classmethod
    def named(cls, convention: str) -> MelConfig:
        """The front end of :data:`MEL_CONVENTIONS` with this name.

        Raises:
            ValueError: the name is unknown.
        """
        return named(convention).front_end

    @classmethod
    def from_plain(cls, values: Any) -> MelConfig:
        """Make a convention from plain values or from its name.

        Raises:
            ValueError: an unknown name or field, or a wrong value; names every fault.
        """
        return cls.named(values) if isinstance(values, str) else from_plain(cls, values)

    def filters(self) -> Tensor:
        """The filters of the bands, (n_mels, 1 + n_fft / 2), in float64 on the CPU."""
        from librosa.filters import mel  # imported late, because it imports numba

        table = mel(
            sr=self.sample_rate,
            n_fft=self.n_fft,
            n_mels=self.n_mels,
            fmin=self.f_min,
            fmax=self.f_max,
            htk=self.scale == "htk",
            norm="slaney" if self.norm == "slaney" else None,
            dtype="float64",
        )
        return torch.from_numpy(table)

    def frames(self, samples: int) -> int:
        """The number of frames that the front end makes from ``samples`` samples."""
        return samples // self.hop_length + self.center

    def differing(self, other: MelConfig) -> list[str]:
        """The names of the fields in which ``other`` differs."""
        if not isinstance(other, MelConfig):
            raise ValueError(f"expected a MelConfig; got {type(other)}")
        names = [one.name for one in fields(self)]
        return [name for name in names if getattr(self, name) != getattr(other, name)]

    def require_same(self, other: MelConfig) -> None:
        """Check that ``other`` is the same convention.

        Raises:
            ValueError: it differs; names every field that does.
        """
        different = self.differing(other)
        if different:
            expected, got = (
                ", ".join(f"{name} {getattr(config, name)}" for name in different)
                for config in (self, other)
            )
            raise ValueError(f"mel convention differs: expected {expected}; got {got}")


_CENTRED = MelConfig(center=True, power_floor=0.0)
_ESPNET = replace(_CENTRED, f_min=80.0, f_max=7600.0, clamp=1e-10)
_DECIMAL = 1 / math.log(10)

CONVENTIONS: dict[str, MelConvention] = {
    "hifigan-22k": MelConvention(MelConfig(), used_by="HiFi-GAN, BigVGAN base, iSTFTNet"),
    "nvidia-22k": MelConvention(
        _CENTRED,
        used_by="NVIDIA Tacotron 2 and WaveGlow, SpeechBrain, torchaudio's Griffin-Lim bundles",
    ),
    "matcha-22k": MelConvention(
        MelConfig(),
        gain=1 / 2.116101,
        offset=5.536622 / 2.116101,
        used_by="Matcha-TTS before it undoes its own normalisation (afterwards: hifigan-22k)",
    ),
    "bigvgan-22k-nyquist": MelConvention(
        MelConfig(f_max=11025.0), used_by="BigVGAN v2, 22 kHz, full band"
    ),
    "bigvgan-24k": MelConvention(
        MelConfig(sample_rate=24000, n_mels=100, f_max=12000.0), used_by="BigVGAN, 24 kHz"
    ),
    "bigvgan-44k": MelConvention(
        MelConfig(44100, n_fft=2048, win_length=2048, hop_length=512, n_mels=128, f_max=22050.0),
        used_by="BigVGAN v2, 44 kHz",
    ),
    "nemo-fastpitch-22k": MelConvention(
        replace(_CENTRED, clamp=1e-10, window="hann_symmetric", pad_mode="constant"),
        guard=1e-5,
        used_by="NeMo FastPitch",
    ),
    "nemo-hifigan-22k": MelConvention(
        MelConfig(power_floor=0.0, window="hann_symmetric", pad_mode="constant"),
        used_by="NeMo HiFi-GAN's own training mels",
    ),
    "torchaudio-wavernn-22k": MelConvention(
        replace(_CENTRED, n_fft=2048, win_length=1100, hop_length=275, f_min=40.0, f_max=11025.0),
        used_by="torchaudio's WaveRNN bundles",
    ),
    "espnet-22k": MelConvention(
        _ESPNET,
        gain=_DECIMAL,
        frames_first=True,
        used_by="ESPnet 2, ParallelWaveGAN, before normalisation by stats.h5",
    ),
    "espnet-24k": MelConvention(
        replace(_ESPNET, sample_rate=24000, n_fft=2048, win_length=1200, hop_length=300),
        gain=_DECIMAL,
        frames_first=True,
        used_by="ESPnet 2, ParallelWaveGAN at 24 kHz, before normalisation",
    ),
    "coqui-22k": MelConvention(  # 8 (20 log10 m - 20 + 100) / 100 - 4
        replace(_CENTRED, f_max=11025.0, clamp=1e-8),
        gain=1.6 * _DECIMAL,
        offset=2.4,
        low=-4.0,
        high=4.0,
        used_by="Coqui TTS, default audio configuration",
    ),
    "coqui-22k-natural": MelConvention(
        replace(_CENTRED, clamp=1e-8),
        used_by="Coqui TTS with np.log, spec_gain 1, signal_norm false, mel_fmax 8000",
    ),
    "speecht5-16k": MelConvention(
        replace(_ESPNET, sample_rate=16000),
        gain=_DECIMAL,
        frames_first=True,
        used_by="SpeechT5, before its vocoder's mean and scale",
    ),
    "vocos-24k": MelConvention(
        replace(
            _CENTRED,
            sample_rate=24000,
            n_mels=100,
            f_max=12000.0,
            clamp=1e-7,
            scale="htk",
            norm="none",
        ),
        used_by="Vocos, 24 kHz",
    ),
}
"""The conventions by name."""

MEL_CONVENTIONS = {name: known.front_end for name, known in CONVENTIONS.items()}
"""The front ends of :data:`CONVENTIONS`, which also has the form of their values."""


def named(name: str) -> MelConvention:
    """The convention of :data:`CONVENTIONS` with this name.

    Raises:
        ValueError: the name is unknown.
    """
    if name not in CONVENTIONS:
        known = ", ".join(CONVENTIONS)
        raise ValueError(f"expected a mel convention among {known}; got {name!r}")
    return CONVENTIONS[name]
