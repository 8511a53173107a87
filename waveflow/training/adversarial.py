"""Training by exact likelihood and by discriminators together, as a Lightning module."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from waveflow.audio.mel import LogMel
from waveflow.bijections import Bijection, Chain, LongTermPredictor
from waveflow.noise import noise_of
from waveflow.training.config import MARGIN, SPECTRA, TrainingConfig
from waveflow.training.discriminators import Discriminators
from waveflow.training.module import LikelihoodTraining
from waveflow.vocoder import Vocoder


class AdversarialTraining(LikelihoodTraining):
    r"""Maximises likelihood, and trains the flow's synthesis against discriminators.

    A flow is a generator as well: :math:`x = f^{-1}(\tau z; c)`. With nats per sample
    :math:`\ell`, the recording :math:`r`, and :math:`x` at the temperature of synthesis, the
    vocoder minimises

    .. math::
        -\lambda_\ell\,\ell(r) - \lambda_o\,\min\big(\ell(\bar x), \ell(r)\big)
        + \sum_k \Big(\lambda_a\,\mathbb E\,(1 - D_k(x))^2 + \lambda_f\,\mathrm{FM}_k\Big)
        + \lambda_m\,\|\mathrm{mel}(x) - \mathrm{mel}(r)\|_1

    with :math:`\bar x` the same audio without a gradient; nor has :math:`\ell(r)` one in the
    minimum. The discriminators minimise
    :math:`\sum_k \mathbb E\,(1 - D_k(r))^2 + \mathbb E\,D_k(\bar x)^2`; :math:`\mathrm{FM}` is the
    distance of the features of :math:`D_k`. In half of each batch, :math:`x` is the flow's sample;
    in the other half it is the sample after the iterations of mel consistency in the recipe's
    synthesis. All losses are one sum with one backward pass: the discriminators see a detached
    sample, and the vocoder sees discriminators whose weights take no gradient.

    The minimum matters. Without its term the networks of the couplings never see what the flow
    synthesises on the way from audio to latent, and answer it with scales that run away: the
    latents of synthesised or damaged speech are then far from standard normal. Without its bound
    the term never ends: samples at a temperature below 1 are more likely than recordings, the
    density contracts around them, and the next samples are narrower still.

    Grover, Dhar & Ermon, *Flow-GAN* (https://arxiv.org/abs/1705.08868); least squares and feature
    matching as in Kong, Kim & Bae, *HiFi-GAN* (https://arxiv.org/abs/2010.05646).

    Args:
        config: the recipe; the weights :math:`\lambda` are those of its section ``adversarial``.
        start: vocoder whose weights the training starts from; None is random weights.
    """

    def __init__(self, config: TrainingConfig, *, start: Vocoder | None = None):
        super().__init__(config, start=start)
        self.discriminators = Discriminators(sizes=SPECTRA)
        full = replace(config.mel, f_min=0.0, f_max=config.mel.sample_rate / 2)
        self.fronts = nn.ModuleList(
            LogMel(replace(full, n_fft=n, win_length=n, hop_length=n // 4, n_mels=n // 16))
            for n in SPECTRA
        )

    def parameter_groups(self) -> list[dict[str, Any]]:
        rate = self.config.adversarial.learning_rate
        parameters = list(self.discriminators.parameters())
        return [*super().parameter_groups(), {"params": parameters, "lr": rate, "warmup_steps": 0}]

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        audio, mel = batch
        weights = self.config.adversarial
        context = self.vocoder.context_net(mel)
        log_prob = self.vocoder.flow.log_prob(audio, context)
        made = self.synthesise(self._noise(audio, batch_index), mel, context)
        own = torch.zeros_like(log_prob)
        if weights.own_likelihood:
            own = self.vocoder.flow.log_prob(made.detach(), context)
            own = torch.minimum(own, log_prob.detach())
        margin = MARGIN * self.config.mel.hop_length
        real, made = audio[:, margin:-margin], made[:, margin:-margin]
        judged, features = self._judge(real, made)
        fooled, matched = self._convince(made, features)
        losses = {
            "discriminators": (1.0, judged),
            "nats_per_sample": (-weights.likelihood, log_prob.sum() / audio.numel()),
            "own_nats_per_sample": (-weights.own_likelihood, own.sum() / audio.numel()),
            "adversarial": (weights.adversarial, fooled),
            "features": (weights.features, matched),
            "mel": (weights.mel, self._levels(real, made)),
        }
        for name, (_, loss) in losses.items():
            self.log(f"train/{name}", loss, sync_dist=True, batch_size=len(audio))
        return sum((weight * loss for weight, loss in losses.values()), start=judged.new_zeros(()))

    def synthesise(self, z: Tensor, mel: Tensor, context: Tensor) -> Tensor:
        """Synthesise a batch, (batch, time); its second half passes mel consistency.

        Args:
            z: latent, (batch, groups, steps), scaled by the temperature.
            mel: mel, (batch, n_mels, frames), natural log.
            context: context of the mel.
        """
        x, synthesis = z, self.config.synthesis
        for bijection in reversed(cast(Chain, self.vocoder.flow.bijection).bijections):
            if isinstance(bijection, LongTermPredictor):
                x = bijection.sharp_inverse(x, context, synthesis.sharpness)
            else:
                x = cast(Bijection, bijection).inverse(x, context)
        half = len(x) // 2
        done = self.vocoder.mel_consistency(
            x[half:], mel[half:], synthesis.consistency, synthesis.full_band
        )
        return torch.cat([x[:half], done])

    def _judge(self, real: Tensor, made: Tensor) -> tuple[Tensor, list[list[Tensor]]]:
        """The loss of the discriminators, and their features of the recordings."""
        outputs = self.discriminators(torch.cat([real, made.detach()]))
        loss = real.new_zeros(())
        features = []
        for layers in outputs:
            of_real, of_made = layers[-1].float().chunk(2)
            loss = loss + (1 - of_real).square().mean() + of_made.square().mean()
            features.append([layer.detach().chunk(2)[0] for layer in layers[:-1]])
        return loss, features

    def _convince(self, made: Tensor, features: list[list[Tensor]]) -> tuple[Tensor, Tensor]:
        """The adversarial loss of the vocoder, and its feature-matching loss."""
        self.discriminators.requires_grad_(False)
        outputs = self.discriminators(made)
        self.discriminators.requires_grad_(True)
        fooled = matched = made.new_zeros(())
        for layers, of_real in zip(outputs, features, strict=True):
            fooled = fooled + (1 - layers[-1].float()).square().mean()
            for one, other in zip(layers[:-1], of_real, strict=True):
                matched = matched + (one.float() - other.float()).abs().mean()
        return fooled, matched

    def _levels(self, real: Tensor, made: Tensor) -> Tensor:
        """The mean distance of log-mels at several resolutions, in nats."""
        distances = [(front(made) - front(real)).abs().mean() for front in self.fronts]
        return torch.stack(distances).mean()

    def _noise(self, audio: Tensor, batch_index: int) -> Tensor:
        """The latent of a step; it depends on the seed, the step and the position in the batch."""
        batch, time = audio.shape
        parts, trainer = self.config.compute.accumulate, self.trainer
        turn = (trainer.global_step * parts + batch_index % parts) * trainer.world_size
        first = (turn + trainer.global_rank) * batch
        examples = range(first, first + batch)
        noise = noise_of(self.config.run.seed, examples, time, device=audio.device)
        groups = self.config.model.groups
        return self.config.synthesis.temperature * noise.to(audio.dtype).unflatten(1, (groups, -1))
