"""SVC: singular values of the merged matrix shrink where they count more than once what tasks share."""

from collections.abc import Callable
from typing import Annotated

import torch
from pydantic import Field, InstanceOf
from torch import Tensor

from cl_bench.mergers import Around, BaseMerger, Merged, Whole
from cl_bench.mergers.engine.matrices import Matrices, check_matrices, is_fused_attention, is_matrix
from cl_bench.mergers.numerics.products import product
from cl_bench.mergers.numerics.side_by_side import side_by_side
from cl_bench.mergers.numerics.singular import singular


class SVC(Around):
    """Singular value calibration, around any other method.

    For each weight matrix that the other has merged to M = Σ_r σ_r · u_r · v_rᵀ, with the response of task t along
    u_r, a_rt = u_rᵀ · τ_t, and that of the merged matrix, a_r = u_rᵀ · M = σ_r · v_rᵀ:

        s_rt = ⟨a_r, a_rt⟩ / ‖a_rt‖²      how often task t's response is in the merged one
        γ_r = T / Σ_t max(α, s_rt)        M ← Σ_r γ_r · σ_r · u_r · v_rᵀ

    Anything else stays as the other method has merged it. The tasks' weights are kept by reference, as for a
    ``StackMerger``, whatever the inner method.

    Source: Li et al., "When Shared Knowledge Hurts: Spectral Over-Accumulation in Model Merging", ICML 2026,
    arXiv 2602.05536; α as in the authors' script.

    Differs from the publication in: the first release of the authors' code has γ_r = 1 / max(α, mean_t s_rt) where
    all s_rt are positive, and 1 elsewhere; the next, like FusionBench, has the rule above. The authors' code
    calibrates "no_embeddings", as is done here, FusionBench's "all". With "linear", which leaves out ``proj``, that
    layer differs by 25 % of its change after five tasks of the embedded digits, and nothing else does. Where u_r has no
    part in τ_t but rounding errors (‖a_rt‖² not above ε · ‖τ_t‖², with ε the rounding of float64) s_rt is 0; published
    code divides by 1e-12 there.

    Args:
        of: The inner method. Its λ is part of M, and so counts in s.
        alpha: α, the least that a response counts; the smaller, the more are weak directions strengthened. None for
            1 / T, as around all methods but TSV-M, which the authors give 1.
        scaling: λ of the result, which the publication does not have; 1 leaves it as it is.
        split_qkv: See ``MatrixMerger``.
        matrices: See ``Matrices``.

    Raises:
        ValueError: ``alpha`` is not above 0, or ``matrices`` is unknown.
    """

    version = 2  # since then, kernels of convolutions are matrices
    sees_tasks = True

    def __init__(
        self,
        of: InstanceOf[BaseMerger],
        alpha: Annotated[float, Field(gt=0)] | None = None,
        scaling: float = 1.0,
        split_qkv: bool = False,
        matrices: Matrices = "no_embeddings",
    ) -> None:
        super().__init__(of, scaling)
        if alpha is not None and not alpha > 0:
            raise ValueError(f"alpha must be above 0, but is {alpha}")
        check_matrices(matrices)
        self._alpha, self._split_qkv, self._matrices = alpha, split_qkv, matrices

    def change(self, whole: Whole) -> Callable[[Merged], Tensor]:
        """Matrices are calibrated one by one."""
        return self._changed

    def _changed(self, merged: Merged) -> Tensor:
        if not is_matrix(merged.name, merged.pretrained, self._matrices):
            return merged.vector
        assert merged.vectors is not None
        parts = 3 if self._split_qkv and is_fused_attention(merged.name, merged.pretrained) else 1
        matrices, vectors = merged.vector.flatten(1).chunk(parts), merged.vectors.flatten(2).chunk(parts, dim=1)
        changed = torch.cat([self._calibrated(*pair) for pair in zip(matrices, vectors, strict=True)])
        return changed.to(merged.pretrained).view_as(merged.pretrained)

    def _calibrated(self, matrix: Tensor, vectors: Tensor) -> Tensor:
        left, values, right = singular(matrix)
        responses = values[:, None] * right
        alpha = 1 / len(vectors) if self._alpha is None else self._alpha

        def times(vector: Tensor) -> Tensor:
            own = left.T @ vector.double()
            squares = own.square().sum(1)
            least = torch.finfo(own.dtype).eps * vector.double().square().sum()
            return (responses * own).sum(1).div(squares).where(squares > least, 0).clamp(min=alpha)

        counted = sum(side_by_side(times, vectors.unbind()), torch.zeros_like(values))
        return product(left * (values * len(vectors) / counted), right)
