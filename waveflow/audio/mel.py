"""The front end: mel spectrograms of audio."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from waveflow.audio.bands import levels
from waveflow.audio.frames import Frames
from waveflow.audio.mel_conventions import MEL_CONVENTIONS as MEL_CONVENTIONS
from waveflow.audio.mel_conventions import MelConfig as MelConfig
from waveflow.checks import tensor
from waveflow.precision import Durable, default_precision, full_precision


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
        self.config = config
        table = config.filters()
        seen = table.any(0).nonzero()
        if not len(seen):
            raise ValueError(
                f"mel: expected bands wide enough for n_fft {config.n_fft}; got none that sees a "
                f"bin from f_min {config.f_min} to f_max {config.f_max} Hz"
            )
        self.bins = int(seen.max()) + 1  # no band sees a bin above
        self.cutting = Frames(
            hann_window(config).to(default_precision()),
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


def hann_window(config: MelConfig, factor: int = 1) -> Tensor:
    """The window of a front end at the samples of a rate lower by a factor, (n_fft / factor,), in
    float64 on the CPU.
    """
    samples = torch.arange(config.n_fft // factor, dtype=torch.float64, device="cpu")
    position = factor * samples + (factor - 1) / 2
    position = position - (config.n_fft - config.win_length) // 2
    period = config.win_length - (config.window == "hann_symmetric")
    window = (1 - (2 * math.pi / max(period, 1) * position).cos()) / 2
    return window * ((position >= 0) & (position <= period))


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
