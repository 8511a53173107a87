"""source_filter: the source-filter model of speech, written as a flow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from waveflow.audio.fields import number, relation
from waveflow.audio.mel import MelConfig, level_weights
from waveflow.bijections import (
    ActNorm,
    Bijection,
    Chain,
    ContextAffine,
    Inverse,
    LappedTransform,
    LongTermPredictor,
    Scale,
)
from waveflow.bijections.long_term import KERNEL_SIZE, initial_parameters, pitch_lags
from waveflow.models.base import MOST_FLOWS, WIDEST, Conditioner
from waveflow.models.whitened import WhitenedConfig, glow_steps
from waveflow.nets import BlockNetwork
from waveflow.nets.mel_encoder import STANDARD
from waveflow.nets.wavenet import zeroed


def source_filter(
    conditioner: Conditioner,
    *,
    envelope: Tensor,
    long_term: LongTermPredictor | None,
    groups: int,
    flows: int,
    context_channels: int,
) -> Bijection:
    """Filter, source and innovation, (batch, time) -> (batch, groups, time / groups).

    ::

        audio -> filter ------> excitation -> source ------> residual -> innovation -> z
                 whitening                    long-term                  Glow steps
                 by the mel                   predictor

    Speech coders have used the first two for forty years (Atal & Schroeder, 1970): they whiten
    the spectral envelope, then predict each sample from one pitch period ago. Both are exact
    bijections here, and cost little. The rest, the innovation, is near white noise, and Glow steps
    (https://arxiv.org/abs/1807.03039) model it.

    - *Filter*: in a fine lapped domain every band is scaled by its level in the mel. The lapped
      transform is orthonormal, and so is its inverse, which transforms back to time.
    - *Source*: :class:`waveflow.bijections.LongTermPredictor`.
    - *Innovation*: the residual is squeezed into wider bands, with finer steps.

    Args:
        conditioner: makes the network of a coupling, given the numbers of its input and output
            channels, such as a :class:`waveflow.nets.WaveNet`.
        envelope: initial whitening: a linear map from the last channels of the context to the
            log-level of each band, (bands, channels); the number of bands divides the samples per
            context frame.
        long_term: the long-term predictor; None leaves the source out.
        groups: bands of the couplings; a divisor of the samples per context frame.
        flows: number of Glow steps.
        context_channels: channels of the context.
    """
    bands = len(envelope)
    whitening = Chain(
        LappedTransform(bands),
        ContextAffine(_attenuation(envelope, context_channels), Scale()),
        ActNorm(bands),
        Inverse(LappedTransform(bands)),
    )
    source = [] if long_term is None else [long_term]
    innovation = glow_steps(conditioner, groups=groups, flows=flows)
    return Chain(whitening, *source, LappedTransform(groups), *innovation)


def _attenuation(envelope: Tensor, context_channels: int) -> nn.Module:
    """A linear map of context frames to the log-scale of each band, initially minus its level."""
    bands, read = envelope.shape
    linear = zeroed(nn.Conv1d(context_channels, bands, 1))
    with torch.no_grad():
        linear.weight[:, -read:, 0] = -envelope
    return linear


@dataclass(frozen=True)
class SourceFilterConfig(WhitenedConfig):
    """The config of :func:`waveflow.models.source_filter`.

    Attributes:
        flows: number of Glow steps.
        long_term: whether there is a long-term predictor.
        block: samples over which the predictor's coefficients are constant; a divisor of the hop.
        lowest_pitch: lowest pitch, Hz; sets the predictor's longest lag.
        highest_pitch: highest pitch, Hz; sets the predictor's shortest lag.
        predictor_channels: hidden channels of the predictor's network.
    """

    name: ClassVar[str] = "source_filter"
    flows: int = number(4, 0, MOST_FLOWS)
    long_term: bool = True
    block: int = number(128, 1, WIDEST)
    lowest_pitch: float = number(60.0, 1, 100_000)
    highest_pitch: float = number(420.0, 1, 100_000)
    predictor_channels: int = number(192, 1, WIDEST)

    @relation("lowest_pitch", "highest_pitch")
    def _pitches_ascend(self) -> str | None:
        if self.lowest_pitch < self.highest_pitch:
            return None
        return (
            "expected model.lowest_pitch < model.highest_pitch; "
            f"got {self.lowest_pitch} and {self.highest_pitch}"
        )

    def misfits(self, mel: MelConfig) -> Iterator[str]:
        yield from super().misfits(mel)
        if not self.long_term:
            return
        if mel.hop_length % self.block:
            yield (
                f"expected model.block to divide mel.hop_length {mel.hop_length}; got {self.block}"
            )
        lags = pitch_lags(mel.sample_rate, self.lowest_pitch, self.highest_pitch)
        reach = KERNEL_SIZE // 2
        if len(lags) < 2 or lags[0] <= reach:
            yield (
                f"expected model.highest_pitch, {self.highest_pitch} Hz, and model.lowest_pitch, "
                f"{self.lowest_pitch} Hz, to be at least two lags at mel.sample_rate "
                f"{mel.sample_rate}, each longer than the {reach} samples that the "
                f"predictor's kernel reaches; got {lags}"
            )

    def build(self, mel: MelConfig) -> tuple[nn.Module, Bijection]:
        context_net = self._context_net(mel, with_mel=True)
        flow = source_filter(
            self._conditioner(context_net),
            envelope=STANDARD * level_weights(mel, self.whitening_groups),
            long_term=self._predictor(mel, context_net.out_channels) if self.long_term else None,
            groups=self.groups,
            flows=self.flows,
            context_channels=context_net.out_channels,
        )
        return context_net, flow

    def _predictor(self, mel: MelConfig, context_channels: int) -> LongTermPredictor:
        lags = pitch_lags(mel.sample_rate, self.lowest_pitch, self.highest_pitch)
        network = BlockNetwork(
            context_channels,
            bias=initial_parameters(lags, KERNEL_SIZE),
            channels=self.predictor_channels,
            blocks=mel.hop_length // self.block,
        )
        return LongTermPredictor(network, lags=lags, block=self.block)
