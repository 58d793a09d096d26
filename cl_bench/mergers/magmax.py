"""MagMax: every element from the task that moved it most."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from cl_bench.mergers.engine.base import Merger
from cl_bench.mergers.engine.blocks import Array, MergeBlock, State, TaskBlock


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

    def combine_at_once(self, pretrained: Array, weights: Sequence[Array], out: Array) -> None:
        """The largest and the smallest weights are enough, since rounding θ_t - θ_0 keeps the order of the θ_t."""
        largest = np.maximum(weights[0], weights[-1], out=out)
        smallest = np.minimum(weights[0], weights[-1])
        for own in weights[1:-1]:
            np.maximum(largest, own, out=largest)
            np.minimum(smallest, own, out=smallest)
        largest -= pretrained
        smallest -= pretrained
        sums = largest + smallest  # below 0 where the smallest is the larger one by magnitude, 0 where both are equal
        tied = np.flatnonzero(sums == 0)
        tied = tied[largest[tied] > 0]
        largest[tied] = smallest[tied] = _of_the_later(np.stack([own[tied] for own in weights]) - pretrained[tied])
        # As in `fold`; NumPy has nothing of the kind.
        torch.from_numpy(largest).lerp_(torch.from_numpy(smallest), torch.from_numpy(sums).lt_(0))


def _of_the_later(vectors: Array) -> Array:
    """Per element of (T, N) task vectors, the value of largest magnitude; a tie goes to the later task."""
    later_first = vectors[::-1]
    task = np.abs(later_first).argmax(axis=0)
    values: Array = later_first[task, np.arange(len(task))]
    return values
