"""Where in a recording its exact log-likelihood comes from."""

from __future__ import annotations

import math
from dataclasses import dataclass
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
    LongTermPredictor,
    PLUConv1x1,
)
from waveflow.bijections.base import zero_log_det
from waveflow.bijections.elementwise import Elementwise
from waveflow.checks import floating
from waveflow.precision import full_precision, in_single
from waveflow.vocoder import Vocoder


@dataclass(frozen=True)
class LocalLikelihood:
    r"""Parts of a log-likelihood, a frame each.

    Attributes:
        nats: (batch, frames); its sum over the frames is ``vocoder.log_prob``.
        surprise: (batch, frames), :math:`\tfrac12 \sum (z^2 - 1)` over the latents of the frame:
            how many nats the frame has less than the vocoder's own draws have on average, given
            the same scales. Near 0 is what the vocoder expects; far above, stranger than its
            draws; far below, more ordinary than they are.
    """

    nats: Tensor
    surprise: Tensor


@torch.no_grad()
def local_log_prob(vocoder: Vocoder, audio: Tensor, mel: Tensor | None = None) -> LocalLikelihood:
    r"""The exact log-likelihood of audio, split into frames without a rest.

    .. math:: \log p(x) = \sum_t \Big( \underbrace{-\tfrac12 \sum_k
        (z_{kt}^2 + \log 2\pi)}_{\text{base density of step } t}
        + \underbrace{\textstyle\sum_i \ell_{it}}_{\text{its share of } \log|\det J|} \Big)

    An elementwise map (of a coupling, or steered by the context alone) has its log-scales at steps,
    and they are counted there, those of early outputs at their own steps. ActNorm and 1x1
    convolutions scale every step alike: their log-determinant is spread evenly. An ``Inverse``
    changes the sign. Steps are summed to frames of ``hop_length`` samples.

    What a part means: how well the vocoder, which has seen the mel, accounts for the sound near
    that frame. What it does not: the parts are no densities of their own, for each step is
    transformed by what it sees of its neighbours, and a lapped step sees two hops of its size. A
    quiet frame has more nats than a loud one, for a density rises as its scale falls;
    ``surprise`` leaves the scales out. Neither is a measure of quality, nor proof of anything: the
    mel that is given carries the damage, too, and what is likely need not be good.

    Args:
        vocoder: any.
        audio: (batch, time), ``time`` a multiple of ``hop_length``.
        mel: the mel to condition on; by default that of the audio itself.

    Raises:
        ValueError: as ``vocoder.log_prob``.
        TypeError: the vocoder has a bijection whose parts are not known.
    """
    hop_length = vocoder.config.mel.hop_length
    audio = floating(audio, "audio", "(batch, time)")
    frames, rest = divmod(audio.shape[-1], hop_length)
    if rest:
        raise ValueError(
            f"audio: expected a floating-point tensor of shape (batch, time) with time a multiple "
            f"of {hop_length}; got {audio.dtype} {tuple(audio.shape)}"
        )
    mel = vocoder.mel(audio)[..., :frames] if mel is None else mel
    z, log_det = in_single(_local, vocoder, audio, mel)
    energy = per_frame(z.square().sum(1), frames)
    size = z.shape[1] * z.shape[2] // frames
    base = -0.5 * (energy + size * math.log(2 * math.pi))
    return LocalLikelihood(base + per_frame(log_det, frames), 0.5 * (energy - size))


def per_frame(values: Tensor, frames: int) -> Tensor:
    """Sums of neighbours, or even shares: (batch, n) -> (batch, frames), of the same total.

    Raises:
        ValueError: neither of ``n`` and ``frames`` is a multiple of the other.
    """
    count = values.shape[-1]
    if count % frames == 0:
        return values.unflatten(-1, (frames, count // frames)).sum(-1)
    if frames % count == 0:
        share = frames // count
        return values.repeat_interleave(share, dim=-1) / share
    raise ValueError(f"expected a multiple or a divisor of {frames} steps; got {count}")


@singledispatch
def local_log_det(bijection: Bijection, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
    """What a bijection makes of ``x``, and the parts of its log-determinant.

    A new bijection that does not preserve volume registers its own way.

    Args:
        bijection: any that is known here.
        x: data, (batch, ...).
        context: its context.

    Returns:
        ``z``, and the parts (batch, n): n is the number of steps at which they arise, or 1 for a
        whole that is spread evenly; they add up to ``log_det``.

    Raises:
        TypeError: it is not known where the log-determinant arises.
    """
    if not bijection.volume_preserving:
        raise TypeError(
            f"expected a bijection whose log-determinant has known parts; "
            f"got {type(bijection).__name__}: register it with local_log_det"
        )
    return bijection(x, context)[0], zero_log_det(x)[:, None]


@local_log_det.register(ActNorm)
@local_log_det.register(InvertibleConv1x1)
@local_log_det.register(PLUConv1x1)
def _(bijection: Bijection, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
    """The same at every step."""
    z, log_det = bijection(x, context)
    return z, log_det[:, None]


@local_log_det.register
def _(bijection: Elementwise, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
    """Each step as if it were an example of its own."""
    z, _ = bijection(x, context)
    batch, _, steps = x.shape
    _, log_det = bijection(_apart(x), None if context is None else _apart(context))
    return z, log_det.view(batch, steps)


@local_log_det.register
def _(bijection: LongTermPredictor, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
    """A gain for each block of samples."""
    return bijection(x, context)[0], bijection.local_log_det(x, context)


@local_log_det.register
def _(bijection: Chain, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
    total = zero_log_det(x)[:, None]
    for part in bijection.bijections:
        x, log_det = local_log_det(cast(Bijection, part), x, context)
        total = _sum(total, log_det)
    return x, total


@local_log_det.register
def _(bijection: Inverse, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
    z = bijection.bijection.inverse(x, context)
    return z, -local_log_det(bijection.bijection, z, context)[1]


@local_log_det.register
def _(bijection: EarlyOutput, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
    early, late = x[:, : bijection.channels], x[:, bijection.channels :]
    z, log_det = local_log_det(bijection.rest, late, context)
    return torch.cat([early, z], dim=1), log_det


@local_log_det.register
def _(bijection: Coupling, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
    kept, moved = bijection.partition.split(x)
    parameters = bijection.conditioner(kept, context)
    with full_precision(x):
        moved, log_det = local_log_det(bijection.elementwise, moved, parameters)
    return bijection.partition.merge(kept, moved), log_det


@local_log_det.register
def _(bijection: ContextAffine, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
    parameters = bijection.network(context)
    parameters = parameters.repeat_interleave(x.shape[-1] // parameters.shape[-1], dim=-1)
    with full_precision(x):
        return local_log_det(bijection.elementwise, x, parameters)


def _local(vocoder: Vocoder, audio: Tensor, mel: Tensor) -> tuple[Tensor, Tensor]:
    like = next(vocoder.parameters())
    context = vocoder.context_net(mel.to(like))
    return local_log_det(vocoder.flow.bijection, audio.to(like), context)


def _apart(x: Tensor) -> Tensor:
    """(batch, channels, steps) -> (batch * steps, channels, 1)."""
    return x.transpose(1, 2).flatten(0, 1)[..., None]


def _sum(one: Tensor, other: Tensor) -> Tensor:
    """Parts (batch, n) and (batch, m) added, at the finer of the two rates."""
    steps = max(one.shape[-1], other.shape[-1])
    return per_frame(one, steps) + per_frame(other, steps)
