"""Perturb-and-Merge: the one step towards the next task's weights that raises the loss of all tasks least."""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import ClassVar

import torch
from torch import Tensor

from cl_bench.mergers import State
from cl_bench.mergers.engine.blocks import flat
from cl_bench.mergers.engine.model_folding import ModelFold, TaskParameter
from cl_bench.mergers.numerics.sums import dot

_F = "squared_gradients"


class PerturbAndMerge(ModelFold):
    """θ ← θ + α · Δ with Δ = θ_t - θ: a convex combination by one number for the whole model.

        α = - Σ_{i≤t} (θ - θ_i)ᵀ F_i Δ / Σ_{i≤t} Δᵀ F_i Δ

    θ_i are the weights after task i, and F_i is the diagonal of its Fisher information there. To second order, α is
    where the losses of all tasks so far, taken together, grow least; α is 0 where the denominator is. Since F_i is
    diagonal, Σ_i F_i and Σ_i F_i · (θ_i - θ_0) are all that must be kept, whatever the number of tasks.

    Δ is a change that the task has made only if it started from θ, so a run needs ``trainer.starts_from=merged``.

    Source: Qiu et al., "Train with Perturbation, Infer after Merging", NeurIPS 2025, arXiv 2505.22389. F_i are the
    squared gradients of whole batches, as its code has them.

    Differs from the publication in: it trains LoRA modules and the classifier, here the whole encoder is merged and the
    head is frozen. Its other half, to perturb the weights along Δ while they are trained, is left out: it is not
    settled which share of the steps is perturbed. The publication's ablation has this rule alone as "merging only".

    Args:
        scaling: λ of the merged task vector, which the publication does not have; 1 leaves it as it is.
    """

    state: ClassVar = {"merged": None, "fisher": None, "weighted": None}
    starts_from: ClassVar = "merged"

    def __init__(self, scaling: float = 1.0) -> None:
        super().__init__(scaling)
        self.requires = frozenset({_F})

    def look(self, model: Callable[[], Iterator[tuple[State, TaskParameter]]]) -> tuple[float, ...]:
        """α."""
        falls, curvatures = [], []
        for (merged, fisher, weighted), parameter in model():
            change, own = parameter.vector - merged, _fisher(parameter)
            total, gradient = fisher + own, weighted + own * parameter.vector
            falls.append(dot(flat(gradient.sub_(total * merged)), flat(change)))
            curvatures.append(dot(flat(total.mul_(change)), flat(change)))
        fall, curvature = math.fsum(falls), math.fsum(curvatures)  # in any order the same
        return (fall / curvature if curvature > 0 else 0.0,)

    def fold(self, state: State, parameter: TaskParameter, seen: tuple[float, ...]) -> None:
        """The step, and the two sums."""
        merged, fisher, weighted = state
        (alpha,), own = seen, _fisher(parameter)
        fisher.add_(own)
        weighted.add_(own * parameter.vector)
        merged.add_(parameter.vector.sub_(merged).mul_(alpha))

    def combine(self, state: State, name: str, tasks: int, numbers: Mapping[str, float]) -> Tensor:
        """θ - θ_0."""
        return state[0]


def _fisher(parameter: TaskParameter) -> Tensor:
    return parameter.statistics.get(_F, torch.ones_like(parameter.vector))
