"""Iso-C: the sum of the task vectors, with all singular values made equal."""

from torch import Tensor

from cl_bench.mergers.engine.matrices import Matrices, MatrixMerger, Rest
from cl_bench.mergers.numerics.products import product
from cl_bench.mergers.numerics.singular import singular


class IsoC(MatrixMerger):
    """Isotropic merging in the common subspace.

    For each weight matrix, with Σ_t τ_t = U · diag(σ) · Vᵀ: τ = σ̄ · U · Vᵀ, where σ̄ is the mean of the
    min(m, n) singular values.

    Source: Marczak et al., "No Task Left Behind", ICML 2025, arXiv 2502.04959.

    Differs from the publication in: where the sum's rank is not full, singular vectors that nothing determines are left
    out, while LAPACK returns some, which are then raised to σ̄. The authors chose λ on validation data; here it is 1.
    As in the published code, "all" matrices count as the paper's layers, also open_clip's fused attention in one piece,
    the positional embedding and the projection, and the rest is averaged. The published code also averages the
    projection of a text tower; where text towers are not trained, as there, that is the same.

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
        """σ̄ · U · Vᵀ of the sum."""
        left, values, right = singular(vectors.sum(0))
        return product(left, right).mul_(values.mean())
