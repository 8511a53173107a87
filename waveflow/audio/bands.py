"""The bands of spectra, and the gains that bring bands to their levels."""

from __future__ import annotations

import torch
from torch import Tensor

from waveflow.precision import Durable


def levels(spectrum: Tensor, filters: Tensor, *, floor: float, clamp: float) -> Tensor:
    """The log-mel of spectra, (..., frames, bins) -> (..., frames, n_mels).

    Args:
        spectrum: complex, (..., frames, bins).
        filters: (n_mels, bins).
        floor: added to the power before the square root.
        clamp: smallest magnitude of a band.
    """
    if floor:
        magnitude = (spectrum.real.square() + spectrum.imag.square() + floor).sqrt()
    else:
        magnitude = spectrum.abs()
    return (magnitude @ filters.mT).clamp_min(clamp).log()


class Bands(Durable):
    r"""Bands of a mel, and how the bins of a spectrum follow what the bands are wanting.

    Every bin is scaled by the weighted geometric mean of how much its bands are wanting,

    .. math:: X_k \leftarrow X_k \exp\Big( e_k \sum_b w_{kb}\,\big(m_b - \mathrm{mel}_b(X)\big)
              \Big), \qquad w_{kb} = F_{bk} \Big/ \sum_{b'} F_{b'k},

    with the mel's filters :math:`F` and a share :math:`e_k` in [0, 1] of the bin, 1 unless a part
    of the spectrum is left alone.

    Args:
        filters: (bands, bins), of some bands that follow one another.
        rows: which bands of the mel these are.
        floor: added to the power before the square root.
        clamp: smallest magnitude of a band.
        scale: by what magnitudes are multiplied before they are compared with a mel.
        share: (bins,), how far each bin follows; by default, all of the way.
    """

    filters: Tensor
    weights: Tensor

    def __init__(
        self,
        filters: Tensor,
        *,
        rows: slice,
        floor: float,
        clamp: float,
        scale: int = 1,
        share: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.rows, self.clamp = rows, clamp
        self.floor = floor / scale**2
        weights = filters / filters.sum(0).clamp_min(torch.finfo(filters.dtype).tiny)
        weights = weights if share is None else weights * share.to(weights)
        self.register_buffer(
            "filters", filters if scale == 1 else filters * scale, persistent=False
        )
        self.register_buffer("weights", weights, persistent=False)

    @property
    def bins(self) -> int:
        """Bins that a band sees; those above stay as they are."""
        return self.filters.shape[1]

    def gain(self, spectrum: Tensor, mel: Tensor) -> Tensor:
        """What bins are multiplied by, less 1.

        Args:
            spectrum: complex, (..., frames, bins).
            mel: natural log, of these bands alone, (..., frames, bands).

        Returns:
            (..., frames, bins).
        """
        present = levels(spectrum, self.filters, floor=self.floor, clamp=self.clamp)
        return ((mel - present) @ self.weights).expm1()
