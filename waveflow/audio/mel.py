"""Mel spectrograms: the conventions by name, the front end, and the check of a foreign mel."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Literal

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class MelConfig:
    """Everything that decides what a log-mel means: natural log of Slaney-normalised mel bands.

    Attributes:
        sample_rate: samples a second of the audio.
        n_fft: FFT size.
        win_length: length of the periodic Hann window.
        hop_length: samples from one frame to the next.
        n_mels: number of bands, on Slaney's mel scale with area normalisation.
        f_min: lower edge of the lowest band, Hz.
        f_max: upper edge of the highest band, Hz.
        framing: ``"hop"``: frame t covers hop t and its surroundings, time / hop frames in all
            (reflected padding of (n_fft - hop) / 2); ``"centred"``: frame t is centred on sample
            t * hop, time / hop + 1 frames (reflected padding of n_fft / 2).
        power_floor: added to the power before the square root.
        clamp: smallest band magnitude; the log-mel never falls below its logarithm.
    """

    sample_rate: int = 22050
    n_fft: int = 1024
    win_length: int = 1024
    hop_length: int = 256
    n_mels: int = 80
    f_min: float = 0.0
    f_max: float = 8000.0
    framing: Literal["hop", "centred"] = "hop"
    power_floor: float = 1e-9
    clamp: float = 1e-5

    def __post_init__(self) -> None:
        for name in ("sample_rate", "n_fft", "win_length", "hop_length", "n_mels", "clamp"):
            if getattr(self, name) <= 0:
                raise ValueError(f"mel: expected {name} > 0; got {getattr(self, name)}")
        if self.power_floor < 0:
            raise ValueError(f"mel: expected power_floor >= 0; got {self.power_floor}")
        if self.win_length > self.n_fft:
            raise ValueError(
                f"mel: expected win_length <= n_fft; got {self.win_length} > {self.n_fft}"
            )
        if self.hop_length > self.win_length or (self.n_fft - self.hop_length) % 2:
            raise ValueError(
                "mel: expected hop_length <= win_length with n_fft - hop_length even; "
                f"got hop_length {self.hop_length}, win_length {self.win_length}, "
                f"n_fft {self.n_fft}"
            )
        if not 0 <= self.f_min < self.f_max <= self.sample_rate / 2:
            raise ValueError(
                "mel: expected 0 <= f_min < f_max <= sample_rate / 2; "
                f"got f_min {self.f_min}, f_max {self.f_max}, sample_rate {self.sample_rate}"
            )
        if self.framing not in ("hop", "centred"):
            raise ValueError(f"mel: expected framing 'hop' or 'centred'; got {self.framing!r}")
        if self.framing == "centred" and self.n_fft % 2:
            raise ValueError(f"mel: expected an even n_fft to centre frames; got {self.n_fft}")

    @classmethod
    def named(cls, convention: str) -> MelConfig:
        """A convention of :data:`MEL_CONVENTIONS` by its name."""
        if convention not in MEL_CONVENTIONS:
            known = ", ".join(MEL_CONVENTIONS)
            raise ValueError(f"expected a mel convention among {known}; got {convention!r}")
        return MEL_CONVENTIONS[convention]

    def frames(self, samples: int) -> int:
        """How many frames the front end makes of that many samples."""
        return samples // self.hop_length + (self.framing == "centred")

    def require_same(self, other: MelConfig) -> None:
        """Raise ValueError naming every field in which ``other`` differs."""
        mine, theirs = asdict(self), asdict(other)
        different = [name for name in mine if mine[name] != theirs[name]]
        if different:
            expected = ", ".join(f"{name} {mine[name]}" for name in different)
            got = ", ".join(f"{name} {theirs[name]}" for name in different)
            raise ValueError(f"mel convention differs: expected {expected}; got {got}")


MEL_CONVENTIONS: dict[str, MelConfig] = {
    "hifigan-22k": MelConfig(),
    "nvidia-22k": MelConfig(framing="centred", power_floor=0.0),
}
"""HiFi-GAN, BigVGAN, iSTFTNet, Matcha-TTS; and NVIDIA Tacotron 2 and WaveGlow."""


class LogMel(nn.Module):
    r"""Audio to log-mel: :math:`\log \max(\text{clamp},\ M \sqrt{|\mathrm{STFT}|^2 + \epsilon})`.

    Differentiable, on any device; has no learned parts and nothing in its state dict.

    Args:
        config: the convention.

    >>> import torch
    >>> LogMel(MelConfig())(torch.zeros(1, 2560)).shape
    torch.Size([1, 80, 10])
    """

    window: Tensor
    filters: Tensor

    def __init__(self, config: MelConfig) -> None:
        super().__init__()
        from librosa.filters import mel as mel_filters  # imported late: it brings numba along

        self.config = config
        filters = mel_filters(
            sr=config.sample_rate,
            n_fft=config.n_fft,
            n_mels=config.n_mels,
            fmin=config.f_min,
            fmax=config.f_max,
            dtype="float64",
        )
        dtype = torch.get_default_dtype()
        window = torch.hann_window(config.win_length, dtype=torch.float64)
        left = (config.n_fft - config.win_length) // 2
        window = nn.functional.pad(window, (left, config.n_fft - config.win_length - left))
        self.register_buffer("window", window.to(dtype), persistent=False)
        self.register_buffer("filters", torch.from_numpy(filters).to(dtype), persistent=False)
        seen = self.filters.any(0).nonzero()
        self.bins = int(seen.max()) + 1  # above, no band sees anything

    def forward(self, audio: Tensor) -> Tensor:
        """(batch, time) in [-1, 1] -> (batch, n_mels, frames).

        Raises:
            ValueError: another shape, integer samples, or audio too short for one frame or for
                the reflected padding.
        """
        config = self.config
        shortest = max(self.padding + 1, config.n_fft - 2 * self.padding)
        if audio.dim() != 2 or audio.shape[-1] < shortest:
            raise ValueError(
                f"expected audio of shape (batch, time) with at least {shortest} samples; "
                f"got {tuple(audio.shape)}"
            )
        if not audio.is_floating_point():
            raise ValueError(f"expected floating-point audio in [-1, 1]; got {audio.dtype}")
        with torch.autocast(audio.device.type, enabled=False):
            bands = self.bands(self.spectrum(audio.to(self.window.dtype)))
            return bands.mT.contiguous()

    def spectrum(self, audio: Tensor) -> Tensor:
        """The frames' spectra, (batch, time) -> (batch, frames, 1 + n_fft / 2), complex.

        Audio too short to be reflected at its ends is continued by silence instead.
        """
        config = self.config
        sides = (self.padding, self.padding)
        mode = "reflect" if audio.shape[-1] > self.padding else "constant"
        padded = nn.functional.pad(audio[:, None], sides, mode=mode)[:, 0]
        frames = padded.unfold(1, config.n_fft, config.hop_length)
        return torch.fft.rfft(frames * self.window)

    def bands(self, spectrum: Tensor) -> Tensor:
        """The log-mel of spectra, (batch, frames, 1 + n_fft / 2) -> (batch, frames, n_mels)."""
        config = self.config
        spectrum = spectrum[..., : self.bins]
        if config.power_floor:
            power = spectrum.real.square() + spectrum.imag.square()
            magnitude = (power + config.power_floor).sqrt()
        else:
            magnitude = spectrum.abs()
        return (magnitude @ self.filters[:, : self.bins].mT).clamp_min(config.clamp).log()

    @property
    def padding(self) -> int:
        """Samples by which audio is continued on each side."""
        config = self.config
        span = config.n_fft if config.framing == "centred" else config.n_fft - config.hop_length
        return span // 2

    def loudest(self) -> float:
        """The highest log-mel that audio in [-1, 1] can have: every sample at full scale."""
        return math.log(float(self.window.sum()) * float(self.filters.sum(1).max()))


SLACK = 2.0
"""Nats by which a predicted log-mel may leave the range that recorded audio can have."""


def check_mel(mel: Tensor, log_mel: LogMel) -> None:
    """Refuse a mel that cannot be of the convention ``log_mel`` makes.

    Raises:
        ValueError: wrong type, shape, or range, or values that are not finite; says what was
            expected and what came.
    """
    config = log_mel.config
    if not isinstance(mel, Tensor) or not mel.is_floating_point():
        got = mel.dtype if isinstance(mel, Tensor) else type(mel).__name__
        raise ValueError(f"mel: expected a floating-point tensor; got {got}")
    if mel.dim() != 3 or mel.shape[1] != config.n_mels or mel.shape[2] < 1 or mel.shape[0] < 1:
        hint = ""
        if mel.dim() == 3 and mel.shape[2] == config.n_mels:
            hint = "; it looks transposed: pass mel.mT"
        raise ValueError(
            f"mel: expected shape (batch, {config.n_mels}, frames); got {tuple(mel.shape)}{hint}"
        )
    if not mel.isfinite().all():
        raise ValueError("mel: expected finite values; got NaN or infinity")
    low, high = mel.min().item(), mel.max().item()
    floor, ceiling = math.log(config.clamp), log_mel.loudest()
    if low >= 0 or low < floor - SLACK or high > ceiling + SLACK:
        hint = "; all values are positive, as in a mel that is not logarithmic" if low >= 0 else ""
        raise ValueError(
            f"mel: expected natural-log values from {floor:.1f} to {ceiling:.1f}; "
            f"got {low:.1f} to {high:.1f}{hint}"
        )
