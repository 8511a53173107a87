"""Invertible maps with exact log-determinants: the mathematics of waveflow."""

from waveflow.bijections.actnorm import ActNorm
from waveflow.bijections.base import Bijection, Chain, Inverse
from waveflow.bijections.conv1x1 import InvertibleConv1x1, PLUConv1x1
from waveflow.bijections.coupling import ContextAffine, Coupling
from waveflow.bijections.early_output import EarlyOutput
from waveflow.bijections.elementwise import Additive, Affine, Elementwise, Scale
from waveflow.bijections.lapped import LappedTransform
from waveflow.bijections.long_term import LongTermPredictor
from waveflow.bijections.partition import Channels, Checkerboard, Partition
from waveflow.bijections.reversible import Reversible
from waveflow.bijections.squeeze import Squeeze
from waveflow.moved import former_names

__all__ = [
    "ActNorm",
    "Additive",
    "Affine",
    "Bijection",
    "Chain",
    "Channels",
    "Checkerboard",
    "ContextAffine",
    "Coupling",
    "EarlyOutput",
    "Elementwise",
    "Inverse",
    "InvertibleConv1x1",
    "LappedTransform",
    "LongTermPredictor",
    "PLUConv1x1",
    "Partition",
    "Squeeze",
    "Reversible",
    "Scale",
]

__getattr__ = former_names(__name__)
