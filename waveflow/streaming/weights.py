"""Weights of stages: weight norm folded, axes in the order of rows, rounded once at the end."""

from __future__ import annotations

from torch import Tensor, nn


def as_taps(convolution: nn.Conv1d) -> tuple[Tensor, Tensor]:
    """The taps (kernel, in, out) and the bias (out,) of a convolution, in float64; weight norm is
    folded into them.
    """
    weight, bias = convolution.weight.detach().double(), convolution.bias
    no_bias = weight.new_zeros(len(weight))
    return weight.permute(2, 1, 0), no_bias if bias is None else bias.detach().double()


def as_matrix(convolution: nn.Module) -> tuple[Tensor, Tensor]:
    """The matrix (in, out) and the bias (out,) of a convolution of kernel size 1, in float64.

    Raises:
        TypeError: another kind of module.
    """
    if not isinstance(convolution, nn.Conv1d) or convolution.kernel_size != (1,):
        raise TypeError(f"expected a convolution of kernel size 1; got {convolution}")
    taps, bias = as_taps(convolution)
    return taps[0], bias


def to_constant(value: Tensor, like: Tensor) -> Tensor:
    """A constant of a stage, in the precision and on the device of ``like``."""
    return value.to(device=like.device, dtype=like.dtype).contiguous()
