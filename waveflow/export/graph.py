"""A vocoder as a plain graph: mel and noise to audio, every constant computed beforehand."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from waveflow.audio.mel import LogMel
from waveflow.bijections import Bijection
from waveflow.bijections.long_term import sharpened
from waveflow.config import SynthesisConfig
from waveflow.export.matrix_consistency import MatrixConsistency
from waveflow.inference.constant_folding import constant, fold_constants
from waveflow.precision import single_copy

if TYPE_CHECKING:
    from waveflow.vocoder import Vocoder


class SynthesisGraph(nn.Module):
    """The computation of ``vocoder(mel)`` for tracing, without checks.

    Weight norm is folded into the weights and 1x1 convolutions are inverted once. Mel consistency
    is :class:`~waveflow.export.matrix_consistency.MatrixConsistency`, which needs no complex
    numbers. The weights are copies, on the CPU and in float32.

    Args:
        vocoder: The vocoder.
        synthesis: The temperature and the iterations of mel consistency.

    >>> import torch
    >>> from waveflow import Vocoder
    >>> from waveflow.noise import positional_noise
    >>> vocoder = Vocoder.from_pretrained("ljspeech-nano")
    >>> graph = SynthesisGraph(vocoder, vocoder.config.synthesis)
    >>> mel = vocoder.mel(0.1 * torch.randn(1, 5120))
    >>> noise = positional_noise(0, 1, 5120).float()
    >>> audio = graph(mel, noise)
    >>> bool((audio - vocoder(mel, seed=0)).abs().max() < 1e-4)
    True
    """

    def __init__(self, vocoder: Vocoder, synthesis: SynthesisConfig) -> None:
        super().__init__()
        mel = vocoder.config.mel
        self.groups = vocoder.config.model.groups
        self.hop_length = mel.hop_length
        self.context_net = fold_constants(single_copy(vocoder.context_net), constant)
        bijection = sharpened(single_copy(vocoder.flow.bijection), synthesis.sharpness)
        self.bijection = cast(Bijection, fold_constants(bijection, constant))
        self.consistency = MatrixConsistency(
            LogMel(mel).float(),
            iterations=synthesis.consistency,
            full_band=synthesis.full_band,
            cutoff=synthesis.cutoff,
        )
        self.temperature = float(synthesis.temperature)
        self.eval().requires_grad_(False).to("cpu", torch.float32)

    def forward(self, mel: Tensor, noise: Tensor | None = None) -> Tensor:
        """Synthesise.

        Args:
            mel: The mel, (batch, n_mels, frames).
            noise: Standard normal noise, (batch, frames * hop_length); None draws it.

        Returns:
            audio, (batch, frames * hop_length).
        """
        batch, _, frames = mel.shape
        if noise is None:
            noise = torch.randn_like(mel.new_zeros(batch, frames * self.hop_length))
        steps = frames * (self.hop_length // self.groups)
        latent = (self.temperature * noise).reshape(batch, steps, self.groups).mT
        sample = self.bijection.inverse(latent, self.context_net(mel))
        return self.consistency(sample, mel)
