"""Products of large matrices in several threads, with bits that do not depend on their number."""

from collections.abc import Sequence

import torch
from torch import Tensor

from cl_bench.mergers.numerics.side_by_side import side_by_side

ROWS = 192
"""Rows that one thread multiplies at a time. That is a twentieth slower than all rows at once, but a matrix of 768 rows
keeps four threads busy."""


def product(left: Tensor, right: Tensor) -> Tensor:
    """Multiplies (l, m) by (m, n): groups of rows of ``left``, side by side."""
    if left.device.type != "cpu":
        return left @ right
    result = left.new_empty(left.shape[0], right.shape[1])
    groups = list(zip(in_rows(left), in_rows(result), strict=True))
    list(side_by_side(lambda group: torch.mm(group[0], right, out=group[1]), groups))
    return result


def in_rows(matrix: Tensor) -> Sequence[Tensor]:
    """Cuts a matrix into groups of rows to work on side by side; on a GPU it stays whole."""
    return torch.split(matrix, ROWS) if matrix.device.type == "cpu" else (matrix,)
