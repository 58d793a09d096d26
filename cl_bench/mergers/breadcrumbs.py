"""Breadcrumbs: of each parameter neither the largest changes nor the small ones."""

from typing import Annotated

from pydantic import Field
from torch import Tensor

from cl_bench.mergers import TaskBlock
from cl_bench.mergers.engine.blocks import BLOCK_ELEMENTS
from cl_bench.mergers.engine.sparse import SparseMerger
from cl_bench.mergers.numerics.selection import kth_largest_of_each


class Breadcrumbs(SparseMerger):
    """Model Breadcrumbs: of each task vector keep what is large, but no outliers, and sum it.

    Of the n elements of one parameter, sorted by magnitude, the first r = ⌊outliers · n⌋ become 0, the
    next k = ⌊density · n⌋ (at least one) are kept, with all that equal the first or the last of them in magnitude,
    and the rest becomes 0.

    The memory is one number per element, and the magnitudes of the largest parameter.

    Source: Davari and Belilovsky, "Model Breadcrumbs", ECCV 2024, arXiv 2312.06795. The paper's β and γ
    are 1 - outliers - density and 1 - outliers; the defaults are where the authors' search begins.

    Differs from the publication in: the authors' code sorts each row of a matrix by itself; here, as the paper's text
    says, a layer's parameter is sorted as a whole.

    Args:
        scaling: λ.
        density: Share of a parameter's elements that is kept.
        outliers: Share of its largest elements that is removed.

    Raises:
        ValueError: ``density`` or ``outliers`` is out of range, or they are more than 1 together.
    """

    whole_parameters = True

    def __init__(
        self,
        scaling: float = 0.2,
        density: Annotated[float, Field(gt=0, le=1)] = 0.15,
        outliers: Annotated[float, Field(ge=0, lt=1)] = 0.006,
    ) -> None:
        super().__init__(scaling, "sum")
        if not (0 < density <= 1 and 0 <= outliers < 1 and density + outliers <= 1):
            raise ValueError(
                "density must be above 0, outliers at least 0, and both at most 1 together, "
                f"but they are {density} and {outliers}"
            )
        self.density = density
        self.outliers = outliers

    def sparsify(self, block: TaskBlock) -> Tensor:
        """The elements whose magnitude lies between those that the shares name."""
        magnitudes = block.vector.abs()
        removed = int(self.outliers * magnitudes.numel())
        kept = max(1, int(self.density * magnitudes.numel()))
        blocks = magnitudes.split(BLOCK_ELEMENTS)
        smallest, largest = kth_largest_of_each(
            lambda: zip(blocks, blocks, strict=True), [removed + kept, removed + 1], magnitudes.dtype
        )
        return magnitudes.copy_(magnitudes.ge(smallest).logical_and_(magnitudes.le(largest))).mul_(block.vector)
