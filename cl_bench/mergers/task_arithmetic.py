"""Task arithmetic: the sum of the task vectors."""

import math
from typing import ClassVar, Literal

from torch import Tensor

from cl_bench.mergers import MergeBlock, Merger, State, TaskBlock


class TaskArithmetic(Merger):
    """θ_0 + λ · (τ_1 + … + τ_T) / d, where d is 1 as published, or T, or √T.

    With d = T it is the average of the task vectors. With d = √T the merged task vector keeps its length
    as tasks arrive, where theirs are equally long and at right angles.

    The memory is one number per element.

    Source: Ilharco et al., "Editing Models with Task Arithmetic", ICLR 2023, arXiv 2212.04089.

    Differs from the publication in: the other divisors, which are not in it.

    Args:
        scaling: λ. It has no default: the paper chooses it on validation data, per number of tasks.
        divide_by: d: "one", "tasks" or "sqrt_tasks".

    Raises:
        ValueError: ``divide_by`` is unknown.
    """

    state: ClassVar = {"sum": None}

    def __init__(self, scaling: float, divide_by: Literal["one", "tasks", "sqrt_tasks"] = "one") -> None:
        super().__init__(scaling)
        if divide_by not in ("one", "tasks", "sqrt_tasks"):
            raise ValueError(f"divide_by must be 'one', 'tasks' or 'sqrt_tasks', not {divide_by!r}")
        self.divide_by = divide_by

    def fold(self, state: State, block: TaskBlock) -> None:
        """sum ← sum + τ_t."""
        (total,) = state
        total.add_(block.vector)

    def combine(self, state: State, block: MergeBlock) -> Tensor:
        """sum / d."""
        (total,) = state
        return total / self.divisor(block.tasks)

    def divisor(self, tasks: int) -> float:
        """d."""
        return {"one": 1.0, "tasks": tasks, "sqrt_tasks": math.sqrt(tasks)}[self.divide_by]
