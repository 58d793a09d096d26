"""Localize-and-Stitch: of each task vector a tenth, and the mean where these tenths overlap."""

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from cl_bench.mergers import MergeBlock, Merger, State, TaskBlock, TaskVector


class LocalizeAndStitch(Merger):
    """Localize-and-Stitch without data: each task changes only where it moved the weights most.

    1. Localize: task t's region is where |τ_t| is above its k-th largest, k = ⌊density · N⌋ (at least 1), over all N
       elements of the model.
    2. Stitch: per element, the mean of τ_t over the tasks whose region it is in; 0 where it is in none.

    The memory is one number and a count per element.

    Source: He et al., "Localize-and-Stitch: Efficient Model Merging via Sparse Task Arithmetic", TMLR,
    arXiv 2408.13656, the variant "dataless". As in the authors' code, the k-th largest element itself is left out, and
    with it all that equal it.

    Args:
        scaling: λ, which the publication does not have; 1 leaves the stitched vector as it is.
        density: Share of the elements that a region has.

    Raises:
        ValueError: ``density`` is not in (0, 1].
    """

    state: ClassVar = {"sum": None, "count": torch.int16}

    def __init__(self, scaling: float = 1.0, density: Annotated[float, Field(gt=0, le=1)] = 0.1) -> None:
        super().__init__(scaling)
        if not 0 < density <= 1:
            raise ValueError(f"density must be above 0 and at most 1, but is {density}")
        self.density = density

    def look(self, vector: TaskVector) -> float:
        """The k-th largest magnitude, the bound of the region."""
        keep = max(1, int(self.density * vector.elements))
        return vector.kth_largest_magnitude(keep) if vector.elements else 0.0

    def fold(self, state: State, block: TaskBlock) -> None:
        """sum ← sum + τ_t and count ← count + 1 in the region."""
        total, count = state
        # The mask is a float, 1 or 0, as in MagMax.
        region = block.vector.abs().gt_(block.glance)
        count.add_(region.to(count.dtype))
        total.add_(region.mul_(block.vector))

    def combine(self, state: State, block: MergeBlock) -> Tensor:
        """sum / count."""
        total, count = state
        return total / count.clamp(min=1)
