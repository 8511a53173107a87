"""Weights as a frozen vocoder holds them: norms folded, in rows' order, products rounded once."""

from __future__ import annotations

from torch import Tensor, nn


def folded(convolution: nn.Conv1d) -> tuple[Tensor, Tensor]:
    """The taps (kernel, in, out) and the bias (out,) of a convolution, weight norm folded;
    float64.
    """
    weight, bias = convolution.weight.detach().double(), convolution.bias
    no_bias = weight.new_zeros(len(weight))
    return weight.permute(2, 1, 0), no_bias if bias is None else bias.detach().double()


def pointwise(convolution: nn.Module) -> tuple[Tensor, Tensor]:
    """The matrix (in, out) and the bias (out,) of a convolution of kernel size 1; float64.

    Raises:
        TypeError: another kind of module.
    """
    if not isinstance(convolution, nn.Conv1d) or convolution.kernel_size != (1,):
        raise TypeError(f"expected a convolution of kernel size 1; got {convolution}")
    taps, bias = folded(convolution)
    return taps[0], bias


def baked(value: Tensor, like: Tensor) -> Tensor:
    """A constant of the frozen form, in the precision and on the device of a tensor."""
    return value.to(device=like.device, dtype=like.dtype).contiguous()
