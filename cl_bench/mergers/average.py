"""Average: the mean of the models."""

import math
from typing import ClassVar

import torch
from torch import Tensor

from cl_bench.mergers import MergeBlock, Merger, State, TaskBlock, Weights
from cl_bench.mergers.engine.task_weights import TaskWeights, shares, weight_of


class Average(Merger):
    """θ_0 + λ · ((θ_1 + … + θ_T) / T - θ_0); with λ = 1 the mean of the models.

    With weights w_t it is the weighted mean over the tasks so far, (w_1 · θ_1 + … + w_T · θ_T) / (w_1 + … + w_T); while
    these weights are 0, θ_0.

    The memory is one number per element.

    Source: Wortsman et al., "Model soups", ICML 2022, arXiv 2203.05482 (uniform soup).

    The weights are those of mergekit's ``linear`` (arXiv 2403.13257), normalized as by default there.

    Differs from the publication in: MagMax's published code for domain-incremental streams multiplies the *sum* by 1/2,
    a default that nobody changed, and so moves T/2 times as far; here it is always the mean. As released, it is
    ``merger=task_arithmetic merger.scaling=0.5``.

    Args:
        scaling: λ.
        weights: w_t of each task, in order; None for the plain mean.

    Raises:
        ValueError: The weights are those of no mean; or, while merging, there are more tasks than weights.
    """

    state: ClassVar = {"sum_of_weights": None}

    def __init__(self, scaling: float = 1.0, weights: TaskWeights = None) -> None:
        super().__init__(scaling)
        self.weights, self._shares = weights, shares(weights)

    def check_tasks(self, parameters: Weights, tasks: int) -> None:
        """Refuses more tasks than weights."""
        if self.weights is not None:
            weight_of(self.weights, tasks)

    def fold(self, state: State, block: TaskBlock) -> None:
        """sum ← sum + θ_t, or w_t · θ_t."""
        (total,) = state
        total.add_(block.weights if self._shares is None else block.weights * weight_of(self._shares, block.task))

    def combine(self, state: State, block: MergeBlock) -> Tensor:
        """sum / T - θ_0, or that with the sum of the weights instead of T."""
        (total,) = state
        divisor = block.tasks if self._shares is None else math.fsum(self._shares[: block.tasks])
        return (total / divisor).sub_(block.pretrained) if divisor else torch.zeros_like(total)
