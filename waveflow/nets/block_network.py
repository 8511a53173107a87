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
    """A hidden layer, then the parameters of every block of a frame.

    It sees each context frame on its own, because the context network has seen the neighbours.

    Args:
        in_channels: Channels of the context.
        bias: Initial value of each parameter of a block.
        channels: Channels of the hidden layer.
        blocks: Number of blocks in a frame.

    Attributes:
        in_channels: Channels of the context.
        out_channels: Number of parameters of a block.

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
        """Scale the weights, so that the parameters of each block are multiplied by ``factors``.

        Args:
            factors: Factor of each parameter, (parameters,).
        """
        scale = factors.repeat(self.blocks)
        self.end.weight.mul_(scale[:, None, None])
        cast(Tensor, self.end.bias).mul_(scale)

    def forward(self, context: Tensor) -> Tensor:
        """(batch, in_channels, frames) -> (batch, parameters, frames * blocks)."""
        parameters = self.end(nn.functional.silu(self.start(context)))
        return parameters.unflatten(1, (self.blocks, -1)).permute(0, 2, 3, 1).flatten(2)

    def on_rows(self, like: Tensor) -> Callable[[Tensor], Tensor]:
        """The network of rows, (frames, in_channels) -> (frames, blocks * parameters).

        Args:
            like: A tensor with the precision and device of the result.
        """
        start, end = (LinearStage(*as_matrix(layer), like) for layer in (self.start, self.end))
        return lambda rows: end(nn.functional.silu(start(rows)))
