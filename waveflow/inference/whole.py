"""Whole batches at once, for a GPU: what it costs there is to launch an operator, not its size."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from waveflow.audio.consistency import MelConsistency
from waveflow.bijections import (
    ActNorm,
    Bijection,
    InvertibleConv1x1,
    Lapped,
    PLUConv1x1,
)
from waveflow.config import SynthesisConfig
from waveflow.devices import exact_convolutions
from waveflow.inference.export.graph import FoldedLapped, Mixing, Product, Scaling, folded
from waveflow.nets.wavenet import Pointwise
from waveflow.precision import full_precision


class Whole:
    """The vocoder's modules with all constants computed beforehand, on batches of whole mels.

    No operator joins examples, so none depends on its neighbours, but for rounding.

    Args:
        context_net: mel -> context.
        bijection: audio <-> latent, sharpened.
        consistency: brings the sample nearer to the mel.
        groups: of the latent.
    """

    def __init__(
        self,
        context_net: nn.Module,
        bijection: Bijection,
        consistency: MelConsistency,
        *,
        groups: int,
    ):
        like = next(context_net.parameters())
        self._context_net = folded(context_net, _FOLDED).to(like).eval().requires_grad_(False)
        self._bijection = folded(bijection, _FOLDED).to(like).eval().requires_grad_(False)
        self._consistency = consistency
        self._groups = groups

    def __call__(self, mel: Tensor, noise: Tensor, synthesis: SynthesisConfig) -> Tensor:
        """The sound of mels.

        Args:
            mel: (batch, n_mels, frames), checked.
            noise: (batch, frames * hop_length), standard normal, float64, there as well.
            synthesis: temperature and the schedule of iterations.

        Returns:
            audio, (batch, frames * hop_length).
        """
        with full_precision(mel), exact_convolutions(mel.device):
            latent = (synthesis.temperature * noise).to(mel).unflatten(1, (-1, self._groups)).mT
            sample = cast(Bijection, self._bijection).inverse(latent, self._context_net(mel))
            full, rest = synthesis.schedule
            return self._consistency(sample, mel, full + rest, full)


class _Product(Product):
    """In one operator."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.baddbmm(self.bias, self.weight.expand(len(x), -1, -1), x)


_FOLDED: dict[type[nn.Module], type[nn.Module]] = {
    ActNorm: Scaling,
    InvertibleConv1x1: Mixing,
    Lapped: FoldedLapped,
    PLUConv1x1: Mixing,
    Pointwise: _Product,
}
"""What takes the place of a module; a long-term predictor stays."""
