"""Networks that need not be invertible: conditioners of couplings, and context networks."""

from waveflow.nets.block_network import BlockNetwork
from waveflow.nets.bounded import Bounded
from waveflow.nets.mel_encoder import MelEncoder
from waveflow.nets.padded import Padded
from waveflow.nets.separable_wavenet import SeparableWaveNet
from waveflow.nets.upsampler import TransposedUpsampler
from waveflow.nets.wavenet import WaveNet

__all__ = [
    "BlockNetwork",
    "Bounded",
    "MelEncoder",
    "Padded",
    "SeparableWaveNet",
    "TransposedUpsampler",
    "WaveNet",
]
