"""SqueezeWave's conditioner: a WaveNet made of depthwise-separable convolutions."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from waveflow.nets.padded import PaddedConv1d
from waveflow.nets.wavenet import Pointwise, conditioned, gated, normalised, zeroed
from waveflow.streaming.gated import GatedBuilder
from waveflow.streaming.rows import Stage
from waveflow.streaming.taps import SeparableTaps
from waveflow.streaming.weights import as_matrix, as_taps


class SeparableWaveNet(nn.Module):
    r"""Separable convolutions with gates and residuals, conditioned on a context.

    .. math::
        h_0 = \text{start}(x), \qquad
        a_i = \text{pointwise}_i(\text{depthwise}_i(h_i)) + \text{condition}_i(c), \qquad
        h_{i+1} = h_i + \text{residual}_i(\tanh(a_i^{(1)})\,\sigma(a_i^{(2)}))

    and the output is :math:`\text{end}` of the last :math:`h`. This is a :class:`WaveNet` with
    separable convolutions, without skips, and without dilations, which a coarse squeeze does not
    need. Padding keeps the number of steps, and ``end`` starts at zero. If the context's rate is
    an integer fraction of the data's, it is convolved at its own rate and repeated. All
    convolutions have weight norm. The paper's have batch norm, with which the examples of a batch
    would not be independent.

    Zhai et al., *SqueezeWave* (https://arxiv.org/abs/2001.05685), section 3.

    Args:
        in_channels: Channels of ``x``.
        out_channels: Channels of the output.
        context_channels: Channels of the context.
        channels: Channels of the hidden layers.
        layers: Number of gated layers.
        kernel_size: Kernel size of the depthwise convolutions; odd.
        causal: Whether a step of the output sees no step of ``x`` after its own.

    Attributes:
        in_channels: Channels of ``x``.
        out_channels: Channels of the output.
        context_channels: Channels of the context.

    Raises:
        ValueError: ``kernel_size`` is even.

    >>> import torch
    >>> network = SeparableWaveNet(2, 4, 3, channels=8, layers=2)
    >>> network(torch.randn(1, 2, 6), torch.randn(1, 3, 2)).shape  # a frame is 3 steps
    torch.Size([1, 4, 6])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        context_channels: int,
        *,
        channels: int,
        layers: int,
        kernel_size: int = 3,
        causal: bool = False,
    ):
        super().__init__()
        if kernel_size % 2 == 0:
            raise ValueError(f"SeparableWaveNet: expected an odd kernel_size; got {kernel_size}")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.context_channels = context_channels
        self.start = normalised(Pointwise(in_channels, channels))
        self.condition = normalised(Pointwise(context_channels, 2 * channels * layers))
        self.depthwise = nn.ModuleList()
        self.pointwise = nn.ModuleList()
        self.residual = nn.ModuleList()
        for _ in range(layers):
            depthwise = PaddedConv1d(
                channels, channels, kernel_size, groups=channels, causal=causal
            )
            self.depthwise.append(normalised(depthwise))
            self.pointwise.append(normalised(Pointwise(channels, 2 * channels)))
            self.residual.append(normalised(Pointwise(channels, channels)))
        self.end = zeroed(Pointwise(channels, out_channels))

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """(batch, in_channels, steps), (batch, context_channels, steps / ratio) ->
        (batch, out_channels, steps).
        """
        hidden = self.start(x)
        conditions = self.condition(context).chunk(len(self.residual), dim=1)
        for depthwise, mixing, residual, condition in zip(
            self.depthwise, self.pointwise, self.residual, conditions, strict=True
        ):
            activation = conditioned(mixing(depthwise(hidden)), condition)
            hidden = hidden + residual(gated(activation))
        return self.end(hidden)

    def stage(self, ratio: int) -> Stage:
        """The network as a stage of a stream.

        Args:
            ratio: Steps for each row of the context.
        """
        builder = GatedBuilder(self.start, self.condition, ratio, parameters=0)
        for module, mixing, residual in zip(
            self.depthwise, self.pointwise, self.residual, strict=True
        ):
            depthwise = cast(PaddedConv1d, module)
            matrix, bias = as_matrix(mixing)
            taps = SeparableTaps(depthwise, matrix * builder.scale, builder.like)
            bias = bias + as_taps(depthwise)[1] @ matrix
            builder.add(depthwise.window(), taps, bias, *as_matrix(residual))
        return builder.with_end(*as_matrix(self.end))
