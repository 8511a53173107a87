"""Networks that distinguish recordings from synthesis, for adversarial training."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, pad
from torch.nn.utils.parametrizations import weight_norm

from waveflow.precision import Durable, full_precision

SLOPE = 0.1
"""Slope of the leaky rectifiers below zero."""


class Layers(nn.Module):
    """Two-dimensional convolutions with leaky rectifiers; the last one gives the scores.

    Args:
        convolutions: the convolutions, in order.
    """

    def __init__(self, convolutions: Sequence[nn.Module]):
        super().__init__()
        self.convolutions = nn.ModuleList(convolutions)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(batch, channels, rows, columns) -> the output of every layer, the scores last."""
        outputs = []
        for number, convolution in enumerate(self.convolutions):
            x = convolution(x)
            if number < len(self.convolutions) - 1:
                x = leaky_relu(x, SLOPE)
            outputs.append(x)
        return outputs


class PeriodDiscriminator(nn.Module):
    """Folds audio into rows of ``period`` samples, and convolves along the columns.

    Kong, Kim & Bae, *HiFi-GAN* (https://arxiv.org/abs/2010.05646), section 2.3.

    Args:
        period: samples of a row.
        channels: channels of each layer except the last.

    >>> import torch
    >>> [x.shape[1] for x in PeriodDiscriminator(3, channels=(4, 8))(torch.randn(1, 100))]
    [4, 8, 1]
    """

    def __init__(self, period: int, *, channels: Sequence[int]):
        super().__init__()
        self.period = period
        strides = [*[3] * (len(channels) - 1), 1]
        layers = [
            _convolution(before, after, (5, 1), (stride, 1))
            for before, after, stride in zip([1, *channels], channels, strides, strict=False)
        ]
        self.layers = Layers([*layers, _convolution(channels[-1], 1, (3, 1))])

    def forward(self, audio: Tensor) -> list[Tensor]:
        """(batch, time) -> the output of every layer, the scores last."""
        padded = pad(audio, (0, -audio.shape[1] % self.period))
        return self.layers(padded.unflatten(1, (-1, self.period))[:, None])


class SpectrumDiscriminator(Durable):
    """Convolves the real and imaginary parts of a spectrogram.

    Défossez et al., *High Fidelity Neural Audio Compression* (https://arxiv.org/abs/2210.13438),
    section 3.4.

    Args:
        n_fft: samples of a frame; frames overlap by three quarters.
        channels: channels of each layer except the last.

    >>> import torch
    >>> [x.shape[1] for x in SpectrumDiscriminator(64, channels=4)(torch.randn(1, 640))]
    [4, 4, 4, 4, 4, 1]
    """

    window: Tensor

    def __init__(self, n_fft: int, *, channels: int):
        super().__init__()
        self.n_fft = n_fft
        window = torch.hann_window(n_fft)
        self.register_buffer("window", window / window.square().sum().sqrt(), persistent=False)
        halving = [_convolution(channels, channels, (3, 9), (1, 2)) for _ in range(3)]
        self.layers = Layers(
            [
                _convolution(2, channels, (3, 9)),
                *halving,
                _convolution(channels, channels, (3, 3)),
                _convolution(channels, 1, (3, 3)),
            ]
        )

    def forward(self, audio: Tensor) -> list[Tensor]:
        """(batch, ``n_fft`` samples or more) -> the output of every layer, the scores last."""
        with full_precision(audio):
            frames = audio.unfold(1, self.n_fft, self.n_fft // 4)
            spectrum = torch.view_as_real(torch.fft.rfft(frames * self.window))
        return self.layers(spectrum.permute(0, 3, 1, 2))


class Discriminators(nn.Module):
    """Several discriminators of both kinds.

    Args:
        periods: periods of the period discriminators, one for each.
        period_channels: channels of the layers of a period discriminator.
        sizes: ``n_fft`` of the spectrum discriminators, one for each.
        spectrum_channels: channels of the layers of a spectrum discriminator.

    >>> import torch
    >>> discriminators = Discriminators(
    ...     periods=(2, 3), period_channels=(4,), sizes=(64,), spectrum_channels=4
    ... )
    >>> len(discriminators(torch.randn(1, 640)))
    3
    """

    def __init__(
        self,
        *,
        periods: Sequence[int] = (2, 3, 5, 7, 11),
        period_channels: Sequence[int] = (32, 64, 256, 512, 512),
        sizes: Sequence[int] = (2048, 1024, 512),
        spectrum_channels: int = 32,
    ):
        super().__init__()
        self.members = nn.ModuleList(
            [
                *[PeriodDiscriminator(period, channels=period_channels) for period in periods],
                *[SpectrumDiscriminator(size, channels=spectrum_channels) for size in sizes],
            ]
        )

    def forward(self, audio: Tensor) -> list[list[Tensor]]:
        """(batch, time) -> for each discriminator, the output of every layer, the scores last."""
        return [member(audio) for member in self.members]


def _convolution(
    before: int, after: int, size: tuple[int, int], stride: tuple[int, int] = (1, 1)
) -> nn.Module:
    """A convolution with weight norm; padding keeps the size where the stride is 1."""
    padding = size[0] // 2, size[1] // 2
    return weight_norm(nn.Conv2d(before, after, size, stride, padding))
