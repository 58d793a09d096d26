"""DELLA: drop elements at random, the small ones more often, and rescale the others."""

from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from cl_bench.mergers import TaskBlock
from cl_bench.mergers.engine.sparse import SparseMerger

_SORTED = 2**16
"""Elements in the rows that are sorted at a time: few enough for the cache."""


class Della(SparseMerger):
    """DELLA-Merging: drop by rank of magnitude (MagPrune), elect signs, and average the values that agree.

    1. Drop: in each row of n elements (a vector is one row; of a tensor, what shares its first index), the
       element that comes r-th by magnitude, from 0 for the smallest, is kept with probability
       q = 1 - p + w · (r / (n - 1) - 1/2) and divided by q; a row of one has q = 1 - p.
    2. Elect and fuse: as TIES does, see ``Elected``.

    Equal magnitudes are ranked in their order in the row. The memory is two sums and two counts per
    element, and the ranks of the largest parameter.

    Source: Deep, Bhardwaj and Poria, "DELLA-Merging", arXiv 2406.11617; ranks, probabilities and the example's
    settings as in the authors' code.

    Differs from the publication in: where the sum of the kept values is 0, the authors' code elects the positive sign.
    The random draws are other ones, seeded by (seed, task, parameter name).

    Args:
        scaling: λ.
        drop_rate: p, the mean probability of being dropped.
        window: w, the difference between that of the smallest and that of the largest element; 0 is DARE with TIES.
        seed: Seed of the draws.

    Raises:
        ValueError: ``drop_rate`` is not in [0, 1), or with ``window`` a probability leaves the range from 0 to
            below 1.
    """

    whole_parameters = True

    def __init__(
        self,
        scaling: float = 1.1,
        drop_rate: Annotated[float, Field(ge=0, lt=1)] = 0.3,
        window: Annotated[float, Field(ge=0, lt=1)] = 0.14,
        seed: int = 0,
    ) -> None:
        super().__init__(scaling, "ties")
        if not (window >= 0 and drop_rate - window / 2 >= 0 and drop_rate + window / 2 < 1):
            raise ValueError(
                "drop_rate plus and minus half of the window must be probabilities below 1, "
                f"but drop_rate is {drop_rate} and window {window}"
            )
        self.drop_rate = drop_rate
        self.window = window
        self.seed = seed

    def sparsify(self, block: TaskBlock) -> Tensor:
        """τ_t / q where a draw from [0, 1) is below q."""
        vector = block.vector
        rows = vector.view(block.shape[0], -1) if len(block.shape) > 1 else vector.view(1, -1)
        kept = torch.empty_like(rows)
        at_a_time = max(1, _SORTED // rows.shape[1])
        for own, out in zip(torch.split(rows, at_a_time), torch.split(kept, at_a_time), strict=True):
            kept_with = self._probabilities(own.abs())
            draws = torch.rand(own.shape, dtype=torch.float32, generator=block.generator).to(kept_with)
            torch.div(draws.lt(kept_with).to(own).mul_(own), kept_with, out=out)
        return kept.view(-1)

    def _probabilities(self, magnitudes: Tensor) -> Tensor:
        of_rank = torch.full_like(magnitudes[0], 1 - self.drop_rate)
        if len(of_rank) > 1:
            ranks = torch.arange(len(of_rank), dtype=torch.float64, device=of_rank.device)
            of_rank += (ranks / (len(of_rank) - 1) - 0.5) * self.window
        return torch.empty_like(magnitudes).scatter_(1, _order(magnitudes), of_rank.expand_as(magnitudes))


def _order(magnitudes: Tensor) -> Tensor:
    """Where each row's elements are, from the smallest to the largest; equal ones in their order."""
    if magnitudes.device.type != "cpu" or magnitudes.dtype != torch.float32:
        return magnitudes.argsort(dim=1, stable=True)
    # The bits of non-negative numbers have the order of the numbers. With the position behind them no two keys are
    # equal, and NumPy sorts such keys three times as fast as torch finds a stable order.
    keys = magnitudes.numpy().view(np.uint32).astype(np.uint64)
    keys <<= 32
    keys |= np.arange(magnitudes.shape[1], dtype=np.uint64)
    keys.sort(axis=1)
    keys &= 2**32 - 1
    return torch.from_numpy(keys.view(np.int64))
