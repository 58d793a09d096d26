"""Average: the mean of the task vectors."""

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor

from cl_bench.mergers.base import Merger
from cl_bench.mergers.blocks import Array, MergeBlock, State, TaskBlock, sum_of_vectors


class Average(Merger):
    """θ_0 + λ · (τ_1 + … + τ_T) / T; with λ = 1 the mean of the models.

    Source: Wortsman et al., "Model soups", ICML 2022, arXiv 2203.05482 (uniform soup).

    Differs from the publication in: MagMax's published code for domain-incremental streams scales the
    *sum* by 1/2, a default that was never set; here it is always the mean.

    Args:
        scaling: λ.
    """

    state: ClassVar = {"sum": None}
    carries_nan = True

    def __init__(self, scaling: float = 1.0) -> None:
        super().__init__(scaling)

    def fold(self, state: State, block: TaskBlock) -> None:
        """sum ← sum + τ_t."""
        (total,) = state
        total.add_(block.vector)

    def combine(self, state: State, block: MergeBlock) -> Tensor:
        """sum / T."""
        (total,) = state
        return total / block.tasks

    def combine_at_once(self, pretrained: Array, weights: Sequence[Array]) -> Array:
        """The same, without a state between tasks."""
        total = sum_of_vectors(pretrained, weights)
        total /= len(weights)
        return total
