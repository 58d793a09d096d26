"""MagMax: every element from the task that moved it most."""

import math
from collections.abc import Sequence
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor

from cl_bench.mergers.base import Merger
from cl_bench.mergers.blocks import MergeBlock, State, TaskBlock

_PIECE = 256
"""Elements of which the least is looked at before each of them is."""


class MagMax(Merger):
    """Per element, the task vectors' value of largest magnitude; a tie goes to the later task.

    θ_0 + λ · τ, with τ[i] = τ_t[i] and t the last of argmax_t |τ_t[i]|. The paper calls it MagMax on
    sequentially fine-tuned weights and MaxAbs on independently fine-tuned ones.

    Source: Marczak et al., "MagMax", ECCV 2024, arXiv 2407.06322.

    Args:
        scaling: λ.
    """

    state: ClassVar = {"largest": None}
    carries_nan = True

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
        largest, smallest = torch.maximum(weights[0], weights[-1]), torch.minimum(weights[0], weights[-1])
        for own in weights[1:-1]:
            torch.maximum(largest, own, out=largest)
            torch.minimum(smallest, own, out=smallest)
        largest.sub_(pretrained)
        smallest.sub_(pretrained)
        sums = largest + smallest  # below 0 where the smallest is the larger one by magnitude, 0 where both are equal
        _give_ties_to_the_later(largest, smallest, sums, pretrained, weights)
        return largest.lerp_(smallest, sums.lt_(0))


def _give_ties_to_the_later(
    largest: Tensor, smallest: Tensor, sums: Tensor, pretrained: Tensor, weights: Sequence[Tensor]
) -> None:
    """Where τ and -τ are the largest by magnitude, and their sum is 0, make both the one of the later task."""
    # Few pieces have any, and whether one has is seen from its least value, in a third of the time.
    pieces = partial(Tensor.view, size=(-1, math.gcd(len(sums), _PIECE)))
    has_zero = pieces(sums.abs()).amin(1) == 0
    if has_zero.any():
        tied = has_zero.logical_and_(pieces(largest).amax(1) > 0).nonzero().view(-1)
        vectors = torch.stack([pieces(own)[tied] for own in weights]) - pieces(pretrained)[tied]
        last = len(weights) - 1 - vectors.abs().flip(0).max(0).indices
        pieces(largest)[tied] = pieces(smallest)[tied] = vectors.gather(0, last[None])[0]
