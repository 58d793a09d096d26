"""DC-Merge: task vectors are merged by sign and magnitude, in directions that all of them share."""

from collections.abc import Callable, Iterator
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from cl_bench.mergers import Stack, Weights
from cl_bench.mergers.engine.matrices import Matrices, MatrixMerger, Rest, parts_of
from cl_bench.mergers.numerics.products import product
from cl_bench.mergers.numerics.side_by_side import side_by_side
from cl_bench.mergers.numerics.singular import orthogonal_factor, singular

_ROUNDING = 1e-9  # of the largest element: equal tasks have elements that only rounding tells apart


class DCMerge(MatrixMerger):
    """DC-Merge, directional consistency: signs are elected in the directions that all tasks together span.

    For each weight matrix (m, n), with τ_t = U_t · Σ_t · V_tᵀ and k = ⌊min(m, n) / T⌋:

    1. Cut each τ_t to its k leading singular values.
    2. Put the kept vectors side by side, [U_1 … U_T] and [V_1 … V_T], and replace both by the nearest matrices with
       orthonormal columns, U (m, kT) and V (n, kT), the orthogonal factors of their polar decompositions.
    3. In these directions a cut task vector is M_t = Uᵀ · τ_t · V. Of each M_t keep the ⌊density · min(m, n)²⌋ elements
       (at least one) of largest magnitude, and all that equal the smallest of these.
    4. Per element, M is the mean of the kept values that have the sign of their sum; 0 where the sum is 0.
    5. Keep M's T diagonal blocks (k, k), one for the directions of each task: τ = U · M · Vᵀ.

    Source: "DC-Merge: Improving Model Merging with Directional Consistency", arXiv 2603.06242, as the authors' code
    merges models that were fully fine-tuned.

    Differs from the publication in: that code leaves out the smoothing of singular values that the paper describes, and
    so does this. Singular vectors that nothing determines, those of singular values that are 0, are left out, while
    LAPACK returns some; so are such completions of U and V where tasks share a direction exactly. The authors chose λ
    on validation data, from 0 to 3; here it is 1. As in that code, "all" matrices count, also open_clip's fused
    attention in one piece, the positional embedding and the projection, and the rest is averaged; the projection of a
    text tower, which that code averages, too, is not trained here.

    Args:
        scaling: λ.
        density: Share of the elements of M_t that are kept.
        split_qkv: See ``MatrixMerger``.
        matrices: See ``Matrices``.
        rest: See ``Rest``.

    Raises:
        ValueError: ``density`` is not in (0, 1]; or, while merging, there are more tasks than a matrix has directions.
    """

    def __init__(
        self,
        scaling: float = 1.0,
        density: Annotated[float, Field(gt=0, le=1)] = 0.001,
        split_qkv: bool = False,
        matrices: Matrices = "all",
        rest: Rest = "average",
    ) -> None:
        super().__init__(scaling, split_qkv, matrices, rest)
        if not 0 < density <= 1:
            raise ValueError(f"density must be above 0 and at most 1, but is {density}")
        self._density = density

    def check_tasks(self, parameters: Weights, tasks: int) -> None:
        """Refuses more tasks than a matrix has directions."""
        for name, start in parameters.items():
            number = parts_of(name, start, self._matrices, self._split_qkv)
            if number and tasks > (fewest := min(start.shape[0] // number, start[0].numel())):
                raise ValueError(
                    f"{name!r} has {fewest} directions, and DC-Merge needs one for each of {tasks} tasks; merge fewer "
                    "tasks, or take matrices=linear if it is no layer"
                )

    def look_over(self, stacks: Callable[[], Iterator[Stack]]) -> Weights:
        """Refuses them before the first matrix is decomposed."""
        for stack in stacks():
            self.check_tasks({stack.name: stack.pretrained}, len(stack.weights))
        return {}

    def combine_matrices(self, vectors: Tensor) -> Tensor:
        """The five steps."""
        tasks, *shape = vectors.shape
        keep = min(shape) // tasks
        cut = list(side_by_side(lambda vector: singular(vector, keep), vectors.unbind()))
        lefts, _, rights = zip(*cut, strict=True)
        left, right = side_by_side(orthogonal_factor, [torch.cat(lefts, dim=1), torch.cat(rights)])
        kept = max(1, int(self._density * min(shape) ** 2))

        def coordinates(part: tuple[Tensor, Tensor, Tensor]) -> Tensor:
            own_left, values, own_right = part
            return _largest(product(product(left.T, own_left * values), product(own_right, right.T)), kept)

        merged = _agreed(torch.stack(list(side_by_side(coordinates, cut))))
        blocks = torch.block_diag(*[torch.ones_like(merged[:keep, :keep])] * tasks)
        return product(left, product(merged * blocks, right))


def _largest(matrix: Tensor, keep: int) -> Tensor:
    """The elements of largest magnitude, and 0 elsewhere; what differs from the smallest by rounding alone is equal."""
    magnitudes = matrix.abs()
    if keep >= magnitudes.numel():
        return matrix
    return matrix * (magnitudes >= magnitudes.flatten().topk(keep).values[-1] - _ROUNDING * magnitudes.max())


def _agreed(kept: Tensor) -> Tensor:
    """Per element, the mean of what has the sign of the sum over the first dimension."""
    agrees = kept.sign() == kept.sum(0).sign()
    return (kept * agrees).sum(0) / agrees.sum(0).clamp(min=1)
