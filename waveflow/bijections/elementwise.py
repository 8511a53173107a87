"""Elementwise maps: the transforms of the moved half of a coupling, with parameters per element."""

from __future__ import annotations

from typing import cast

from torch import Tensor

from waveflow.bijections.base import Bijection, PlacedStages, Shape, sum_per_example, zero_log_det
from waveflow.streaming.coupling import ContextAffineStage
from waveflow.streaming.place import Place


class Elementwise(Bijection):
    """A map of each element on its own, whose context is its parameters.

    The ``n_params`` parameters of each element are stacked along the channel axis:
    ``x`` is (batch, channels, ...), its context (batch, n_params * channels, ...).
    With all parameters zero the map is the identity, so zero-initialised networks start there.
    """

    n_params: int
    _context_name = "parameters"

    def x_shape(self) -> Shape:
        return "batch", "channels", ...

    def context_shape(self, x: Tensor) -> Shape:
        return x.shape[0], self.n_params * x.shape[1], *x.shape[2:]

    def local_log_det(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """As :meth:`Bijection.local_log_det`, of (batch, channels, steps), with one part a step."""
        z, _ = self(x, context)
        _, log_det = self(_apart(x), None if context is None else _apart(context))
        return z, log_det.view(x.shape[0], x.shape[2])

    def stages(self, place: Place) -> PlacedStages:
        return [ContextAffineStage(None, self.inverse, place.ratio)], place

    def forward_stages(self, place: Place) -> PlacedStages:
        return [ContextAffineStage(None, self.moved, place.ratio)], place

    def moved(self, x: Tensor, parameters: Tensor) -> Tensor:
        """``z`` alone."""
        return cast(Tensor, self(x, parameters)[0])


class Additive(Elementwise):
    r"""NICE's additive map, :math:`z = x + \text{shift}`; volume preserving.

    Dinh et al., *NICE* (https://arxiv.org/abs/1410.8516), section 3.2.

    >>> import torch
    >>> x, shift = torch.tensor([[[1.0, 2.0]]]), torch.tensor([[[10.0, 20.0]]])
    >>> z, log_det = Additive()(x, shift)
    >>> z.tolist(), log_det.item(), Additive().inverse(z, shift).tolist()
    ([[[11.0, 22.0]]], 0.0, [[[1.0, 2.0]]])
    """

    n_params = 1
    volume_preserving = True

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return x + _like(x, context), zero_log_det(x)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        return z - _like(z, context)


class Scale(Elementwise):
    r"""A zero-mean scaling, :math:`z = x\,e^{\text{log\_scale}}`,
    :math:`\log|\det J| = \sum \text{log\_scale}`.

    >>> import torch
    >>> x, log_scale = torch.ones(1, 1, 2), torch.tensor([2.0, 8.0]).log().view(1, 1, 2)
    >>> z, log_det = Scale()(x, log_scale)
    >>> z.round().tolist(), log_det.exp().round().item()
    ([[[2.0, 8.0]]], 16.0)
    >>> Scale().inverse(z, log_scale).round().tolist()
    [[[1.0, 1.0]]]
    """

    n_params = 1

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        log_scale = _like(x, context)
        return x * log_scale.exp(), sum_per_example(log_scale)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        return z * (-_like(z, context)).exp()

    def fused(self) -> Bijection:
        return _FusedScale()


class Affine(Elementwise):
    r"""Real NVP's affine map, :math:`z = x\,e^{\text{log\_scale}} + \text{shift}`,
    :math:`\log|\det J| = \sum \text{log\_scale}`.

    The parameters are ``[shift, log_scale]`` along the channel axis, WaveGlow's order.
    Dinh et al., *Real NVP* (https://arxiv.org/abs/1605.08803), section 3.2.

    >>> import torch
    >>> x, parameters = torch.randn(2, 3, 4), torch.randn(2, 6, 4)
    >>> z, log_det = Affine()(x, parameters)
    >>> z.shape, torch.allclose(log_det, parameters[:, 3:].sum((1, 2)), atol=1e-5)
    (torch.Size([2, 3, 4]), True)
    >>> torch.allclose(Affine().inverse(z, parameters), x, atol=1e-5)
    True
    """

    n_params = 2

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        shift, log_scale = _like(x, context).chunk(2, dim=1)
        return x * log_scale.exp() + shift, sum_per_example(log_scale)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        shift, log_scale = _like(z, context).chunk(2, dim=1)
        return (z - shift) * (-log_scale).exp()

    def fused(self) -> Bijection:
        return _FusedAffine()


class _FusedScale(Scale):
    """A scaling whose inverse divides by the exponential: one operator fewer."""

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        return z / _like(z, context).exp()


class _FusedAffine(Affine):
    """An affine map whose inverse divides by the exponential: one operator fewer."""

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        shift, log_scale = _like(z, context).chunk(2, dim=1)
        return (z - shift).div_(log_scale.exp())


def _apart(x: Tensor) -> Tensor:
    """(batch, channels, steps) -> (batch * steps, channels, 1)."""
    return x.transpose(1, 2).flatten(0, 1)[..., None]


def _like(x: Tensor, parameters: Tensor | None) -> Tensor:
    """The parameters in the precision of ``x``."""
    return cast(Tensor, parameters).to(x.dtype)
