"""Iso-CTS: Iso-C, with the sum's weakest directions given to what is special to each task."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from cl_bench.mergers.engine.matrices import Matrices, MatrixMerger, Rest
from cl_bench.mergers.numerics.products import product
from cl_bench.mergers.numerics.side_by_side import side_by_side
from cl_bench.mergers.numerics.singular import orthogonal_factor, singular


class IsoCTS(MatrixMerger):
    """Isotropic merging in common and task-specific subspaces.

    For each weight matrix, of r = min(m, n) directions each task gets s = round((r - ⌊c · r⌋) / T), at most ⌊r / T⌋,
    and the rest, r - T · s, are common:

    1. Common: U_c, σ_c and V_c, the leading singular values and vectors of Σ_t τ_t.
    2. Of each task: U_t, σ_t and V_t, the s leading ones of what is left of it, τ_t - U_c · U_cᵀ · τ_t.
    3. Û = [U_1 … U_T U_c] and V̂ likewise are replaced by the nearest matrices with orthonormal columns, and all
       singular values by their mean σ̄: τ = σ̄ · Û_⊥ · V̂_⊥ᵀ.

    Source: Marczak et al., "No Task Left Behind", ICML 2025, arXiv 2502.04959. The rounding is the published code's.

    Differs from the publication in: singular vectors that nothing determines are left out, as in ``IsoC``, whose other
    remarks hold here too; and s is bounded, while the published code may ask for a negative number of common directions
    of a matrix with fewer rows or columns than there are tasks.

    Args:
        scaling: λ.
        common_space_fraction: c, the common share of the directions.
        split_qkv: See ``MatrixMerger``.
        matrices: See ``Matrices``.
        rest: See ``Rest``.

    Raises:
        ValueError: ``common_space_fraction`` is not in [0, 1].
    """

    def __init__(
        self,
        scaling: float = 1.0,
        common_space_fraction: Annotated[float, Field(ge=0, le=1)] = 0.8,
        split_qkv: bool = False,
        matrices: Matrices = "all",
        rest: Rest = "average",
    ) -> None:
        super().__init__(scaling, split_qkv, matrices, rest)
        if not 0 <= common_space_fraction <= 1:
            raise ValueError(f"common_space_fraction must be between 0 and 1, but is {common_space_fraction}")
        self._common_space_fraction = common_space_fraction

    def combine_matrices(self, vectors: Tensor) -> Tensor:
        """The three steps."""
        tasks, *shape = vectors.shape
        directions = min(shape)
        special = round((directions - int(directions * self._common_space_fraction)) / tasks)
        special = min(special, directions // tasks)
        common = directions - tasks * special
        parts = [singular(vectors.sum(0), common)]
        shared = parts[0][0]

        def own(vector: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            return singular(vector - product(shared, product(shared.T, vector.double())), special)

        parts += side_by_side(own, vectors.unbind() if special else ())
        lefts, values, rights = zip(*parts, strict=True)
        left, right = side_by_side(orthogonal_factor, [torch.cat(lefts, dim=1), torch.cat(rights)])
        return product(left, right).mul_(torch.cat(values).mean())
