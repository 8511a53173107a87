"""The bands of spectra, and the gains that set bands to given levels."""

from __future__ import annotations

import torch
from torch import Tensor

from waveflow.precision import Durable


def levels(spectrum: Tensor, filters: Tensor, *, floor: float, clamp: float) -> Tensor:
    """The log-mel of spectra, (..., frames, bins) -> (..., frames, n_mels).

    Args:
        spectrum: complex spectra, (..., frames, bins).
        filters: filters of the bands, (n_mels, bins).
        floor: value added to the power before the square root.
        clamp: smallest magnitude of a band.
    """
    if floor:
        magnitude = (spectrum.real.square() + spectrum.imag.square() + floor).sqrt()
    else:
        magnitude = spectrum.abs()
    return (magnitude @ filters.mT).clamp_min(clamp).log()


class Bands(Durable):
    r"""Bands of a mel, and the gains of bins that move the bands to given levels.

    Every bin is scaled by the weighted geometric mean of the ratios of target and present level
    over its bands,

    .. math:: X_k \leftarrow X_k \exp\Big( e_k \sum_b w_{kb}\,\big(m_b - \mathrm{mel}_b(X)\big)
              \Big), \qquad w_{kb} = F_{bk} \Big/ \sum_{b'} F_{b'k},

    with the mel's filters :math:`F` and a share :math:`e_k` in [0, 1] of the bin, 1 unless a part
    of the spectrum is to stay unchanged.

    Args:
        filters: filters of consecutive bands, (bands, bins).
        rows: positions of these bands in the mel.
        floor: value added to the power before the square root.
        clamp: smallest magnitude of a band.
        scale: factor of the magnitudes before they are compared with a mel.
        share: :math:`e_k` of each bin, (bins,); None is 1 for all.
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
        """Number of bins that a band sees; bins above stay unchanged."""
        return self.filters.shape[1]

    def gain(self, spectrum: Tensor, mel: Tensor) -> Tensor:
        """The factor of each bin, minus 1.

        Args:
            spectrum: complex spectra, (..., frames, bins).
            mel: target levels of these bands, natural log, (..., frames, bands).

        Returns:
            (..., frames, bins).
        """
        present = levels(spectrum, self.filters, floor=self.floor, clamp=self.clamp)
        return ((mel - present) @ self.weights).expm1()
