"""Matrix products of rows that do not depend on how many rows come at a time."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def product(total: Tensor, rows: Tensor, weight: Tensor) -> Tensor:
    """``total + rows @ weight``, each row of it the same bits however many there are.

    A library of matrix products takes other ways, which round otherwise, for a few rows than for
    many. Where each row is to be the same in a stream as in the whole, few are made more.

    Args:
        total: (steps, out) or (out,).
        rows: (steps, in).
        weight: (in, out).
    """
    missing = missing_rows(rows)
    if not missing:
        return torch.addmm(total, rows, weight)
    if total.dim() == 2:
        total = functional.pad(total, (0, 0, 0, missing))
    return torch.addmm(total, functional.pad(rows, (0, 0, 0, missing)), weight)[: len(rows)]


def add_product(total: Tensor, rows: Tensor, weight: Tensor) -> None:
    """Add ``rows @ weight`` to ``total``, likewise."""
    if missing_rows(rows):
        total.copy_(product(total, rows, weight))
    else:
        torch.addmm(total, rows, weight, out=total)


def missing_rows(rows: Tensor) -> int:
    """How many rows more it takes for a product to go the way of many: none for none, and none on
    a GPU, where no number of rows makes sure of it.
    """
    if not len(rows) or rows.device.type != "cpu":
        return 0
    return max(16 * torch.get_num_threads() - len(rows), 0)
