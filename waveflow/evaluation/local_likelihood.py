"""Where in a recording its exact log-likelihood comes from."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from waveflow.bijections.base import per_frame
from waveflow.checks import floating
from waveflow.precision import in_single
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
    changes the sign. Each bijection tells (:meth:`waveflow.bijections.Bijection.local_log_det`).
    Steps are summed to frames of ``hop_length`` samples.

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


def _local(vocoder: Vocoder, audio: Tensor, mel: Tensor) -> tuple[Tensor, Tensor]:
    like = next(vocoder.parameters())
    context = vocoder.context_net(mel.to(like))
    return vocoder.flow.bijection.local_log_det(audio.to(like), context)
