"""RandMix: every element from a task chosen at random."""

from typing import ClassVar

import torch
from torch import Tensor

from cl_bench.mergers import MergeBlock, Merger, State, TaskBlock


class RandMix(Merger):
    """Per element, the value of a uniformly random task, drawn independently for each element.

    This is reservoir sampling: task t replaces what is there with probability 1/t. In the end each of T tasks is there
    with probability 1/T, and no earlier task has to be kept.

    Source: the RandMix baseline of Marczak et al., "MagMax", ECCV 2024, arXiv 2407.06322.

    Differs from the publication in: the random draws are other ones, seeded by (seed, task, parameter name), so that
    neither a restart nor the order of parameters changes them.

    Args:
        scaling: λ.
        seed: Seed of the draws.
    """

    state: ClassVar = {"chosen": None}

    def __init__(self, scaling: float = 1.0, seed: int = 0) -> None:
        super().__init__(scaling)
        self.seed = seed

    def fold(self, state: State, block: TaskBlock) -> None:
        """chosen ← τ_t with probability 1/t."""
        (chosen,) = state
        draws = torch.randint(block.task, chosen.shape, dtype=torch.int32, generator=block.generator)
        replaced = draws.eq_(0).to(chosen)
        chosen.lerp_(block.vector, replaced)

    def combine(self, state: State, block: MergeBlock) -> Tensor:
        """The chosen values."""
        (chosen,) = state
        return chosen
