"""Model Stock: the average of the models, as near to it as the angle between them says."""

from typing import ClassVar

import torch
from torch import Tensor

from cl_bench.mergers import MergeBlock, Merger, State, TaskBlock
from cl_bench.mergers.numerics.sums import dot


class ModelStock(Merger):
    """Per parameter, the average task vector times t = T c / (1 + (T - 1) c).

    c is the cosine between two task vectors of the parameter, averaged over all pairs of tasks; a vector of
    zeros has the cosine 0. Task vectors that agree (c = 1) are averaged, and those at right angles (c = 0)
    leave the pre-trained weights. One task alone has t = 1.

    The sum of all pairs' cosines is (|Σ u_t|² - m) / 2, where u_t = τ_t / |τ_t| and m of the u_t are not 0. So
    the memory is two numbers and a count per element, and a copy of the largest parameter.

    Source: Jang, Yun and Han, "Model Stock", ECCV 2024, arXiv 2403.19522.

    Differs from the publication in: the paper assumes that all angles are equal, and does not say how more than two
    models get one angle; the mean of the cosines is what ``mergekit`` takes, too. Nor does it treat c < 0, where t
    would lead away from the models; here t is 0. The authors' code was never published.

    Args:
        scaling: λ of the merged task vector, which the publication does not have.
    """

    state: ClassVar = {"sum": None, "directions": None, "moved": torch.int16}
    whole_parameters = True

    def __init__(self, scaling: float = 1.0) -> None:
        super().__init__(scaling)

    def fold(self, state: State, block: TaskBlock) -> None:
        """sum ← sum + τ_t and, where τ_t is not 0, directions ← directions + τ_t / |τ_t|."""
        total, directions, moved = state
        total.add_(block.vector)
        length = dot(block.vector, block.vector) ** 0.5
        if length > 0:
            directions.add_(block.vector / length)
            moved.add_(1)

    def combine(self, state: State, block: MergeBlock) -> Tensor:
        """sum · t / T."""
        total, directions, moved = state
        if block.tasks == 1:
            return total
        pairs = block.tasks * (block.tasks - 1)
        cosine = max(0.0, (dot(directions, directions) - int(moved[0])) / pairs)
        return total * (cosine / (1 + (block.tasks - 1) * cosine))
