"""TIES: trim, elect signs, and average the values that agree."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor

from cl_bench.mergers import TaskBlock, TaskVector
from cl_bench.mergers.engine.sparse import SparseMerger
from cl_bench.mergers.numerics.selection import kth_largest


class Ties(SparseMerger):
    """TIES-Merging: resolve interference among task vectors in three steps.

    1. Trim: of each whole task vector keep the k = ⌊density · N⌋ elements (at least one) of largest magnitude, and all
       that equal the smallest of these; the rest becomes 0.
    2. Elect: per element, the sign of the sum of the kept values. Where that sum is 0, it is the majority sign: the
       sign of the sum of all elements' elected signs, negative if that is 0 too.
    3. Merge: per element, the mean of the kept values that have the elected sign; 0 where none has it.

    The memory is two sums and two counts per element, whatever the number of tasks.

    Source: Yadav et al., "TIES-Merging", NeurIPS 2023, arXiv 2306.01708; λ and the scope as published with
    "MagMax", arXiv 2407.06322.

    Differs from the publication in: the authors' code keeps k + 1 elements instead of k. It adds the kept values in the
    order of the tasks, and here those of each sign are added first; a sum that cancels exactly in one order may leave a
    rounding error in the other.

    Args:
        scaling: λ.
        density: Share of elements that trimming keeps.
        trim_scope: What N counts: "encoder", the elements of the task vector; "whole_model", these and the
            ``frozen_parameters`` zeros beside them, which is how the published results were made (0.2
            of CLIP ViT-B/16 with its text tower keeps 34.7 % of the image encoder).

    Raises:
        ValueError: ``density`` is not in (0, 1], or ``trim_scope`` is unknown.
    """

    def __init__(
        self,
        scaling: float = 0.55,
        density: Annotated[float, Field(gt=0, le=1)] = 0.2,
        trim_scope: Literal["encoder", "whole_model"] = "whole_model",
    ) -> None:
        super().__init__(scaling, "ties")
        if not 0 < density <= 1:
            raise ValueError(f"density must be above 0 and at most 1, but is {density}")
        if trim_scope not in ("encoder", "whole_model"):
            raise ValueError(f"trim_scope must be 'encoder' or 'whole_model', not {trim_scope!r}")
        self.density = density
        self.trim_scope = trim_scope

    def look(self, vector: TaskVector) -> float:
        """The trimming threshold: the k-th largest magnitude."""
        frozen = vector.frozen_parameters if self.trim_scope == "whole_model" else 0
        keep = max(1, int(self.density * (vector.elements + frozen)))
        if keep >= vector.elements:
            return 0.0

        def magnitudes() -> Iterator[Tensor]:
            return (block.abs().to(vector.dtype) for block in vector.blocks())

        return kth_largest(magnitudes, keep, vector.dtype)

    def sparsify(self, block: TaskBlock) -> Tensor:
        """The values that reach the threshold."""
        # The mask is a float, 1 or 0, as in MagMax.
        return block.vector.abs().ge_(block.glance).mul_(block.vector)
