"""Coupling layers: half of the data moves, steered by the half that is kept."""

from __future__ import annotations

from torch import Tensor, nn

from waveflow.bijections.base import Bijection
from waveflow.bijections.elementwise import Elementwise
from waveflow.bijections.partition import Partition
from waveflow.precision import full_precision


class Coupling(Bijection):
    r"""One part is kept, the other moved by an elementwise map whose parameters see the first.

    .. math::
        z_\text{kept} = x_\text{kept}, \qquad
        z_\text{moved} = g\big(x_\text{moved};\ \text{conditioner}(x_\text{kept}, c)\big)

    The Jacobian is block triangular, so its determinant is that of :math:`g` alone and the
    conditioner need not be invertible. NICE is this with :class:`Additive`, Real NVP and
    WaveGlow with :class:`Affine` (https://arxiv.org/abs/1605.08803, section 3.3).

    Args:
        partition: how (batch, channels, steps) falls into ``kept`` and ``moved``.
        conditioner: ``(kept, context) -> parameters`` of the elementwise map,
            (batch, n_params * moved channels, steps).
        elementwise: how ``moved`` moves.
    """

    def __init__(self, partition: Partition, conditioner: nn.Module, elementwise: Elementwise):
        super().__init__()
        self.partition = partition
        self.conditioner = conditioner
        self.elementwise = elementwise
        self.volume_preserving = elementwise.volume_preserving

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        kept, moved = self.partition.split(x)
        parameters = self.conditioner(kept, context)
        with full_precision(x):
            moved, log_det = self.elementwise(moved, parameters)
        return self.partition.merge(kept, moved), log_det

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        kept, moved = self.partition.split(z)
        parameters = self.conditioner(kept, context)
        with full_precision(z):
            moved = self.elementwise.inverse(moved, parameters)
        return self.partition.merge(kept, moved)


class ContextAffine(Bijection):
    r"""All of the data moves, steered by the context alone: :math:`z = g(x; \text{network}(c))`.

    Given the context this is a diagonal Gaussian; in a lapped domain, with a mel as context, it
    whitens the spectral envelope.

    Args:
        network: ``context -> parameters``, (batch, n_params * channels, steps / ratio) with a
            whole ``ratio``; slower parameters are repeated to the rate of the data.
        elementwise: how the data moves.
    """

    def __init__(self, network: nn.Module, elementwise: Elementwise):
        super().__init__()
        self.network = network
        self.elementwise = elementwise
        self.volume_preserving = elementwise.volume_preserving

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        parameters = self._read(x, context)
        with full_precision(x):
            return self.elementwise(x, parameters)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        parameters = self._read(z, context)
        with full_precision(z):
            return self.elementwise.inverse(z, parameters)

    def _read(self, x: Tensor, context: Tensor | None) -> Tensor:
        if context is None:
            raise ValueError("ContextAffine: expected a context; got None")
        parameters = self.network(context)
        return parameters.repeat_interleave(x.shape[-1] // parameters.shape[-1], dim=-1)
