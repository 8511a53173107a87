"""A context network that stays at the mel's rate, where convolutions cost little."""

from __future__ import annotations

from torch import Tensor, nn


class MelEncoder(nn.Module):
    """Mel to context at frame rate: residual convolutions over neighbouring frames.

    Everything downstream repeats what it makes of this context to its own rate, so the cost of
    conditioning does not grow with the squeezed rate.

    Args:
        n_mels: bands of the mel.
        channels: channels of the context.
        layers: number of residual blocks.
        kernel_size: frames that one convolution sees; odd.
    """

    def __init__(self, n_mels: int, *, channels: int, layers: int, kernel_size: int = 3):
        super().__init__()
        if kernel_size % 2 == 0:
            raise ValueError(f"MelEncoder: expected an odd kernel_size; got {kernel_size}")
        padding = kernel_size // 2
        self.start = nn.Conv1d(n_mels, channels, kernel_size, padding=padding)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.SiLU(),
                nn.Conv1d(channels, channels, kernel_size, padding=padding),
                nn.SiLU(),
                nn.Conv1d(channels, channels, 1),
            )
            for _ in range(layers)
        )

    def forward(self, mel: Tensor) -> Tensor:
        """(batch, n_mels, frames) -> (batch, channels, frames)."""
        context = self.start(mel / 4 + 1.25)  # log-mels of speech: mean near -5, deviation near 2
        for block in self.blocks:
            context = context + block(context)
        return context
