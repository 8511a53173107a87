"""WaveGlow's context network: the mel upsampled by a transposed convolution."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from waveflow.streaming.linear import LinearStage
from waveflow.streaming.rows import ContextStage, PushFunction, SharedBuffer
from waveflow.streaming.taps import Window


class TransposedUpsampler(nn.Module):
    """Mel to context at the squeezed rate, as in WaveGlow.

    A transposed convolution of stride ``hop_length`` gives ``hop_length`` samples for each frame
    (the tail of the kernel after the last frame is cut off). Then ``groups`` consecutive samples
    of each band become channels, band-major. Prenger et al., *WaveGlow*
    (https://arxiv.org/abs/1811.00002), section 2.2.

    Args:
        n_mels: Number of bands of the mel.
        hop_length: Samples in a frame; a multiple of ``groups``.
        groups: Samples in a step of the flow.
        kernel_size: Kernel size of the transposed convolution, in samples.

    Attributes:
        out_channels: Channels of the context.
        rate: Steps of the context for each frame.

    >>> import torch
    >>> upsampler = TransposedUpsampler(80, hop_length=256, groups=8)
    >>> upsampler(torch.randn(1, 80, 5)).shape  # 256 / 8 steps a frame, 8 samples of 80 bands each
    torch.Size([1, 640, 160])
    """

    def __init__(self, n_mels: int, *, hop_length: int, groups: int, kernel_size: int = 1024):
        super().__init__()
        if hop_length % groups:
            raise ValueError(
                f"TransposedUpsampler: expected hop_length to be a multiple of groups; "
                f"got {hop_length} and {groups}"
            )
        self.hop_length = hop_length
        self.groups = groups
        self.out_channels = n_mels * groups
        self.rate = hop_length // groups
        self.convolution = nn.ConvTranspose1d(n_mels, n_mels, kernel_size, hop_length)

    def forward(self, mel: Tensor) -> Tensor:
        """(batch, n_mels, frames) -> (batch, n_mels * groups, frames * hop_length / groups)."""
        samples = self.convolution(mel)[..., : mel.shape[-1] * self.hop_length]
        steps = samples.unflatten(-1, (-1, self.groups))  # (batch, n_mels, steps, groups)
        return steps.transpose(2, 3).flatten(1, 2)

    def stage(self) -> ContextStage:
        """The network as a stage of a stream."""
        return _UpsamplerStage(self)


class _UpsamplerStage:
    """The upsampler as a stage: (frames, n_mels) -> (steps, n_mels * groups).

    The stride is the hop, so the samples of a frame are a matrix product of the frame and the few
    frames before it. The columns of the matrix are in the order of the squeezed context.
    """

    def __init__(self, network: TransposedUpsampler):
        weight = network.convolution.weight.detach().double()  # (in, out, kernel)
        hop_length, groups = network.hop_length, network.groups
        frames = -(-weight.shape[-1] // hop_length)
        weight = nn.functional.pad(weight, (0, frames * hop_length - weight.shape[-1]))
        parts = weight.unflatten(-1, (frames, hop_length // groups, groups))
        # (in, out, frame, step, sample) -> (frame, in, step, out, sample), earliest frame first
        matrix = parts.permute(2, 0, 3, 1, 4).flip(0).flatten(0, 1).flatten(1)
        bias = cast(Tensor, network.convolution.bias).detach().double()
        bias = bias[:, None].expand(-1, groups).flatten().repeat(hop_length // groups)
        self._linear = LinearStage(matrix, bias, network.convolution.weight)
        self._channels = weight.shape[1] * groups
        self._window = Window(frames - 1, 0)
        self._edge = network.convolution.weight.new_zeros(weight.shape[0])
        self.rate = network.rate

    def begin(self, context: SharedBuffer) -> PushFunction:
        def work(seen: Tensor, steps: int) -> Tensor:
            neighbours = [seen[shift : shift + steps] for shift in range(self._window.past + 1)]
            return self._linear(torch.cat(neighbours, 1)).view(-1, self._channels)

        return self._window.begin(self._edge, work)

    def outputs_after(self, steps: int) -> int:
        return steps * self.rate

    def first_input_of(self, step: int) -> int:
        return step // self.rate - self._window.past
