"""Operations on latents: interpolation, scaling and exchange of bands, moves along a direction.

Latents are (..., channels, steps) as ``vocoder.encode`` returns them, standard normal under the
model. Glow (https://arxiv.org/abs/1807.03039, section 6) does the same with latents of images. All
functions are pure, and compute in the precision of their arguments. Most models mix channels, as
by 1x1 convolutions, so a channel of their latent is not a frequency band.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from waveflow.checks import real, tensor, whole


def cut_to_shortest(latents: Sequence[Tensor]) -> list[Tensor]:
    """Cut latents (..., channels, steps) to the number of steps of the shortest.

    Raises:
        ValueError: no latents, or different numbers of channels.
    """
    if not latents:
        raise ValueError("expected latents; got none")
    shapes = {tensor(z, "latent").shape[:-1] for z in latents}
    if len(shapes) > 1:
        raise ValueError(
            f"expected latents of one vocoder, equal but for their steps; got {sorted(shapes)}"
        )
    steps = min(z.shape[-1] for z in latents)
    return [z[..., :steps] for z in latents]


def interpolate(one: Tensor, other: Tensor, fraction: float) -> Tensor:
    r"""A point on the great circle between two latents.

    With the angle :math:`\omega = \arccos \frac{\langle a, b\rangle}{|a|\,|b|}` and
    :math:`r = (1 - t)\,|a| + t\,|b|`,

    .. math:: z_t = r\,\Big(\frac{\sin (1 - t)\omega}{\sin\omega}\,\frac{a}{|a|}
              + \frac{\sin t\omega}{\sin\omega}\,\frac{b}{|b|}\Big), \qquad |z_t| = r .

    The norm of a latent is near the square root of its size. On a straight line between two
    latents it is smaller: half way, the variance is 1/2. On the circle the variance stays 1. At 0
    and 1 the result is ``one`` and ``other``, exactly.

    Shoemake, *Animating rotation with quaternion curves*, SIGGRAPH 1985; White, *Sampling
    generative networks* (https://arxiv.org/abs/1609.04468).

    Args:
        one: The latent at 0, (channels, steps), or of any other shape, as one point.
        other: The latent at 1, of the same shape.
        fraction: The fraction t of the way, from 0 to 1.

    Raises:
        ValueError: shapes that differ, a fraction out of range, a latent that is 0 everywhere, or
            opposite latents, between which the shortest path is not unique.

    >>> import torch
    >>> half = interpolate(torch.tensor([2.0, 0.0]), torch.tensor([0.0, 2.0]), 0.5)
    >>> round(half.norm().item(), 5)
    2.0
    """
    _check_same(one, other)
    fraction = real(fraction, "fraction")
    if not 0 <= fraction <= 1:
        raise ValueError(f"expected a fraction from 0 to 1; got {fraction}")
    norms = one.norm(), other.norm()
    if not all(norms):
        raise ValueError("expected latents that are not 0 everywhere; got one that is")
    a, b = one / norms[0], other / norms[1]
    angle = 2 * torch.atan2((a - b).norm(), (a + b).norm())  # precise for small angles as well
    if torch.pi - angle < 1e-3:
        raise ValueError("expected latents that are not opposite; got one and its negative")
    norm = (1 - fraction) * norms[0] + fraction * norms[1]
    if angle < 1e-3:  # the circle is a line, to single precision
        weights = angle.new_tensor(1.0 - fraction), angle.new_tensor(fraction)
    else:
        weights = (
            ((1 - fraction) * angle).sin() / angle.sin(),
            (fraction * angle).sin() / angle.sin(),
        )
    return weights[0] * norm / norms[0] * one + weights[1] * norm / norms[1] * other


def scale_band(z: Tensor, first: int, stop: int, factor: float) -> Tensor:
    """Scale a band of channels.

    Args:
        z: The latent, (..., channels, steps).
        first: First channel of the band.
        stop: Last channel of the band, plus 1.
        factor: Factor of the band: 0 sets it to its mode, below 1 reduces its variation, 1 leaves
            it as it is. The reciprocal undoes it.

    Raises:
        ValueError: a band that is not within the channels.
    """
    _check_band(z, first, stop)
    scales = z.new_ones(z.shape[-2], 1)
    scales[first:stop] = real(factor, "factor")
    return z * scales


def swap_band(z: Tensor, other: Tensor, first: int, stop: int) -> Tensor:
    """Replace a band of channels by that of another latent.

    Args:
        z: The latent, (..., channels, steps).
        other: The latent with the new band, of the same shape.
        first: First channel of the band.
        stop: Last channel of the band, plus 1.

    Raises:
        ValueError: a band that is not within the channels, or shapes that differ.
    """
    _check_same(z, other)
    _check_band(z, first, stop)
    swapped = z.clone()
    swapped[..., first:stop, :] = other[..., first:stop, :]
    return swapped


def direction(group: Sequence[Tensor], other: Sequence[Tensor]) -> Tensor:
    r"""The direction from one group of latents to another, :math:`\bar z_\text{other} - \bar z`.

    All latents are cut to the shortest first; the means are elementwise. For groups of one latent
    it is the difference of the two. The latents of different recordings are nearly independent, so
    the mean of n of them has a variance near 1/n, and the mean of a large group is what the group
    has in common.

    Args:
        group: The latents of the first group, (channels, steps) each, with any numbers of steps.
        other: The latents of the second group, (channels, steps) each, with any numbers of steps.

    Returns:
        The direction, (channels, steps of the shortest).

    Raises:
        ValueError: an empty group, or different numbers of channels.
    """
    if not group or not other:
        raise ValueError("expected at least one latent in each group; got an empty group")
    cut = cut_to_shortest([*group, *other])
    return torch.stack(cut[len(group) :]).mean(0) - torch.stack(cut[: len(group)]).mean(0)


def move(z: Tensor, direction: Tensor, amount: float, *, keep_norm: bool = False) -> Tensor:
    r"""A latent moved along a direction, :math:`z + \alpha d`.

    Args:
        z: The latent, (channels, steps).
        direction: The direction, of the same shape (see :func:`cut_to_shortest`).
        amount: The factor :math:`\alpha`; its negative undoes the move.
        keep_norm: Whether the result is scaled to the norm of ``z``, which keeps the variance.

    Raises:
        ValueError: shapes that differ.
    """
    _check_same(z, direction)
    moved = z + real(amount, "amount") * direction
    if not keep_norm:
        return moved
    norm = moved.norm()
    return moved * (z.norm() / norm) if norm else moved


def _check_same(one: Tensor, other: Tensor) -> None:
    tensor(one, "latent")
    tensor(other, "latent")
    if one.shape != other.shape:
        raise ValueError(
            f"expected latents of the same shape; got {tuple(one.shape)} and "
            f"{tuple(other.shape)}: cut_to_shortest cuts them"
        )


def _check_band(z: Tensor, first: int, stop: int) -> None:
    channels = tensor(z, "latent").shape[-2]
    first, stop = whole(first, "first channel"), whole(stop, "last channel")
    if not 0 <= first < stop <= channels:
        raise ValueError(
            f"expected a band of channels within 0 to {channels}; got {first} to {stop}"
        )
