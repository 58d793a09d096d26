"""How exactly products of float32 matrices are computed."""

import contextlib
from collections.abc import Iterator
from typing import Literal

import torch

MatmulPrecision = Literal["highest", "high"]
"""PyTorch's names: `highest` is float32, `high` is TF32, 10 bits of each factor's mantissa, on a GPU that has it."""


@contextlib.contextmanager
def float32_products(precision: MatmulPrecision) -> Iterator[None]:
    """Within the block, products of float32 matrices have this precision; afterwards, the one that they had before."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
