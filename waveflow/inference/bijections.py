"""Frozen bijections: the way from latent to audio as a list of stages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import singledispatch
from typing import cast

import torch
from torch import Tensor

from waveflow.bijections import (
    ActNorm,
    Bijection,
    Chain,
    ContextAffine,
    Coupling,
    EarlyOutput,
    Inverse,
    InvertibleConv1x1,
    Lapped,
    LongTermPredictor,
    PLUConv1x1,
    Polyphase,
)
from waveflow.bijections.lapped import dct4
from waveflow.inference.conditioners import freeze_conditioner
from waveflow.inference.coupling import ContextMoving, Early, Moving
from waveflow.inference.lapping import Blocks, Rotation, Samples
from waveflow.inference.linear import Linear
from waveflow.inference.long_term import LongTerm
from waveflow.inference.rows import Stage, Stages
from waveflow.inference.weights import pointwise


@dataclass(frozen=True)
class Place:
    """Where on the way from latent to audio a stage stands.

    Attributes:
        step: samples of audio for each step there.
        context_row: samples of audio for each row of the context.
        like: a tensor, for precision and device.
    """

    step: int
    context_row: int
    like: Tensor

    @property
    def ratio(self) -> int:
        """Steps for each row of the context."""
        return self.context_row // self.step


@singledispatch
def freeze_inverse(bijection: Bijection, place: Place) -> tuple[list[Stage], Place]:
    """The inverse of a bijection as stages, and where they lead.

    Args:
        bijection: any that a builder uses.
        place: that of its ``z``.

    Raises:
        TypeError: no frozen form is known of this kind of bijection.
    """
    raise TypeError(f"no frozen form is known of {type(bijection).__name__}")


@singledispatch
def freeze_forward(bijection: Bijection, place: Place) -> tuple[list[Stage], Place]:
    """Likewise the forward direction, which synthesis takes where it meets an ``Inverse``."""
    raise TypeError(f"no frozen form is known of {type(bijection).__name__}, run forward")


@freeze_inverse.register
def _(bijection: Chain, place: Place) -> tuple[list[Stage], Place]:
    stages: list[Stage] = []
    for part in reversed(bijection.bijections):
        found, place = freeze_inverse(cast(Bijection, part), place)
        stages += found
    return merged(stages), place


@freeze_inverse.register
def _(bijection: Inverse, place: Place) -> tuple[list[Stage], Place]:
    return freeze_forward(bijection.bijection, place)


@freeze_inverse.register
def _(bijection: Polyphase, place: Place) -> tuple[list[Stage], Place]:
    return [Samples(bijection.groups)], replace(place, step=1)


@freeze_inverse.register
def _(bijection: Lapped, place: Place) -> tuple[list[Stage], Place]:
    groups = bijection.groups
    stages: list[Stage] = [
        _dct4(groups, place.like),
        Samples(groups),
        Rotation(groups, -1, place.like),
    ]
    return stages, replace(place, step=1)


@freeze_forward.register
def _(bijection: Lapped, place: Place) -> tuple[list[Stage], Place]:
    groups = bijection.groups
    stages: list[Stage] = [
        Rotation(groups, 1, place.like),
        Blocks(groups),
        _dct4(groups, place.like),
    ]
    return stages, replace(place, step=groups)


@freeze_inverse.register
def _(bijection: ActNorm, place: Place) -> tuple[list[Stage], Place]:
    log_scale, shift = bijection.log_scale.detach().double(), bijection.shift.detach().double()
    return [Linear((-log_scale[:, 0]).exp(), -shift[:, 0], place.like)], place


@freeze_inverse.register(InvertibleConv1x1)
@freeze_inverse.register(PLUConv1x1)
def _(bijection: InvertibleConv1x1 | PLUConv1x1, place: Place) -> tuple[list[Stage], Place]:
    inverse = torch.linalg.inv(bijection.matrix().detach().double()).T
    return [Linear(inverse, inverse.new_zeros(len(inverse)), place.like)], place


@freeze_inverse.register
def _(bijection: EarlyOutput, place: Place) -> tuple[list[Stage], Place]:
    rest, place = freeze_inverse(bijection.rest, place)
    return [Early(bijection.channels, Stages(rest))], place


@freeze_inverse.register
def _(bijection: Coupling, place: Place) -> tuple[list[Stage], Place]:
    conditioner = freeze_conditioner(bijection.conditioner, place.ratio)
    return [Moving(bijection.partition, conditioner, bijection.elementwise)], place


@freeze_inverse.register
def _(bijection: LongTermPredictor, place: Place) -> tuple[list[Stage], Place]:
    return [LongTerm(bijection, place.like)], place


@freeze_inverse.register
def _(bijection: ContextAffine, place: Place) -> tuple[list[Stage], Place]:
    parameters = Linear(*pointwise(bijection.network), place.like)
    return [ContextMoving(parameters, bijection.elementwise, place.ratio)], place


def merged(stages: Sequence[Stage]) -> list[Stage]:
    """The same with neighbouring linear maps made one."""
    result: list[Stage] = []
    for stage in stages:
        if result and isinstance(stage, Linear) and isinstance(result[-1], Linear):
            result[-1] = result[-1].then(stage)
        else:
            result.append(stage)
    return result


def _dct4(groups: int, like: Tensor) -> Linear:
    matrix = dct4(groups, torch.float64, torch.device("cpu")).to(like.device)
    return Linear(matrix, matrix.new_zeros(groups), like)
