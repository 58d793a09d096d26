"""DARE: drop elements at random, and rescale the others."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from cl_bench.mergers import TaskBlock
from cl_bench.mergers.engine.sparse import CombinationName, SparseMerger


class Dare(SparseMerger):
    """Drop each element of each task vector with probability p, and divide the others by 1 - p.

    What is left is summed, averaged over all tasks, or merged as by TIES, see ``Elected``. The memory is one number per
    element; with TIES it is two sums and two counts.

    Source: Yu et al., "Language Models are Super Mario", ICML 2024, arXiv 2311.03099.

    Differs from the publication in: the authors' TIES also trims what is left to the largest 20 % of the
    whole vector; here nothing is trimmed. For p ≥ 0.8 that is about the same, since no more is left. The random draws
    are other ones, seeded by (seed, task, parameter name).

    Args:
        scaling: λ.
        drop_rate: p.
        combination: What is done with what is left: "sum", "mean" or "ties".
        seed: Seed of the draws.

    Raises:
        ValueError: ``drop_rate`` is not in [0, 1), or ``combination`` is unknown.
    """

    def __init__(
        self,
        scaling: float = 1.0,
        drop_rate: Annotated[float, Field(ge=0, lt=1)] = 0.9,
        combination: CombinationName = "sum",
        seed: int = 0,
    ) -> None:
        super().__init__(scaling, combination)
        if not 0 <= drop_rate < 1:
            raise ValueError(f"drop_rate must be at least 0 and below 1, but is {drop_rate}")
        self.drop_rate = drop_rate
        self.seed = seed

    def sparsify(self, block: TaskBlock) -> Tensor:
        """τ_t / (1 - p) where a draw from [0, 1) is at least p."""
        draws = torch.rand(block.vector.shape, dtype=torch.float32, generator=block.generator)
        return draws.ge_(self.drop_rate).to(block.vector).mul_(block.vector).div_(1 - self.drop_rate)
