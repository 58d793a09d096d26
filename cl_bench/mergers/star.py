"""STAR: each task vector loses its weak singular values, the others grow to make up for it, and the mean is taken."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from cl_bench.mergers.engine.matrices import Matrices, MatrixMerger, Rest
from cl_bench.mergers.numerics.products import product
from cl_bench.mergers.numerics.side_by_side import side_by_side
from cl_bench.mergers.numerics.singular import singular


class STAR(MatrixMerger):
    """Spectral truncation and rescaling: the mean of task vectors that keep only their strong directions.

    For each weight matrix, with τ_t = U · diag(σ) · Vᵀ and the nuclear norm ‖τ_t‖_* = Σ_i σ_i:

    1. Truncate: keep the k leading singular values, where k is the least number whose sum reaches η · ‖τ_t‖_*.
    2. Rescale: multiply them by ‖τ_t‖_* / (σ_1 + … + σ_k), so that the nuclear norm is what it was.
    3. Take the mean over all tasks.

    Source: Lee et al., "STAR: Spectral Truncation and Rescale for Model Merging", NAACL 2025, arXiv 2502.10339.

    Differs from the publication in: it merges language models that were fine-tuned with LoRA, and truncates every task
    vector that has two dimensions; here that is "all". Open_clip's fused attention is one such matrix.

    Args:
        scaling: λ, which the publication does not have; 1 leaves the mean as it is.
        share: η, the share of the nuclear norm that the kept singular values reach; 1 keeps all.
        split_qkv: See ``MatrixMerger``.
        matrices: See ``Matrices``.
        rest: See ``Rest``.

    Raises:
        ValueError: ``share`` is not in (0, 1].
    """

    def __init__(
        self,
        scaling: float = 1.0,
        share: Annotated[float, Field(gt=0, le=1)] = 0.4,
        split_qkv: bool = False,
        matrices: Matrices = "all",
        rest: Rest = "average",
    ) -> None:
        super().__init__(scaling, split_qkv, matrices, rest)
        if not 0 < share <= 1:
            raise ValueError(f"share must be above 0 and at most 1, but is {share}")
        self._share = share

    def combine_matrices(self, vectors: Tensor) -> Tensor:
        """The three steps."""
        total = torch.zeros_like(vectors[0], dtype=torch.float64)
        for vector in side_by_side(self._truncated, vectors.unbind()):
            total += vector
        return total.div_(len(vectors))

    def _truncated(self, vector: Tensor) -> Tensor:
        left, values, right = singular(vector)
        sums = values.cumsum(0)
        norm = sums[-1]
        keep = int((sums < self._share * norm).sum()) + 1
        growth = norm / sums[keep - 1] if norm else norm
        return product(left[:, :keep] * (growth * values[:keep]), right[:keep])
