"""Average: the mean of the models."""

from typing import ClassVar

from torch import Tensor

from cl_bench.mergers import MergeBlock, Merger, State, TaskBlock


class Average(Merger):
    """θ_0 + λ · ((θ_1 + … + θ_T) / T - θ_0); with λ = 1 the mean of the models.

    The memory is one number per element.

    Source: Wortsman et al., "Model soups", ICML 2022, arXiv 2203.05482 (uniform soup).

    Differs from the publication in: MagMax's published code for domain-incremental streams multiplies the *sum* by 1/2,
    a default that nobody changed, and so moves T/2 times as far; here it is always the mean. As released, it is
    ``merger=task_arithmetic merger.scaling=0.5``.

    Args:
        scaling: λ.
    """

    state: ClassVar = {"sum_of_weights": None}

    def __init__(self, scaling: float = 1.0) -> None:
        super().__init__(scaling)

    def fold(self, state: State, block: TaskBlock) -> None:
        """sum ← sum + θ_t."""
        (total,) = state
        total.add_(block.weights)

    def combine(self, state: State, block: MergeBlock) -> Tensor:
        """sum / T - θ_0."""
        (total,) = state
        return (total / block.tasks).sub_(block.pretrained)
