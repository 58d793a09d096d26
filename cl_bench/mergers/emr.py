"""EMR: one merged task vector, and for each task a mask and a scale."""

import math
from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor

from cl_bench.mergers import PerTaskMerger, Stack, TaskPart
from cl_bench.mergers.numerics.one_thread import one_thread
from cl_bench.mergers.numerics.sums import sum_in_order


class EMR(PerTaskMerger):
    """Elect, mask and rescale: a model for each task, θ_t = θ_0 + λ · s_t · (m_t ⊙ τ).

    - Elect: per element, γ is the sign of Σ_t τ_t, and τ is γ times the largest |τ_t| among the tasks whose sign it is.
    - Mask: m_t is 1 where τ_t has the sign of τ, else 0.
    - Rescale: s_t = Σ_p mean|τ_t,p| / Σ_p mean|m_t,p ⊙ τ_p|, over the parameters p; 0 where nothing is left.

    Beside the models of all tasks, of which a deployed model would keep one bit per element, the memory is one model.

    Source: Huang et al., "EMR-Merging: Tuning-Free High-Performance Model Merging", NeurIPS 2024, arXiv 2405.17461. The
    default is the authors' code.

    Differs from the publication in: as in its code, an elected sign of 0 counts as -1, and s_t adds up *means* over
    parameters, in which a bias counts as much as a matrix. The paper has sums over the whole model:
    ``rescale="whole_model"``.

    Args:
        scaling: λ, which the publication does not have; 1 leaves it out.
        rescale: "parameter_means" as in the code, or "whole_model" as in the paper.

    Raises:
        ValueError: ``rescale`` is unknown.
    """

    def __init__(
        self, scaling: float = 1.0, rescale: Literal["parameter_means", "whole_model"] = "parameter_means"
    ) -> None:
        super().__init__(scaling)
        if rescale not in ("parameter_means", "whole_model"):
            raise ValueError(f"rescale must be 'parameter_means' or 'whole_model', not {rescale!r}")
        self.rescale = rescale

    def combine_stack(self, stack: Stack) -> Tensor:
        """γ · max_t max(0, γ τ_t)."""
        vectors = stack.vectors
        elected = sum_in_order(vectors).gt_(0).mul_(2).sub_(1)
        return vectors.mul_(elected).amax(dim=0).clamp_(min=0).mul_(elected)

    def look_at_task(self, parts: Iterable[TaskPart]) -> float:
        """s_t."""
        sizes = []
        with one_thread():
            for part in parts:
                elements = max(part.vector.numel(), 1) if self.rescale == "parameter_means" else 1
                sizes.append((_sum(part.vector) / elements, _sum(_masked(part)) / elements))
        of_task, of_masked = (math.fsum(column) for column in zip(*sizes, strict=True)) if sizes else (0.0, 0.0)
        return of_task / of_masked if of_masked else 0.0

    def for_task(self, part: TaskPart) -> Tensor:
        """s_t · (m_t ⊙ τ)."""
        return _masked(part).mul_(part.glance)


def _masked(part: TaskPart) -> Tensor:
    return part.merged * (part.merged.sign() == part.vector.sign())


def _sum(vector: Tensor) -> float:
    return float(torch.linalg.vector_norm(vector, 1, dtype=torch.float64))
