"""Task arithmetic: the sum of the task vectors."""

import math
from typing import ClassVar, Literal

from torch import Tensor

from cl_bench.mergers import MergeBlock, Merger, State, TaskBlock, Weights
from cl_bench.mergers.engine.task_weights import TaskWeights, weight_of


class TaskArithmetic(Merger):
    """θ_0 + λ · (τ_1 + … + τ_T) / d, where d is 1 as published, or T, or √T.

    With d = T it is the average of the task vectors. With d = √T the merged task vector keeps its length
    as tasks arrive, where theirs are equally long and at right angles.

    With weights w_t the sum is w_1 · τ_1 + … + w_T · τ_T. A negative weight takes away what a task has learned; with 0
    the task is not in the sum, but d counts it.

    The memory is one number per element.

    Source: Ilharco et al., "Editing Models with Task Arithmetic", ICLR 2023, arXiv 2212.04089.

    The weights are those of mergekit's ``task_arithmetic`` (arXiv 2403.13257), not normalized as by default there.

    Differs from the publication in: the other divisors and the weights, which are not in it; one λ is for all tasks.

    Args:
        scaling: λ. It has no default: the paper chooses it on validation data, per number of tasks.
        divide_by: d: "one", "tasks" or "sqrt_tasks".
        weights: w_t of each task, in order; None for the plain sum.

    Raises:
        ValueError: ``divide_by`` is unknown; or, while merging, there are more tasks than weights.
    """

    state: ClassVar = {"sum": None}

    def __init__(
        self,
        scaling: float,
        divide_by: Literal["one", "tasks", "sqrt_tasks"] = "one",
        weights: TaskWeights = None,
    ) -> None:
        super().__init__(scaling)
        if divide_by not in ("one", "tasks", "sqrt_tasks"):
            raise ValueError(f"divide_by must be 'one', 'tasks' or 'sqrt_tasks', not {divide_by!r}")
        self.divide_by, self.weights = divide_by, weights

    def check_tasks(self, parameters: Weights, tasks: int) -> None:
        """Refuses more tasks than weights."""
        if self.weights is not None:
            weight_of(self.weights, tasks)

    def fold(self, state: State, block: TaskBlock) -> None:
        """sum ← sum + τ_t, or w_t · τ_t."""
        (total,) = state
        total.add_(block.vector if self.weights is None else block.vector * weight_of(self.weights, block.task))

    def combine(self, state: State, block: MergeBlock) -> Tensor:
        """sum / d."""
        (total,) = state
        return total / self.divisor(block.tasks)

    def divisor(self, tasks: int) -> float:
        """d."""
        return {"one": 1.0, "tasks": tasks, "sqrt_tasks": math.sqrt(tasks)}[self.divide_by]
