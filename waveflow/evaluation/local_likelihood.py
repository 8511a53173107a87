"""The exact log-likelihood of a recording, split into frames."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from waveflow.bijections.base import per_frame
from waveflow.precision import in_single
from waveflow.vocoder import Vocoder


@dataclass(frozen=True)
class LocalLikelihood:
    r"""A log-likelihood, split into frames.

    Attributes:
        nats: nats of each frame, (batch, frames); their sum is ``vocoder.log_prob``.
        surprise: :math:`\tfrac12 \sum (z^2 - 1)` over the latents of each frame, (batch, frames):
            the nats by which the frame is below the average of the vocoder's own samples, given
            the same scales. Near 0 is typical; far above 0 is less likely than the vocoder's
            samples, far below 0 is more likely.
    """

    nats: Tensor
    surprise: Tensor


@torch.no_grad()
def local_log_prob(vocoder: Vocoder, audio: Tensor, mel: Tensor | None = None) -> LocalLikelihood:
    r"""The exact log-likelihood of audio, split into frames without a remainder.

    .. math:: \log p(x) = \sum_t \Big( \underbrace{-\tfrac12 \sum_k
        (z_{kt}^2 + \log 2\pi)}_{\text{base density of step } t}
        + \underbrace{\textstyle\sum_i \ell_{it}}_{\text{its share of } \log|\det J|} \Big)

    An elementwise map (of a coupling, or with parameters from the context alone) has log-scales at
    steps, and they are counted there; those of early outputs are counted at their own steps.
    ActNorm and 1x1 convolutions scale all steps equally, so their log-determinant is spread evenly.
    An ``Inverse`` changes the sign. Each bijection defines its part
    (:meth:`waveflow.bijections.Bijection.local_log_det`). Steps are summed to frames of
    ``hop_length`` samples.

    A part shows how well the vocoder explains the sound near that frame, given the mel. The parts
    are not densities of their own, because the transformation of a step depends on its neighbours,
    and a lapped step covers two hops of its size. A quiet frame has more nats than a loud one,
    because a density grows as its scale shrinks; ``surprise`` leaves the scales out. Neither is a
    measure of quality: the mel of damaged audio contains the damage, and likely audio need not be
    good.

    Args:
        vocoder: the vocoder.
        audio: audio, (batch, time), with ``time`` a multiple of ``hop_length``.
        mel: mel to condition on; None is that of the audio.

    Raises:
        ValueError: as for ``vocoder.log_prob``.
    """
    z, log_det = in_single(_local, vocoder, audio, mel)
    frames = audio.shape[-1] // vocoder.config.mel.hop_length
    energy = per_frame(z.square().sum(1), frames)
    size = z.shape[1] * z.shape[2] // frames
    base = -0.5 * (energy + size * math.log(2 * math.pi))
    return LocalLikelihood(base + per_frame(log_det, frames), 0.5 * (energy - size))


def _local(vocoder: Vocoder, audio: Tensor, mel: Tensor | None) -> tuple[Tensor, Tensor]:
    audio, context = vocoder._with_context(audio, mel)
    return vocoder.flow.bijection.local_log_det(audio, context)
