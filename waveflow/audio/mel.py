"""Mel spectrograms: named conventions, and the front end."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from waveflow.audio.bands import levels
from waveflow.audio.fields import Section, from_plain, number, relation, renamed
from waveflow.audio.frames import Frames
from waveflow.checks import tensor
from waveflow.precision import Durable, default_precision, full_precision


@renamed(
    framing=("center", {"hop": False, "centred": True}),
    edges=("pad_mode", {"reflect": "reflect", "zeros": "constant"}),
)
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
        """The convention of :data:`MEL_CONVENTIONS` with this name.

        Raises:
            ValueError: the name is unknown.
        """
        if convention not in MEL_CONVENTIONS:
            known = ", ".join(MEL_CONVENTIONS)
            raise ValueError(f"expected a mel convention among {known}; got {convention!r}")
        return MEL_CONVENTIONS[convention]

    @classmethod
    def from_plain(cls, values: Any) -> MelConfig:
        """Make a convention from plain values or from its name.

        Raises:
            ValueError: an unknown name or field, or a wrong value; names every fault.
        """
        return cls.named(values) if isinstance(values, str) else from_plain(cls, values)

    def frames(self, samples: int) -> int:
        """The number of frames that the front end makes from ``samples`` samples."""
        return samples // self.hop_length + self.center

    def differing(self, other: MelConfig) -> list[str]:
        """The names of the fields in which ``other`` differs."""
        if not isinstance(other, MelConfig):
            raise ValueError(f"expected a MelConfig; got {type(other)}")
        mine, theirs = asdict(self), asdict(other)
        return [name for name in mine if mine[name] != theirs[name]]

    def require_same(self, other: MelConfig) -> None:
        """Check that ``other`` is the same convention.

        Raises:
            ValueError: it differs; names every field that does.
        """
        different = self.differing(other)
        mine, theirs = asdict(self), asdict(other)
        if different:
            expected = ", ".join(f"{name} {mine[name]}" for name in different)
            got = ", ".join(f"{name} {theirs[name]}" for name in different)
            raise ValueError(f"mel convention differs: expected {expected}; got {got}")


_CENTRED = MelConfig(center=True, power_floor=0.0)
_ESPNET = replace(_CENTRED, f_min=80.0, f_max=7600.0, clamp=1e-10)

MEL_CONVENTIONS: dict[str, MelConfig] = {
    "hifigan-22k": MelConfig(),
    "nvidia-22k": _CENTRED,
    "bigvgan-22k-nyquist": MelConfig(f_max=11025.0),
    "bigvgan-24k": MelConfig(sample_rate=24000, n_mels=100, f_max=12000.0),
    "bigvgan-44k": MelConfig(
        44100, n_fft=2048, win_length=2048, hop_length=512, n_mels=128, f_max=22050.0
    ),
    "nemo-fastpitch-22k": replace(
        _CENTRED, clamp=1e-10, window="hann_symmetric", pad_mode="constant"
    ),
    "nemo-hifigan-22k": MelConfig(power_floor=0.0, window="hann_symmetric", pad_mode="constant"),
    "torchaudio-wavernn-22k": replace(
        _CENTRED, n_fft=2048, win_length=1100, hop_length=275, f_min=40.0, f_max=11025.0
    ),
    "espnet-22k": _ESPNET,
    "espnet-24k": replace(_ESPNET, sample_rate=24000, n_fft=2048, win_length=1200, hop_length=300),
    "coqui-22k": replace(_CENTRED, f_max=11025.0, clamp=1e-8),
    "speecht5-16k": replace(_ESPNET, sample_rate=16000),
    "vocos-24k": replace(
        _CENTRED,
        sample_rate=24000,
        n_mels=100,
        f_max=12000.0,
        clamp=1e-7,
        scale="htk",
        norm="none",
    ),
}
"""The front ends by name. :mod:`waveflow.interop.mels` lists the projects that use them, and the
conventions whose values are not natural logarithms."""


class LogMel(Durable):
    r"""Audio to log-mel: :math:`\log \max(\text{clamp},\ M \sqrt{|\mathrm{STFT}|^2 + \epsilon})`.

    It is differentiable, runs on any device, and has no learned parts and nothing in its state
    dict. It is created on the CPU in torch's default type. It computes in float32 or better, also
    after a cast to half precision.

    Args:
        config: convention of the mel.

    Raises:
        ValueError: no band of the convention sees a bin of the FFT, or its clamp, floor and window
            leave no range of values.

    >>> import torch
    >>> LogMel(MelConfig())(torch.zeros(1, 2560)).shape
    torch.Size([1, 80, 10])
    """

    filters: Tensor

    @torch.inference_mode(False)
    def __init__(self, config: MelConfig) -> None:
        super().__init__()
        from librosa.filters import mel as mel_filters  # imported late, because it imports numba

        self.config = config
        filters = mel_filters(
            sr=config.sample_rate,
            n_fft=config.n_fft,
            n_mels=config.n_mels,
            fmin=config.f_min,
            fmax=config.f_max,
            htk=config.scale == "htk",
            norm="slaney" if config.norm == "slaney" else None,
            dtype="float64",
        )
        table = torch.from_numpy(filters)
        seen = table.any(0).nonzero()
        if not len(seen):
            raise ValueError(
                f"mel: expected bands wide enough for n_fft {config.n_fft}; got none that sees a "
                f"bin from f_min {config.f_min} to f_max {config.f_max} Hz"
            )
        self.bins = int(seen.max()) + 1  # no band sees a bin above
        window = torch.hann_window(
            config.win_length,
            periodic=config.window == "hann",
            dtype=torch.float64,
            device="cpu",
        )
        left = (config.n_fft - config.win_length) // 2
        window = nn.functional.pad(window, (left, config.n_fft - config.win_length - left))
        self.cutting = Frames(
            window.to(default_precision()),
            hop=config.hop_length,
            side=self.padding,
            mirrors=config.pad_mode == "reflect",
        )
        self.register_buffer("filters", table.to(default_precision()), persistent=False)
        # a Python number, to avoid waiting for a GPU later
        self._most = float(self.window.sum()) * float(self.filters.sum(1).max())
        silence = max(config.clamp, config.power_floor**0.5 * float(self.filters.sum(1).min()))
        if not self.filters.new_tensor(config.clamp) or silence >= min(self._most, 1):
            raise ValueError(
                f"mel: expected clamp, power_floor, win_length and window to leave room between "
                f"silence and the loudest sound; got magnitudes of {silence:.3g} and "
                f"{self._most:.3g} with clamp {config.clamp}, power_floor {config.power_floor}, "
                f"win_length {config.win_length} and window {config.window!r}"
            )

    def forward(self, audio: Tensor) -> Tensor:
        """(batch, time) in [-1, 1] -> (batch, n_mels, frames), natural log.

        Raises:
            ValueError: wrong shape, integer samples, or audio too short for one frame or for the
                reflected padding.
        """
        audio = tensor(audio, "audio")
        if audio.dim() != 2 or audio.shape[-1] < self.shortest:
            raise ValueError(
                f"expected audio of shape (batch, time) with at least {self.shortest} samples; "
                f"got {tuple(audio.shape)}"
            )
        if not audio.is_floating_point():
            raise ValueError(f"expected floating-point audio in [-1, 1]; got {audio.dtype}")
        with full_precision(audio):
            bands = self.bands(self.spectrum(audio.to(self.window.dtype)))
            return bands.mT.contiguous()

    @property
    def shortest(self) -> int:
        """Fewest samples that a mel can be computed from."""
        reflected = self.padding + 1 if self.reflects else 1
        return max(reflected, self.config.n_fft - 2 * self.padding)

    def whole_hops(self, audio: Tensor) -> Tensor:
        """Cut a recording, (time,), to whole hops.

        Raises:
            ValueError: the recording is too short for a mel.
        """
        hop_length, rate = self.config.hop_length, self.config.sample_rate
        least = max(1, -(-self.shortest // hop_length)) * hop_length
        if len(audio) < least:
            raise ValueError(
                f"expected a recording of at least {least} samples at {rate} Hz; got {len(audio)}"
            )
        return audio[: len(audio) // hop_length * hop_length]

    def spectrum(self, audio: Tensor) -> Tensor:
        """The spectra of the frames, (batch, time) -> (batch, frames, 1 + n_fft / 2), complex.

        Audio too short to be reflected at its ends is continued by zeros.
        """
        return torch.fft.rfft(self.cutting.cut(audio) * self.window)

    def continued(self, audio: Tensor) -> Tensor:
        """Audio with its continuation at both ends, (batch, time) -> (batch, time + 2 padding)."""
        return self.cutting.continued(audio)

    @property
    def window(self) -> Tensor:
        """The window of a frame, (n_fft,)."""
        return self.cutting.window

    @property
    def reflects(self) -> bool:
        """Whether audio is mirrored at its ends."""
        return self.cutting.mirrors

    def bands(self, spectrum: Tensor) -> Tensor:
        """The log-mel of spectra, (batch, frames, 1 + n_fft / 2) -> (batch, frames, n_mels)."""
        config, seen = self.config, slice(self.bins)
        return levels(
            spectrum[..., seen],
            self.filters[:, seen],
            floor=config.power_floor,
            clamp=config.clamp,
        )

    @property
    def padding(self) -> int:
        """Number of samples by which audio is continued on each side."""
        config = self.config
        span = config.n_fft if config.center else config.n_fft - config.hop_length
        return span // 2

    def loudest(self) -> float:
        """Upper bound on the log-mel of audio in [-1, 1]: every sample at full scale."""
        return math.log(self._most)


def level_weights(config: MelConfig, bands: int) -> Tensor:
    """Weights that interpolate the mel bands to equal bands from 0 to Nyquist.

    The weights of a band are the mel filters at its centre, divided by their sum. A band that no
    filter sees has the weights of the nearest band that a filter sees.

    Args:
        config: convention of the mel.
        bands: number of equal bands.

    Returns:
        (bands, n_mels); every row sums to 1.

    >>> level_weights(MelConfig(), 256).sum(1).round(decimals=3).unique()
    tensor([1.])
    """
    filters = LogMel(config).filters
    seen = filters.any(0).nonzero()[:, 0]
    centres = torch.arange(bands, dtype=filters.dtype, device=filters.device) + 0.5
    centres = centres * (config.n_fft / (2 * bands))
    nearest = (seen - centres[:, None]).abs().argmin(1)
    columns = filters[:, seen[nearest]].T
    return columns / columns.sum(1, keepdim=True)
