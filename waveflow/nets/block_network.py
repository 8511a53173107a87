"""A network from context frames to the parameters of blocks shorter than a frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from waveflow.nets.wavenet import Pointwise
from waveflow.streaming.linear import LinearStage
from waveflow.streaming.weights import as_matrix


class BlockNetwork(nn.Module):
    """A layer of hidden channels, then the parameters of every block of a frame.

    It reads each context frame on its own: the context network has looked at the neighbours.

    Args:
        in_channels: channels of the context.
        bias: parameters of every block before training, a number each.
        channels: channels of the hidden layer.
        blocks: blocks of a frame.

    Attributes:
        in_channels: channels of the context.
        out_channels: parameters of a block.

    >>> import torch
    >>> network = BlockNetwork(4, bias=[0.0, 1.0, 2.0], channels=8, blocks=2)
    >>> network(torch.randn(1, 4, 5)).shape
    torch.Size([1, 3, 10])
    """

    def __init__(self, in_channels: int, *, bias: Sequence[float], channels: int, blocks: int):
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = len(bias)
        self.blocks = blocks
        self.start = Pointwise(in_channels, channels)
        self.end = Pointwise(channels, len(bias) * blocks)
        with torch.no_grad():
            self.end.weight.mul_(0.1)
            cast(Tensor, self.end.bias).copy_(torch.tensor(bias).repeat(blocks))

    @torch.no_grad()
    def scale_parameters(self, factors: Tensor) -> None:
        """Multiply every block's parameters by (parameters,) factors from now on."""
        scale = factors.repeat(self.blocks)
        self.end.weight.mul_(scale[:, None, None])
        cast(Tensor, self.end.bias).mul_(scale)

    def forward(self, context: Tensor) -> Tensor:
        """(batch, in_channels, frames) -> (batch, parameters, frames * blocks)."""
        parameters = self.end(nn.functional.silu(self.start(context)))
        return parameters.unflatten(1, (self.blocks, -1)).permute(0, 2, 3, 1).flatten(2)

    def on_rows(self, like: Tensor) -> Callable[[Tensor], Tensor]:
        """The network of rows of the context, (frames, in_channels) -> (frames, blocks *
        parameters), in the precision of a tensor and on its device.
        """
        start, end = (LinearStage(*as_matrix(layer), like) for layer in (self.start, self.end))
        return lambda rows: end(nn.functional.silu(start(rows)))
