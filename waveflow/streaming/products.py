"""Matrix products whose rows do not depend on the number of rows."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def product(total: Tensor, rows: Tensor, weight: Tensor) -> Tensor:
    """``total + rows @ weight``; each row has the same bits for any number of rows.

    BLAS uses different kernels for few rows and for many, and they round differently. A stream
    must give the same rows as the whole signal, so few rows are padded to many.

    Args:
        total: What the product is added to, (steps, out) or (out,).
        rows: The rows, (steps, in).
        weight: The matrix, (in, out).
    """
    padding = padding_rows(rows)
    if not padding:
        return torch.addmm(total, rows, weight)
    if total.dim() == 2:
        total = functional.pad(total, (0, 0, 0, padding))
    return torch.addmm(total, functional.pad(rows, (0, 0, 0, padding)), weight)[: len(rows)]


def add_product(total: Tensor, rows: Tensor, weight: Tensor) -> None:
    """Add ``rows @ weight`` to ``total`` in place, with the same bits as ``product``."""
    if padding_rows(rows):
        total.copy_(product(total, rows, weight))
    else:
        torch.addmm(total, rows, weight, out=total)


def padding_rows(rows: Tensor) -> int:
    """Rows of padding that BLAS needs to use its kernel for many rows.

    0 for an empty input, and on a GPU, where no number of rows guarantees the same kernel.
    """
    if not len(rows) or rows.device.type != "cpu":
        return 0
    return max(16 * torch.get_num_threads() - len(rows), 0)
