"""Every bijection, by name: (constructor, shape of x, shape of the context or None)."""

from functools import partial

import torch
from torch import nn

from waveflow.bijections import (
    ActNorm,
    Additive,
    Affine,
    Chain,
    Channels,
    Checkerboard,
    ContextAffine,
    Coupling,
    EarlyOutput,
    Inverse,
    InvertibleConv1x1,
    LappedTransform,
    LongTermPredictor,
    PLUConv1x1,
    Reversible,
    Scale,
    Squeeze,
)
from waveflow.bijections.long_term import initial_parameters
from waveflow.models import lapflow
from waveflow.nets import BlockNetwork, SeparableWaveNet, WaveNet


def _coupling(partition, elementwise, channels, context_channels=3):
    network = partial(WaveNet, context_channels=context_channels, channels=4, layers=2)
    return Coupling.of(partition, channels, network, elementwise)


def _causal(network):
    return partial(network, context_channels=3, channels=4, layers=2, causal=True)


def _causal_coupling(network, channels):
    return Coupling.of(Channels(), channels, _causal(network), Affine())


def _causal_lapflow():
    return lapflow(_causal(WaveNet), whitening_groups=16, groups=8, flows=2, context_channels=3)


def _long_term(block, lags, kernel_size, window, blocks):
    bias = initial_parameters(lags, kernel_size)
    network = BlockNetwork(3, bias=bias, channels=4, blocks=blocks)
    return LongTermPredictor(
        network, lags=lags, block=block, kernel_size=kernel_size, window=window
    )


def _trained_actnorm(channels):
    actnorm = ActNorm(channels)
    actnorm(3 + 2 * torch.randn(2, channels, 5))
    return actnorm


CASES = {
    "squeeze": (lambda: Squeeze(4), (2, 24), None),
    "lapped": (lambda: LappedTransform(8), (2, 40), None),
    "lapped of two": (lambda: LappedTransform(2), (2, 12), None),
    "lapped, one block": (lambda: LappedTransform(12), (2, 12), None),
    "additive": (Additive, (2, 3, 4), (2, 3, 4)),
    "scale": (Scale, (2, 3, 4), (2, 3, 4)),
    "affine": (Affine, (2, 3, 4), (2, 6, 4)),
    "conv1x1": (lambda: InvertibleConv1x1(4), (2, 4, 5), None),
    "conv1x1, plu": (lambda: PLUConv1x1(4), (2, 4, 5), None),
    "actnorm": (lambda: _trained_actnorm(4), (2, 4, 5), None),
    "nice coupling": (lambda: _coupling(Channels(), Additive(), 4), (2, 4, 6), (2, 3, 6)),
    "coupling": (lambda: _coupling(Channels(), Affine(), 5), (2, 5, 6), (2, 3, 6)),
    "coupling, swapped": (
        lambda: _coupling(Channels(swap=True), Affine(), 5),
        (2, 5, 6),
        (2, 3, 6),
    ),
    "coupling, slow context": (lambda: _coupling(Channels(), Affine(), 4), (2, 4, 6), (2, 3, 2)),
    "checkerboard coupling": (lambda: _coupling(Checkerboard(), Affine(), 4), (2, 4, 5), (2, 3, 5)),
    "checkerboard coupling, swapped": (
        lambda: _coupling(Checkerboard(swap=True), Affine(), 4),
        (2, 4, 5),
        (2, 3, 5),
    ),
    "causal coupling": (lambda: _causal_coupling(WaveNet, 4), (2, 4, 6), (2, 3, 2)),
    "causal separable coupling": (
        lambda: _causal_coupling(SeparableWaveNet, 5),
        (2, 5, 6),
        (2, 3, 6),
    ),
    "context affine": (
        lambda: ContextAffine(nn.Conv1d(3, 4, 1), Scale()),
        (2, 4, 6),
        (2, 3, 3),
    ),
    "long-term predictor": (
        lambda: _long_term(8, range(5, 12), 3, 16, blocks=2),
        (2, 48),
        (2, 3, 3),
    ),
    "long-term predictor, short lags": (
        lambda: _long_term(4, range(3, 5), 5, 3, blocks=1),
        (2, 24),
        (2, 3, 6),
    ),
    "early output": (
        lambda: EarlyOutput(2, _coupling(Channels(), Affine(), 4)),
        (2, 6, 4),
        (2, 3, 4),
    ),
    "chain": (
        lambda: Chain(
            Squeeze(4),
            _trained_actnorm(4),
            InvertibleConv1x1(4),
            _coupling(Channels(), Affine(), 4),
        ),
        (2, 24),
        (2, 3, 6),
    ),
    "inverse": (lambda: Inverse(_coupling(Channels(), Affine(), 4)), (2, 4, 6), (2, 3, 6)),
    "reversible": (
        lambda: Reversible(
            Squeeze(8),
            _trained_actnorm(8),
            Chain(
                InvertibleConv1x1(8),
                EarlyOutput(2, Chain(PLUConv1x1(6), _coupling(Channels(), Affine(), 6))),
            ),
            Inverse(_coupling(Channels(swap=True), Affine(), 8)),
        ),
        (2, 48),
        (2, 3, 6),
    ),
    "inverse lapped": (lambda: Inverse(LappedTransform(8)), (2, 8, 4), None),
    "causal lapflow": (_causal_lapflow, (2, 48), (2, 3, 3)),
    "whitening": (
        lambda: Chain(
            LappedTransform(8),
            ContextAffine(nn.Conv1d(3, 8, 1), Scale()),
            Inverse(LappedTransform(8)),
        ),
        (2, 32),
        (2, 3, 2),
    ),
}
