"""Core space: another method merges low-rank task vectors within the directions that all of them together span."""

from collections.abc import Sequence

import torch
from pydantic import InstanceOf
from torch import Tensor

from cl_bench.mergers import BaseMerger, Stack
from cl_bench.mergers.engine.in_a_basis import Basis, InABasis
from cl_bench.mergers.engine.matrices import Matrices
from cl_bench.mergers.numerics.side_by_side import side_by_side
from cl_bench.mergers.numerics.singular import left_singular, singular


class CoreSpace(InABasis):
    """Core space merging: another method merges task vectors of low rank, such as LoRA's, in the directions they span.

    For each weight matrix (m, n), with τ_t = B_t · A_t of rank r_t:

    1. U (m, k): the left singular vectors of [B_1 … B_T]. V (n, l): the right ones of the A_t, one below the other.
       Both are in falling order of singular values.
    2. The other method merges the Uᵀ · τ_t · V, which lose nothing of τ_t, in place of the τ_t.
    3. U · (what it has merged) · Vᵀ is the merged task vector.

    All other parameters are merged by the other method as they are.

    Source: Panariello et al., "Accurate and Efficient Low-Rank Model Merging in Core Space", NeurIPS 2025,
    arXiv 2509.17786. As in the authors' code, the inner method merges each matrix by itself, so that a trim counts
    within it.

    Differs from the publication in: B_t and A_t are LoRA's own factors there. Here B_t = U_t · Σ_t^½ and
    A_t = Σ_t^½ · V_tᵀ, from τ_t's own decomposition, so that any task vector will do: with ``trainer=lora``, which goes
    on from the weights before, τ_t has rank t · r. Another factorization of the same τ_t turns U and V within the same
    span, which an elementwise inner method notices and a linear one does not. Since θ_t is rounded to its type, τ_t has
    full rank. What that can make is left out: singular values of τ_t, and squares of those of [B_1 … B_T] and of the
    A_t, up to 2ε · (the length of θ_t's longest row or column), with ε the type's rounding.

    Args:
        of: The inner method. Its λ is part of what it merges.
        per_matrix: Whether the inner method merges each matrix by itself; otherwise a trim counts over all matrices.
        scaling: λ of the result. The authors chose it on validation data; 1 leaves it as it is.
        split_qkv: See ``MatrixMerger``.
        matrices: See ``Matrices``.

    Raises:
        ValueError: See ``InABasis``.
    """

    def __init__(
        self,
        of: InstanceOf[BaseMerger],
        per_matrix: bool = True,
        scaling: float = 1.0,
        split_qkv: bool = True,
        matrices: Matrices = "linear",
    ) -> None:
        super().__init__(of, scaling, split_qkv, matrices, per_matrix)

    def basis(self, matrix: Stack) -> Basis:
        """U and V."""
        roundings = [_rounding(weights) for weights in matrix.weights]
        pairs = zip(matrix.vectors.unbind(), roundings, strict=True)
        lefts, rights = zip(*side_by_side(_factors, list(pairs)), strict=True)
        left, right = (_span(factors, max(roundings)) for factors in (lefts, rights))
        return Basis(left, right)


def _rounding(weights: Tensor) -> float:
    """A bound for the singular values of what rounding to its type adds to a matrix.

    Errors that do not depend on each other add up to a matrix no larger than its longest row and its longest column
    together.
    """
    wide = weights.detach().double()
    longest = max(float(torch.linalg.vector_norm(wide, dim=dim).max()) for dim in (0, 1))
    return torch.finfo(weights.dtype).eps * 2 * longest


def _factors(pair: tuple[Tensor, float]) -> tuple[Tensor, Tensor]:
    """B_t (m, r) and A_tᵀ (n, r)."""
    vector, rounding = pair
    left, values, right = singular(vector)
    kept = values > rounding
    roots = values[kept].sqrt()
    return left[:, kept] * roots, right[kept].T * roots


def _span(factors: Sequence[Tensor], rounding: float) -> Tensor:
    """The left singular vectors of matrices side by side."""
    if not any(factor.numel() for factor in factors):
        return factors[0]
    left, values = left_singular(factors)
    return left[:, values.square() > rounding]
