"""KnOTS: another method merges the tasks' parts of one singular value decomposition of all task vectors."""

from typing import Literal

from pydantic import InstanceOf

from cl_bench.mergers import BaseMerger, Stack
from cl_bench.mergers.engine.in_a_basis import Basis, InABasis
from cl_bench.mergers.engine.matrices import Matrices
from cl_bench.mergers.numerics.singular import left_singular

_LEAST = 1e-5  # a singular value that counts, in units of the weights


class KnOTS(InABasis):
    """Knowledge orientation through SVD: another method merges task vectors in directions that all tasks share.

    For each weight matrix (m, n), with the task vectors side by side, [τ_1 … τ_T] = U · Σ · [V_1ᵀ … V_Tᵀ], and singular
    values above 1e-5: the other method merges the Σ · V_tᵀ in place of the τ_t, and U · (what it has merged) is the
    merged task vector. All other parameters are merged by the other method as they are.

    An elementwise method (TIES, DARE, MagMax) then compares tasks direction by direction. A linear one, such as task
    arithmetic, makes what it makes alone.

    Source: Stoica et al., "Model Merging with SVD to Tie the KnOTS", ICLR 2025, arXiv 2410.19735, and its authors'
    code, in which the inner method's trimming counts over all layers together. The variant "per_matrix" is the one with
    which the authors of ``CoreSpace`` compare theirs.

    Differs from the publication in: it merges LoRA adapters of the attention layers; here all "linear" layers are
    merged in this way, whatever trained them. U comes from the eigenvectors of a Gram matrix in float64, so singular
    values below 1e-6 of the largest may be left out as well.

    Args:
        of: The inner method. Its λ is part of what it merges.
        variant: "released", or "per_matrix": the inner method sees the V_tᵀ of one matrix at a time, and
            U · Σ · (what it has merged) is the result; a trim then counts within the matrix.
        scaling: λ of the result. The authors chose it on validation data; 1 leaves it as it is.
        split_qkv: See ``MatrixMerger``.
        matrices: See ``Matrices``.

    Raises:
        ValueError: ``variant`` is unknown; or see ``InABasis``.
    """

    def __init__(
        self,
        of: InstanceOf[BaseMerger],
        variant: Literal["released", "per_matrix"] = "released",
        scaling: float = 1.0,
        split_qkv: bool = True,
        matrices: Matrices = "linear",
    ) -> None:
        if variant not in ("released", "per_matrix"):
            raise ValueError(f"variant must be 'released' or 'per_matrix', not {variant!r}")
        self._scaled = variant == "released"
        super().__init__(of, scaling, split_qkv, matrices, per_matrix=not self._scaled)

    def basis(self, matrix: Stack) -> Basis:
        """U, and Σ as units where the inner method is to see V_tᵀ."""
        left, values = left_singular(matrix.vectors.unbind())
        kept = values > _LEAST
        return Basis(left[:, kept], units=None if self._scaled else values[kept])
