"""Elementwise maps: the moving half of a coupling, steered by per-element parameters."""

from __future__ import annotations

from torch import Tensor

from waveflow.bijections.base import Bijection, sum_per_example, zero_log_det


class Elementwise(Bijection):
    """A map of each element on its own, whose context is its parameters.

    ``n_params`` parameters an element arrive stacked along the channel axis:
    ``x`` is (batch, channels, ...), its context (batch, n_params * channels, ...).
    With all parameters zero the map is the identity, so zero-initialised networks start there.
    """

    n_params: int


class Additive(Elementwise):
    r"""NICE's additive map, :math:`z = x + \text{shift}`; volume preserving.

    Dinh et al., *NICE* (https://arxiv.org/abs/1410.8516), section 3.2.
    """

    n_params = 1
    volume_preserving = True

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return x + _parameters(self, context, x), zero_log_det(x)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        return z - _parameters(self, context, z)


class Scale(Elementwise):
    r"""A zero-mean scaling, :math:`z = x\,e^{\text{log\_scale}}`,
    :math:`\log|\det J| = \sum \text{log\_scale}`.
    """

    n_params = 1

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        log_scale = _parameters(self, context, x)
        return x * log_scale.exp(), sum_per_example(log_scale)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        return z * (-_parameters(self, context, z)).exp()


class Affine(Elementwise):
    r"""Real NVP's affine map, :math:`z = x\,e^{\text{log\_scale}} + \text{shift}`,
    :math:`\log|\det J| = \sum \text{log\_scale}`.

    The parameters are ``[shift, log_scale]`` along the channel axis, WaveGlow's order.
    Dinh et al., *Real NVP* (https://arxiv.org/abs/1605.08803), section 3.2.
    """

    n_params = 2

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        shift, log_scale = _parameters(self, context, x).chunk(2, dim=1)
        return x * log_scale.exp() + shift, sum_per_example(log_scale)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        shift, log_scale = _parameters(self, context, z).chunk(2, dim=1)
        return (z - shift) * (-log_scale).exp()


def _parameters(elementwise: Elementwise, context: Tensor | None, x: Tensor) -> Tensor:
    """The parameters in the precision of ``x``, once their shape is known to fit."""
    expected = (x.shape[0], elementwise.n_params * x.shape[1], *x.shape[2:])
    if context is None or context.shape != expected:
        got = None if context is None else tuple(context.shape)
        name = type(elementwise).__name__
        raise ValueError(f"{name}: expected parameters of shape {expected}; got {got}")
    return context.to(x.dtype)
