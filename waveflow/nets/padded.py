"""A dilated convolution that keeps the number of steps, padded on both sides or causally."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from waveflow.streaming.taps import Window


class PaddedConv1d(nn.Conv1d):
    r"""A dilated convolution with explicit padding, which keeps the number of steps.

    .. math::
        y_t = b + \sum_{k=0}^{K-1} W_k\, x_{t - \text{past} + k d}, \qquad
        \text{past} + \text{future} = d (K - 1)

    for kernel size K and dilation d, with x zero before the first step and after the last. By
    default the receptive field is symmetric. If causal, an output sees no step after its own, as
    in van den Oord et al., *WaveNet* (https://arxiv.org/abs/1609.03499), section 2.1.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Number of taps, K.
        dilation: Steps from one tap to the next, d.
        groups: Number of groups of channels; a convolution with ``in_channels`` groups is
            depthwise.
        causal: Whether all padding is before the first step.

    Attributes:
        past: Number of steps that an output sees before its own, and of zeros before the first
            step.
        future: Number of steps that an output sees after its own, and of zeros after the last
            step; 0 if causal.

    Raises:
        ValueError: ``dilation * (kernel_size - 1)`` is odd, and the convolution is not causal.

    >>> import torch
    >>> [PaddedConv1d(4, 4, 3, dilation=2, causal=causal).future for causal in (False, True)]
    [2, 0]
    >>> PaddedConv1d(4, 6, 3, dilation=2)(torch.randn(1, 4, 9)).shape
    torch.Size([1, 6, 9])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        dilation: int = 1,
        groups: int = 1,
        causal: bool = False,
    ):
        reach = dilation * (kernel_size - 1)
        if reach % 2 and not causal:
            raise ValueError(
                f"PaddedConv1d: expected dilation * (kernel_size - 1) to be even, unless causal; "
                f"got {dilation} * {kernel_size - 1}"
            )
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            dilation=dilation,
            groups=groups,
            padding=0 if causal else reach // 2,
        )
        self.past = reach if causal else reach // 2
        self.future = reach - self.past

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in_channels, steps) -> (batch, out_channels, steps)."""
        if self.past > self.future:  # equal sides are padded by the convolution itself
            x = functional.pad(x, (self.past, self.future))
        return super().forward(x)

    def window(self) -> Window:
        """The receptive field, for a stage."""
        return Window(self.past, self.future)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, past={self.past}, future={self.future}"
