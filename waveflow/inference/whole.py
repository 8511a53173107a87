"""Whole batches at once, for a GPU, where the cost is the number of operators, not their size."""

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

    No operator combines examples, so each is independent of the others up to rounding.

    Args:
        context_net: The network mel -> context.
        bijection: The bijection audio <-> latent, sharpened.
        consistency: The module that brings the flow's sample nearer to the mel.
        groups: Number of channels of the latent.
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
            mel: Mels, (batch, n_mels, frames), checked.
            noise: Standard normal noise, (batch, frames * hop_length), float64, on the device of
                the mel.
            synthesis: The temperature and the schedule of iterations.

        Returns:
            audio, (batch, frames * hop_length).
        """
        with full_precision(mel), exact_convolutions(mel.device):
            latent = (synthesis.temperature * noise).to(mel).unflatten(1, (-1, self._groups)).mT
            sample = cast(Bijection, self._bijection).inverse(latent, self._context_net(mel))
            full, rest = synthesis.schedule
            return self._consistency(sample, mel, full + rest, full)
