"""Average: the mean of the models."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from torch import Tensor

from cl_bench.mergers.engine.base import Merger
from cl_bench.mergers.engine.blocks import Array, MergeBlock, State, TaskBlock


class Average(Merger):
    """θ_0 + λ · ((θ_1 + … + θ_T) / T - θ_0); with λ = 1 the mean of the models.

    The memory is one number per element.

    Source: Wortsman et al., "Model soups", ICML 2022, arXiv 2203.05482 (uniform soup).

    Differs from the publication in: MagMax's published code for domain-incremental streams scales the
    *sum* by 1/2, a default that was never set, and so moves T/2 times as far; here it is always the mean. As released:
    ``merger=task_arithmetic merger.scaling=0.5``.

    Args:
        scaling: λ.
    """

    state: ClassVar = {"sum_of_weights": None}
    carries_nan = True

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

    def combine_at_once(self, pretrained: Array, weights: Sequence[Array], out: Array) -> None:
        """The same, without a state between tasks."""
        total = weights[0]
        for own in weights[1:]:
            total = np.add(total, own, out=out)
        np.divide(total, len(weights), out=out)
        out -= pretrained
