"""Products of large matrices in several threads, whose bits do not depend on how many there are."""

from collections.abc import Sequence

import torch
from torch import Tensor

from cl_bench.mergers.numerics.side_by_side import side_by_side

ROWS = 128
"""Rows that one thread multiplies at a time: a tenth slower than all at once, and even 768 keep six threads busy."""


def product(left: Tensor, right: Tensor) -> Tensor:
    """(l, m) times (m, n), some rows of ``left`` at a time, side by side."""
    products = list(side_by_side(lambda rows: rows @ right, in_rows(left)))
    return products[0] if len(products) == 1 else torch.cat(products)


def in_rows(matrix: Tensor) -> Sequence[Tensor]:
    """The parts of a matrix, some rows each, that are worked on side by side; on a GPU, the whole."""
    return torch.split(matrix, ROWS) if matrix.device.type == "cpu" else (matrix,)
