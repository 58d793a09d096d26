"""Products of large matrices in several threads, with bits that do not depend on their number."""

from collections.abc import Sequence

import torch
from torch import Tensor

from cl_bench.mergers.numerics.side_by_side import side_by_side

ROWS = 128
"""Rows that one thread multiplies at a time. That is a tenth slower than all rows at once, but a matrix of 768 rows
keeps six threads busy."""


def product(left: Tensor, right: Tensor) -> Tensor:
    """Multiplies (l, m) by (m, n): groups of rows of ``left``, side by side."""
    products = list(side_by_side(lambda rows: rows @ right, in_rows(left)))
    return products[0] if len(products) == 1 else torch.cat(products)


def in_rows(matrix: Tensor) -> Sequence[Tensor]:
    """Cuts a matrix into groups of rows to work on side by side; on a GPU it stays whole."""
    return torch.split(matrix, ROWS) if matrix.device.type == "cpu" else (matrix,)
