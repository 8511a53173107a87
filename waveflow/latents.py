"""Moves in the space of latents: between recordings, in bands, along a direction.

Latents are (..., channels, steps) as ``vocoder.encode`` gives them, standard normal under the
model; Glow (https://arxiv.org/abs/1807.03039, section 6) moves those of pictures alike. All
functions are pure, and compute in the precision of what they are given. A mixing of channels, as
by 1x1 convolutions, stands before the latent of most models: a channel is then no frequency band.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from waveflow.checks import real, tensor, whole


def cut_to_shortest(latents: Sequence[Tensor]) -> list[Tensor]:
    """The same number of steps of each, from the first on: (..., channels, steps) -> likewise.

    Raises:
        ValueError: none at all, or different numbers of channels.
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

    A latent has a norm near the square root of its size, and a straight line between two would cut
    the corner: half way, its variance is 1/2. On the circle it stays 1. At 0 and 1 the result
    is ``one`` and ``other``, exactly.

    Shoemake, *Animating rotation with quaternion curves*, SIGGRAPH 1985; White, *Sampling
    generative networks* (https://arxiv.org/abs/1609.04468).

    Args:
        one: (channels, steps), or any shape: all of it is one point.
        other: likewise, of the same shape.
        fraction: t, from 0 to 1.

    Raises:
        ValueError: shapes that differ, a fraction out of range, a latent that is 0 everywhere, or
            two that are opposite, between which no great circle is the shortest.

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
        raise ValueError("expected latents of which none is 0 everywhere; got one that is")
    a, b = one / norms[0], other / norms[1]
    angle = 2 * torch.atan2((a - b).norm(), (a + b).norm())  # precise for small angles, too
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
    """Channels from ``first`` to before ``stop`` times a factor; the others as they are.

    Args:
        z: (..., channels, steps).
        first: of the band.
        stop: behind it.
        factor: 0 puts the band on its mode, below 1 calms it, 1 leaves it; its inverse undoes it.

    Raises:
        ValueError: no such band.
    """
    _check_band(z, first, stop)
    scales = z.new_ones(z.shape[-2], 1)
    scales[first:stop] = real(factor, "factor")
    return z * scales


def swap_band(z: Tensor, other: Tensor, first: int, stop: int) -> Tensor:
    """Channels from ``first`` to before ``stop`` of another latent; the rest of ``z``.

    Args:
        z: (..., channels, steps).
        other: likewise, of the same shape.
        first: of the band.
        stop: behind it.

    Raises:
        ValueError: no such band, or shapes that differ.
    """
    _check_same(z, other)
    _check_band(z, first, stop)
    swapped = z.clone()
    swapped[..., first:stop, :] = other[..., first:stop, :]
    return swapped


def direction(group: Sequence[Tensor], other: Sequence[Tensor]) -> Tensor:
    r"""The way from one group of latents to another, :math:`\bar z_\text{other} - \bar z`.

    All are cut to the shortest first; the difference is that of the means, element by element. Of
    groups of one it is the chord between the two. Latents of n recordings have little in
    common, so each mean has a variance near 1/n: what is left of it in a large group is what
    the group shares.

    Args:
        group: latents, (channels, steps) each, of any numbers of steps.
        other: likewise.

    Returns:
        (channels, steps of the shortest).

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
        z: (channels, steps).
        direction: likewise, of the same shape (see :func:`cut_to_shortest`).
        amount: :math:`\alpha`; its negative undoes it.
        keep_norm: bring the result back to the norm of ``z``, so that the variance stays.

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
