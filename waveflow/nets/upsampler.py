"""WaveGlow's context network: the mel brought to the sample rate by a transposed convolution."""

from __future__ import annotations

from torch import Tensor, nn


class TransposedUpsampler(nn.Module):
    """Mel to context at the squeezed rate, as in WaveGlow.

    A transposed convolution of stride ``hop_length`` gives ``hop_length`` samples a frame (the
    tail of the kernel beyond the last frame is cut off); ``groups`` consecutive samples of each
    band then become channels, band-major. Prenger et al., *WaveGlow*
    (https://arxiv.org/abs/1811.00002), section 2.2.

    Args:
        n_mels: bands of the mel.
        hop_length: samples a frame; a multiple of ``groups``.
        groups: samples a step of the flow.
        kernel_size: samples that one frame reaches.

    Attributes:
        out_channels: channels of the context.

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
        self.convolution = nn.ConvTranspose1d(n_mels, n_mels, kernel_size, hop_length)

    def forward(self, mel: Tensor) -> Tensor:
        """(batch, n_mels, frames) -> (batch, n_mels * groups, frames * hop_length / groups)."""
        samples = self.convolution(mel)[..., : mel.shape[-1] * self.hop_length]
        steps = samples.unflatten(-1, (-1, self.groups))  # (batch, n_mels, steps, groups)
        return steps.transpose(2, 3).flatten(1, 2)
