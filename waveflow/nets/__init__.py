"""Networks that need not be invertible: conditioners of couplings, and context networks."""

from waveflow.moved import former_names
from waveflow.nets.block_network import BlockNetwork
from waveflow.nets.bounded import Bounded
from waveflow.nets.mel_encoder import MelEncoder
from waveflow.nets.padded import PaddedConv1d
from waveflow.nets.separable_wavenet import SeparableWaveNet
from waveflow.nets.upsampler import TransposedUpsampler
from waveflow.nets.wavenet import WaveNet

__all__ = [
    "BlockNetwork",
    "Bounded",
    "MelEncoder",
    "PaddedConv1d",
    "SeparableWaveNet",
    "TransposedUpsampler",
    "WaveNet",
]

__getattr__ = former_names(__name__)
