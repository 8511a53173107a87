"""Whole batches at once, for a GPU: what it costs there is to launch an operator, not its size."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from waveflow.audio.consistency import MelConsistency
from waveflow.bijections import Bijection
from waveflow.config import SynthesisConfig
from waveflow.inference.constant_folding import fold_constants, fused
from waveflow.inference.whole_consistency import few_operators
from waveflow.precision import exact_convolutions, full_precision


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
        self._context_net = fold_constants(context_net, fused).to(like).eval().requires_grad_(False)
        self._bijection = fold_constants(bijection, fused).to(like).eval().requires_grad_(False)
        self._consistency = fold_constants(consistency, few_operators)
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
