"""Products of large matrices in several threads, with bits that do not depend on their number."""

from collections.abc import Sequence

import torch
from torch import Tensor

from cl_bench.mergers.numerics.side_by_side import side_by_side

ROWS = 192
"""Rows that one thread multiplies at a time. That is a twentieth slower than all rows at once, but a matrix of 768 rows
keeps four threads busy."""


def product(left: Tensor, right: Tensor, out: Tensor | None = None) -> Tensor:
    """Multiplies (l, m) by (m, n): groups of rows of ``left``, side by side; into ``out``, if that is given."""
    out = left.new_empty(left.shape[0], right.shape[1]) if out is None else out
    list(side_by_side(lambda rows: torch.mm(rows[0], right, out=rows[1]), _groups(left, out)))
    return out


def add_product(left: Tensor, right: Tensor, total: Tensor) -> None:
    """Adds the same product to ``total``."""
    list(side_by_side(lambda rows: torch.addmm(rows[1], rows[0], right, out=rows[1]), _groups(left, total)))


def _groups(left: Tensor, total: Tensor) -> Sequence[tuple[Tensor, Tensor]]:
    return list(zip(in_rows(left), in_rows(total), strict=True))


def in_rows(matrix: Tensor) -> Sequence[Tensor]:
    """Cuts a matrix into groups of rows to work on side by side; on a GPU it stays whole."""
    return torch.split(matrix, ROWS) if matrix.device.type == "cpu" else (matrix,)
