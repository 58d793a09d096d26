"""TALL masks: the sum of the task vectors, and for each task a mask of the elements that it uses."""

from typing import Annotated

from pydantic import Field
from torch import Tensor

from cl_bench.mergers import PerTaskMerger, Stack, TaskPart
from cl_bench.mergers.numerics.sums import sum_in_order


class TallMasks(PerTaskMerger):
    """TALL masks localize each task in the sum τ = λ · Σ_t τ_t: a model for each task, θ_t = θ_0 + m_t ⊙ τ.

    m_t is 1 where |τ_t| ≥ λ_t · |τ - τ_t|, else 0. A run that has validation images chooses λ_t for each task among
    0.2, 0.3, …, 0.6 by the task's own images; elsewhere it is ``threshold``.

    Beside the models of all tasks, of which a deployed model would keep one bit per element, the memory is one model.

    Source: Wang et al., "Localizing Task Information for Improved Model Merging and Compression", ICML 2024,
    arXiv 2405.07813, with task arithmetic; as in the authors' code, λ is 1.

    Differs from the publication in: the masks count an element at the threshold as used, as the paper's formula does;
    the code does not. It makes no difference but for elements that no other task has changed.

    Args:
        scaling: λ of the sum, which the masks depend on.
        threshold: λ_t where there are no validation images to choose it by; the middle of the published range.

    Raises:
        ValueError: ``threshold`` is not at least 0.
    """

    candidates = (0.2, 0.3, 0.4, 0.5, 0.6)

    def __init__(self, scaling: float = 1.0, threshold: Annotated[float, Field(ge=0)] = 0.4) -> None:
        super().__init__(scaling)
        if not threshold >= 0:
            raise ValueError(f"threshold must be at least 0, but is {threshold}")
        self.threshold = threshold

    def combine_stack(self, stack: Stack) -> Tensor:
        """Σ_t τ_t."""
        return sum_in_order(stack.vectors)

    def for_task(self, part: TaskPart) -> Tensor:
        """m_t ⊙ Σ τ."""
        threshold = self.threshold if part.candidate is None else part.candidate
        others = part.merged.mul(self.scaling).sub_(part.vector).abs_()
        return part.merged * (part.vector.abs() >= others.mul_(threshold))
