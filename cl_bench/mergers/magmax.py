"""MagMax: every element from the task that moved it most."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from cl_bench.mergers.base import Merger
from cl_bench.mergers.blocks import MergeBlock, State, TaskBlock


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

    def combine_at_once(self, pretrained: Tensor, weights: Sequence[Tensor]) -> Tensor:
        """The largest and the smallest weights are enough, since rounding θ_t - θ_0 keeps the order of the θ_t."""
        largest, smallest = weights[0].clone(), weights[0].clone()
        for own in weights[1:]:
            torch.maximum(largest, own, out=largest)
            torch.minimum(smallest, own, out=smallest)
        largest.sub_(pretrained)
        smallest.sub_(pretrained)
        tied = largest.eq(-smallest).logical_and_(largest.gt(0))
        largest.lerp_(smallest, smallest.abs().gt_(largest.abs()))
        if bool(tied.any()):
            _give_to_the_later(largest, tied.nonzero().view(-1), pretrained, weights)
        return largest


def _give_to_the_later(largest: Tensor, tied: Tensor, pretrained: Tensor, weights: Sequence[Tensor]) -> None:
    """Where τ and -τ are both the largest, take the one of the later task; ``tied`` holds the indices."""
    start, found = pretrained[tied], largest[tied]
    for own in weights:
        vector = own[tied] - start
        found = vector.where(vector.abs() == found.abs(), found)
    largest[tied] = found
