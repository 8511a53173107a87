"""Coupling layers: one half of the data is transformed with parameters computed from the other."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from waveflow.bijections.base import Axis, Bijection, PlacedStages, Shape, require_shape
from waveflow.bijections.elementwise import Elementwise
from waveflow.bijections.partition import Partition
from waveflow.precision import full_precision
from waveflow.streaming.coupling import ContextAffineStage, CouplingStage, Move
from waveflow.streaming.linear import LinearStage
from waveflow.streaming.place import Place
from waveflow.streaming.rows import Stage, form_of
from waveflow.streaming.weights import as_matrix


class Coupling(Bijection):
    r"""One part is kept; the other is moved by an elementwise map with parameters from the first.

    .. math::
        z_\text{kept} = x_\text{kept}, \qquad
        z_\text{moved} = g\big(x_\text{moved};\ \text{conditioner}(x_\text{kept}, c)\big)

    The Jacobian is block triangular, so its determinant is that of :math:`g` alone and the
    conditioner need not be invertible. NICE is this with :class:`Additive`, Real NVP and
    WaveGlow with :class:`Affine` (https://arxiv.org/abs/1605.08803, section 3.3).

    Args:
        partition: The split of (batch, channels, steps) into ``kept`` and ``moved``.
        conditioner: The network ``(kept, context) -> parameters`` of the elementwise map,
            (batch, n_params * moved channels, steps). If it has the attributes ``in_channels``,
            ``out_channels`` and ``context_channels``, as :class:`waveflow.nets.WaveNet` has, the
            coupling checks the shapes of data and context.
        elementwise: The map of ``moved``.

    >>> import torch
    >>> from waveflow.bijections import Affine, Channels
    >>> from waveflow.nets import WaveNet
    >>> network = WaveNet(2, 4, 3, channels=8, layers=2)  # 2 kept channels, 2 * 2 parameters
    >>> coupling = Coupling(Channels(), network, Affine())
    >>> x, context = torch.randn(1, 4, 6), torch.randn(1, 3, 2)
    >>> z, log_det = coupling(x, context)
    >>> z.shape, torch.equal(z[:, :2], x[:, :2])
    (torch.Size([1, 4, 6]), True)
    >>> torch.allclose(coupling.inverse(z, context), x)
    True
    >>> coupling(x)
    Traceback (most recent call last):
    ...
    ValueError: Coupling: expected a context; got None (shape (1, 3, frames), frames a divisor of 6)
    """

    def __init__(self, partition: Partition, conditioner: nn.Module, elementwise: Elementwise):
        super().__init__()
        self.partition = partition
        self.conditioner = conditioner
        self.elementwise = elementwise
        self.volume_preserving = elementwise.volume_preserving

    @classmethod
    def of(
        cls,
        partition: Partition,
        channels: int,
        make_conditioner: Callable[[int, int], nn.Module],
        elementwise: Elementwise,
    ) -> Coupling:
        """A coupling of ``channels`` channels.

        Args:
            partition: The split of the channels.
            channels: Number of channels, of both parts together.
            make_conditioner: Makes the conditioner, given the numbers of its input and output
                channels.
            elementwise: The map of ``moved``.
        """
        kept, moved = partition.sizes(channels)
        return cls(partition, make_conditioner(kept, elementwise.n_params * moved), elementwise)

    def x_shape(self) -> Shape:
        kept = getattr(self.conditioner, "in_channels", None)
        moved = _channels(self.conditioner, self.elementwise)
        if kept is None or moved is None:
            return "batch", "channels", "steps"
        return "batch", kept + moved, "steps"

    def context_shape(self, x: Tensor) -> Shape | None:
        channels = getattr(self.conditioner, "context_channels", None)
        if channels is None:
            return None
        return x.shape[0], channels, Axis("frames", divides=x.shape[2])

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

    def local_log_det(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        kept, moved = self.partition.split(x)
        parameters = self.conditioner(kept, context)
        with full_precision(x):
            moved, parts = self.elementwise.local_log_det(moved, parameters)
        return self.partition.merge(kept, moved), parts

    def stages(self, place: Place) -> PlacedStages:
        return self._moving(place, self.elementwise.inverse)

    def forward_stages(self, place: Place) -> PlacedStages:
        return self._moving(place, self.elementwise.moved)

    def _moving(self, place: Place, move: Move) -> PlacedStages:
        conditioner: Stage = form_of(self.conditioner, "stage", place.ratio)
        return [CouplingStage(self.partition, conditioner, move)], place


class ContextAffine(Bijection):
    r"""All of the data is moved, with parameters from the context alone:
    :math:`z = g(x; \text{network}(c))`.

    Given the context this is a diagonal Gaussian; in a lapped domain, with a mel as context, it
    whitens the spectral envelope.

    Args:
        network: The network ``context -> parameters``, (batch, n_params * channels,
            steps / ratio) with an integer ``ratio``; parameters are repeated to the rate of the
            data.
        elementwise: The map of the data.

    >>> import torch
    >>> from waveflow.bijections import Scale
    >>> whitening = ContextAffine(nn.Conv1d(3, 4, 1), Scale())
    >>> x, context = torch.randn(1, 4, 6), torch.randn(1, 3, 2)
    >>> z, log_det = whitening(x, context)
    >>> z.shape, torch.allclose(whitening.inverse(z, context), x, atol=1e-5)
    (torch.Size([1, 4, 6]), True)
    """

    def __init__(self, network: nn.Module, elementwise: Elementwise):
        super().__init__()
        self.network = network
        self.elementwise = elementwise
        self.volume_preserving = elementwise.volume_preserving

    def x_shape(self) -> Shape:
        channels = _channels(self.network, self.elementwise)
        return "batch", "channels" if channels is None else channels, "steps"

    def context_shape(self, x: Tensor) -> Shape:
        channels = getattr(self.network, "in_channels", None)
        return (
            (x.shape[0], ...)
            if channels is None
            else (x.shape[0], channels, Axis("frames", least=1))
        )

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        parameters = self._read(x, context)
        with full_precision(x):
            return self.elementwise(x, parameters)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        parameters = self._read(z, context)
        with full_precision(z):
            return self.elementwise.inverse(z, parameters)

    def local_log_det(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        parameters = self._read(x, context)
        with full_precision(x):
            return self.elementwise.local_log_det(x, parameters)

    def stages(self, place: Place) -> PlacedStages:
        return self._moving(place, self.elementwise.inverse)

    def forward_stages(self, place: Place) -> PlacedStages:
        return self._moving(place, self.elementwise.moved)

    def _moving(self, place: Place, move: Move) -> PlacedStages:
        parameters = LinearStage(*as_matrix(self.network), place.like)
        return [ContextAffineStage(parameters, move, place.ratio)], place

    def _read(self, x: Tensor, context: Tensor | None) -> Tensor:
        parameters = self.network(context)
        steps = x.shape[-1]
        channels = self.elementwise.n_params * x.shape[1]
        shape = x.shape[0], channels, Axis("frames", divides=steps)
        require_shape(self, "a context whose parameters are", parameters, shape)
        return parameters.repeat_interleave(steps // parameters.shape[-1], dim=-1)


def _channels(network: nn.Module, elementwise: Elementwise) -> int | None:
    """Number of moved channels, if the network of their parameters has ``out_channels``."""
    parameters = getattr(network, "out_channels", None)
    return None if parameters is None else parameters // elementwise.n_params
