"""source_filter: the source-filter model of speech, written as a flow."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from waveflow.bijections import (
    ActNorm,
    Affine,
    Bijection,
    Chain,
    Channels,
    ContextAffine,
    Coupling,
    Inverse,
    InvertibleConv1x1,
    Lapped,
    LongTermPredictor,
    Scale,
)


def source_filter(
    conditioner: Callable[[int, int], nn.Module],
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
    bijections here, and cost little. What they leave, the innovation, is near white noise, and
    Glow steps (https://arxiv.org/abs/1807.03039) model it.

    - *Filter*: in a fine lapped domain every band is scaled by what the mel says of its level.
      The lapped transform is orthonormal, and so is its inverse, which leads back to time.
    - *Source*: :class:`waveflow.bijections.LongTermPredictor`.
    - *Innovation*: the residual is squeezed into wider bands, with finer steps.

    Args:
        conditioner: makes the network of a coupling, given the numbers of its input and output
            channels, such as a :class:`waveflow.nets.WaveNet`.
        envelope: the log-level of each band of the whitening as a linear map of the last channels
            of the context, which the whitening starts from, (bands, those channels); bands are as
            many as samples a context frame, or a divisor.
        long_term: the predictor; None leaves the source out.
        groups: bands of the couplings; as many as samples a context frame, or a divisor.
        flows: number of Glow steps.
        context_channels: channels of the context.
    """
    bands = len(envelope)
    whitening = Chain(
        Lapped(bands),
        ContextAffine(_attenuation(envelope, context_channels), Scale()),
        ActNorm(bands),
        Inverse(Lapped(bands)),
    )
    source = [] if long_term is None else [long_term]
    innovation = glow_steps(conditioner, groups=groups, flows=flows)
    return Chain(whitening, *source, Lapped(groups), *innovation)


def glow_steps(
    conditioner: Callable[[int, int], nn.Module],
    *,
    groups: int,
    flows: int,
) -> list[Bijection]:
    """Glow steps whose couplings move one half of the bands, then the other; arguments are those
    of :func:`source_filter`.
    """
    steps: list[Bijection] = []
    for flow in range(flows):
        partition = Channels(swap=flow % 2 == 1)
        kept, moved = partition.sizes(groups)
        network = conditioner(kept, Affine.n_params * moved)
        steps += [
            ActNorm(groups),
            InvertibleConv1x1(groups),
            Coupling(partition, network, Affine()),
        ]
    return steps


def _attenuation(envelope: Tensor, context_channels: int) -> nn.Module:
    """A map of each context frame to the log-scale of each band, minus its level at the start."""
    bands, read = envelope.shape
    linear = nn.Conv1d(context_channels, bands, 1)
    for parameter in linear.parameters():
        nn.init.zeros_(parameter)
    with torch.no_grad():
        linear.weight[:, -read:, 0] = -envelope
    return linear
