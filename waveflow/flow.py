"""A flow: a bijection and the base distribution of its latent."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from waveflow.bijections.base import Bijection, sum_per_example
from waveflow.checks import real


class Gaussian(nn.Module):
    r"""The standard normal base: :math:`\log p(z) = -\tfrac12\sum (z^2 + \log 2\pi)`."""

    def log_prob(self, z: Tensor) -> Tensor:
        """Log density of each example in nats, (batch, ...) -> (batch,)."""
        return -0.5 * sum_per_example(z.square() + math.log(2 * math.pi))

    def sample(
        self,
        shape: Sequence[int],
        *,
        generator: torch.Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | None = None,
    ) -> Tensor:
        """A standard normal tensor.

        Args:
            shape: The shape of the tensor.
            generator: Source of the noise; by default torch's global generator.
            dtype: The type of the tensor; by default torch's default type.
            device: The device of the tensor; by default torch's default device.
        """
        return torch.randn(shape, generator=generator, dtype=dtype, device=device)


class Flow(nn.Module):
    r"""A density over data, by change of variables from a base density over the latent.

    .. math:: \log p(x \mid c) = \log p_Z(f(x; c)) + \log\left|\det \partial f / \partial x\right|

    Args:
        bijection: The map :math:`f` from data to latent.
        base: The distribution :math:`p_Z` of the latent.

    >>> import torch
    >>> from waveflow.bijections import Squeeze
    >>> flow = Flow(Squeeze(4), Gaussian())
    >>> flow.log_prob(torch.zeros(1, 8))            # 8 times -log(2 pi) / 2
    tensor([-7.3515])
    """

    def __init__(self, bijection: Bijection, base: Gaussian):
        super().__init__()
        self.bijection = bijection
        self.base = base

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Exact log density of each example in nats, constant included: (batch,)."""
        z, log_det = self.bijection(x, context)
        return self.base.log_prob(z) + log_det

    def sample(
        self,
        shape: Sequence[int],
        context: Tensor | None = None,
        *,
        temperature: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Draw data: ``f^-1(temperature * noise)``.

        Args:
            shape: The shape of the latent, (batch, ...).
            context: The context of the bijection.
            temperature: Standard deviation of the latent. Below 1 the samples are closer to the
                mode, and no longer samples of the modelled density.
            generator: Source of the noise; by default torch's global generator.
        """
        temperature = real(temperature, "temperature")
        like = next(self.bijection.parameters(), torch.empty(0))
        noise = self.base.sample(shape, generator=generator, dtype=like.dtype, device=like.device)
        return self.bijection.inverse(temperature * noise, context)
