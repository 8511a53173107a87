"""A dilated convolution that keeps the number of steps, and says where its zeros go."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from waveflow.streaming.taps import Window


class PaddedConv1d(nn.Conv1d):
    r"""A dilated convolution with explicit padding: as many steps come out as go in.

    .. math::
        y_t = b + \sum_{k=0}^{K-1} W_k\, x_{t - \text{past} + k d}, \qquad
        \text{past} + \text{future} = d (K - 1)

    for kernel size K and dilation d, with x zero before the first step and after the last. By
    default both sides see equally far; a causal one sees no step after its own, as in van den Oord
    et al., *WaveNet* (https://arxiv.org/abs/1609.03499), section 2.1.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: number of steps that are weighed, K.
        dilation: steps from one of them to the next, d.
        groups: sets of channels that are convolved apart; ``in_channels`` of them make the
            convolution depthwise.
        causal: whether all the zeros come before the first step.

    Attributes:
        past: steps that an output sees before its own, and zeros before the first step.
        future: steps that it sees after its own, and zeros after the last; 0 if causal.

    Raises:
        ValueError: the sides cannot be equal, ``dilation * (kernel_size - 1)`` being odd.

    >>> import torch
    >>> PaddedConv1d(4, 4, 3, dilation=2).future, PaddedConv1d(4, 4, 3, dilation=2, causal=True).future
    (2, 0)
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
        """How far it sees, for a stage."""
        return Window(self.past, self.future)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, past={self.past}, future={self.future}"
