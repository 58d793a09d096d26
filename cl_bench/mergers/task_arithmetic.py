"""Task arithmetic: the sum of the task vectors."""

from typing import ClassVar

from torch import Tensor

from cl_bench.mergers.base import Merger
from cl_bench.mergers.blocks import MergeBlock, State, TaskBlock


class TaskArithmetic(Merger):
    """θ_0 + λ · (τ_1 + … + τ_T).

    Source: Ilharco et al., "Editing Models with Task Arithmetic", ICLR 2023, arXiv 2212.04089.

    Args:
        scaling: λ. It has no default: the paper chooses it on validation data, per number of tasks.
    """

    state: ClassVar = {"sum": None}

    def __init__(self, scaling: float) -> None:
        super().__init__(scaling)

    def fold(self, state: State, block: TaskBlock) -> None:
        """sum ← sum + τ_t."""
        (total,) = state
        total.add_(block.vector)

    def combine(self, state: State, block: MergeBlock) -> Tensor:
        """The sum itself."""
        (total,) = state
        return total
