"""The contract every invertible map keeps, and the two ways to combine maps."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn


class Bijection(nn.Module):
    r"""An invertible map from data ``x`` to latent ``z``, perhaps steered by a ``context``.

    With :math:`z = f(x; c)` and the Jacobian :math:`J = \partial z / \partial x` of one example,

    .. math:: \log p(x) = \log p_Z(f(x; c)) + \log\left|\det J\right| .

    ``forward`` gives ``z`` and :math:`\log|\det J|`; ``inverse`` gives ``x`` back.

    To write a new bijection:

    1. subclass, and implement ``forward`` and ``inverse``; accept ``context`` even if it is unused;
    2. return ``log_det`` of shape ``(batch,)``, in float32 or better: ``zero_log_det`` and
       ``sum_per_example`` do that;
    3. keep the arithmetic of the map itself out of mixed precision with
       ``waveflow.precision.full_precision``;
    4. set ``volume_preserving = True`` if ``log_det`` is zero whatever the input;
    5. add one line to ``tests/bijections/cases.py``: every law test then covers it.

    See Papamakarios et al., *Normalizing Flows for Probabilistic Modeling and Inference*
    (https://arxiv.org/abs/1912.02762), and ``docs/theory.md``.
    """

    volume_preserving: bool = False

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map data to latent.

        Args:
            x: data, (batch, ...).
            context: what the map may look at besides ``x``, (batch, ...).

        Returns:
            ``z`` and ``log_det``, the latter of shape (batch,).
        """
        raise NotImplementedError

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """Map latent back to data: ``inverse(forward(x, context)[0], context) == x``."""
        raise NotImplementedError


class Chain(Bijection):
    r"""Bijections applied in list order; their log-determinants add.

    .. math:: z = f_n(\dots f_1(x)), \qquad \log|\det J| = \sum_i \log|\det J_i|

    >>> import torch
    >>> from waveflow.bijections import Chain, Polyphase, InvertibleConv1x1
    >>> chain = Chain(Polyphase(8), InvertibleConv1x1(8))
    >>> z, log_det = chain(torch.randn(2, 64))
    >>> z.shape, log_det.shape
    (torch.Size([2, 8, 8]), torch.Size([2]))
    """

    def __init__(self, *bijections: Bijection):
        super().__init__()
        self.bijections = nn.ModuleList(bijections)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        total = zero_log_det(x)
        for bijection in self.bijections:
            x, log_det = bijection(x, context)
            total = total + log_det
        return x, total

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        for bijection in reversed(self.bijections):
            z = cast(Bijection, bijection).inverse(z, context)
        return z


class Inverse(Bijection):
    r"""Another bijection run backwards: :math:`z = g^{-1}(x)`, so
    :math:`\log|\det J| = -\log|\det J_g(z)|`.

    >>> import torch
    >>> from waveflow.bijections import Inverse, Lapped
    >>> coefficients = torch.randn(1, 16, 4)
    >>> audio, log_det = Inverse(Lapped(16))(coefficients)
    >>> audio.shape, log_det.item()
    (torch.Size([1, 64]), 0.0)
    """

    def __init__(self, bijection: Bijection):
        super().__init__()
        self.bijection = bijection
        self.volume_preserving = bijection.volume_preserving

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z = self.bijection.inverse(x, context)
        if self.volume_preserving:
            return z, zero_log_det(x)
        return z, -self.bijection(z, context)[1]

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        return self.bijection(z, context)[0]


def zero_log_det(x: Tensor) -> Tensor:
    """Zeros of shape (batch,) in float32 or better, on the device of ``x``."""
    return x.new_zeros(x.shape[0], dtype=torch.promote_types(x.dtype, torch.float32))


def sum_per_example(x: Tensor) -> Tensor:
    """Sum all but the first axis, in float32 or better: (batch, ...) -> (batch,)."""
    return x.to(torch.promote_types(x.dtype, torch.float32)).flatten(1).sum(1)
