"""Consensus: of the summed task vectors, the elements that several tasks use."""

from typing import Annotated

from pydantic import Field
from torch import Tensor

from cl_bench.mergers import Stack, StackMerger
from cl_bench.mergers.numerics.sums import sum_in_order


class Consensus(StackMerger):
    """Consensus merging with TALL masks: the sum of the task vectors, without what too few tasks use.

    Task t uses an element of τ = τ_1 + … + τ_T if |τ_t| > threshold · |τ - τ_t|. Elements that fewer than
    ``agreement`` tasks use become 0: with 2, those that are of use to none or to a single one.

    The memory is that of the largest parameter, once per task.

    Source: Wang et al., "Localizing Task Information for Improved Model Merging and Compression", ICML 2024,
    arXiv 2405.07813, with task arithmetic.

    Differs from the publication in: the authors choose a threshold for each task on validation data, from 0.2 to 0.6;
    here it is one number, by default the middle of that range.

    Args:
        scaling: λ. It has no default: the paper chooses it on validation data.
        threshold: The mask's own λ; the higher, the fewer elements a task is taken to use.
        agreement: Tasks that must use an element, from 1; with 0, it is task arithmetic.

    Raises:
        ValueError: ``threshold`` or ``agreement`` is negative.
    """

    def __init__(
        self,
        scaling: float,
        threshold: Annotated[float, Field(ge=0)] = 0.4,
        agreement: Annotated[int, Field(ge=0)] = 2,
    ) -> None:
        super().__init__(scaling)
        if threshold < 0 or agreement < 0:
            raise ValueError(f"threshold and agreement must not be negative, but they are {threshold} and {agreement}")
        self.threshold = threshold
        self.agreement = agreement

    def combine_stack(self, stack: Stack) -> Tensor:
        """τ where enough tasks use the element, otherwise 0."""
        total = sum_in_order(stack.vectors)
        users = total.new_zeros(total.shape)
        for vector in stack.vectors:
            users += vector.abs() > (total - vector).abs_().mul_(self.threshold)
        return total.mul_(users >= self.agreement)
