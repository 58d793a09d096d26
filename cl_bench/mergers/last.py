"""Last: the weights of the last task."""

from typing import ClassVar

from torch import Tensor

from cl_bench.mergers.base import Merger
from cl_bench.mergers.blocks import MergeBlock, State, TaskBlock


class Last(Merger):
    """The last task's vector alone: θ_0 + λ·τ_T, and with λ = 1 exactly θ_T, bit for bit.

    What sequential fine-tuning, EWC and LwF are reported with.

    Args:
        scaling: λ.
    """

    # The weights and not their difference to θ_0, which is rounded and does not lead back to them.
    state: ClassVar = {"last_weights": None}

    def __init__(self, scaling: float = 1.0) -> None:
        super().__init__(scaling)

    def fold(self, state: State, block: TaskBlock) -> None:
        """θ ← θ_t."""
        (weights,) = state
        weights.copy_(block.weights)

    def combine(self, state: State, block: MergeBlock) -> Tensor:
        """θ_T - θ_0."""
        (weights,) = state
        return weights - block.pretrained

    def apply(self, state: State, block: MergeBlock) -> Tensor:
        """θ_T itself where λ = 1, otherwise θ_0 + λ·τ_T."""
        (weights,) = state
        return weights if self.scaling == 1 else super().apply(state, block)
