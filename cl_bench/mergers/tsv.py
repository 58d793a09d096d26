"""TSV: the tasks' leading singular vectors side by side, made orthogonal to each other."""

import torch
from torch import Tensor

from cl_bench.mergers.engine.matrices import Matrices, MatrixMerger, Rest
from cl_bench.mergers.numerics.products import product
from cl_bench.mergers.numerics.side_by_side import side_by_side
from cl_bench.mergers.numerics.singular import orthogonal_factor, singular


class TSV(MatrixMerger):
    """TSV-Merge: task singular vectors, cut to a T-th of the rank each, and decorrelated.

    For each weight matrix, with τ_t = U_t · Σ_t · V_tᵀ and k = ⌊min(m, n) / T⌋ (at least 1):

    1. Of every task keep the k largest singular values and their vectors.
    2. Put them side by side: Û = [U_1 … U_T], Σ̂ = diag(Σ_1, …, Σ_T), V̂ = [V_1 … V_T].
    3. Replace Û and V̂ by the nearest matrices with orthonormal columns, Û_⊥ and V̂_⊥, the orthogonal factors of
       their polar decompositions: τ = Û_⊥ · Σ̂ · V̂_⊥ᵀ.

    Source: Gargiulo et al., "Task Singular Vectors", CVPR 2025, arXiv 2412.00081.

    Differs from the publication in: singular vectors that nothing determines, those of singular values that are 0, are
    left out, while LAPACK returns some; so are such completions of Û_⊥ where tasks share a direction exactly. k is at
    least 1, while the published code merges a matrix with fewer rows or columns than there are tasks to 0. As in the
    published code, "all" matrices count as the paper's layers, also open_clip's fused attention in one piece, the
    positional embedding and the projection, and the rest is averaged. The published code also averages the projection
    of a text tower; where text towers are not trained, as there, that is the same.

    Args:
        scaling: λ.
        split_qkv: See ``MatrixMerger``.
        matrices: See ``Matrices``.
        rest: See ``Rest``.
    """

    def __init__(
        self, scaling: float = 1.0, split_qkv: bool = False, matrices: Matrices = "all", rest: Rest = "average"
    ) -> None:
        super().__init__(scaling, split_qkv, matrices, rest)

    def combine_matrices(self, vectors: Tensor) -> Tensor:
        """The three steps."""
        tasks, *shape = vectors.shape
        keep = max(1, min(shape) // tasks)
        parts = side_by_side(lambda vector: singular(vector, keep), vectors.unbind())
        lefts, values, rights = zip(*parts, strict=True)
        left, right = side_by_side(orthogonal_factor, [torch.cat(lefts, dim=1), torch.cat(rights)])
        return product(left * torch.cat(values), right)
