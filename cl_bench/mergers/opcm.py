"""OPCM: each new task vector is stripped of the directions that the models so far have taken, then added."""

from collections.abc import Callable, Iterator
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from cl_bench.mergers.blocks import Stack, Weights
from cl_bench.mergers.matrices import Matrices, MatrixMerger, Rest
from cl_bench.mergers.one_thread import one_thread
from cl_bench.mergers.products import product
from cl_bench.mergers.singular import singular


class OPCM(MatrixMerger):
    """Orthogonal projection-based continual merging.

    For each weight matrix M_1 = τ_1 and M_t = M_{t-1} + P(τ_t). With M_{t-1} = U · diag(σ) · Vᵀ, all of U and V, P
    takes τ_t into these coordinates, Uᵀ · τ_t · V, sets the diagonal and the leading (k, k) block to 0, and goes back;
    k is the number of leading σ whose sum stays within ``alpha`` of the whole. Of any other parameter M is the sum.
    The whole model is then scaled to the task vectors' mean length: τ = M_T · mean_t ‖τ_t‖ / ‖M_T‖. All of M_T is kept
    until then, which takes the memory of one model more.

    Source: Tang et al., "Merging Models on the Fly Without Retraining", NeurIPS 2025, arXiv 2501.09522. The
    publication scales after every task, which comes to the same: P does not depend on the length of M. Which layers,
    k and ``alpha`` are those of the authors' code, which has separate projections to queries, keys and values.

    Differs from the publication in: singular vectors that nothing determines, where the rank of M is not full, have no
    diagonal to be set to 0; and alpha = 1 takes the whole block, where the published code takes none of it.

    Args:
        scaling: λ, which the publication does not have; 1 leaves the merged vector as it is.
        alpha: Share of the sum of singular values whose directions are kept free of new tasks.
        split_qkv: See ``MatrixMerger``.
        matrices: See ``Matrices``.
        rest: See ``Rest``.

    Raises:
        ValueError: ``alpha`` is not in [0, 1].
    """

    def __init__(
        self,
        scaling: float = 1.0,
        alpha: Annotated[float, Field(ge=0, le=1)] = 0.5,
        split_qkv: bool = True,
        matrices: Matrices = "linear",
        rest: Rest = "sum",
    ) -> None:
        super().__init__(scaling, split_qkv, matrices, rest)
        if not 0 <= alpha <= 1:
            raise ValueError(f"alpha must be between 0 and 1, but is {alpha}")
        self._alpha = alpha

    def look_over(self, stacks: Callable[[], Iterator[Stack]]) -> Weights:
        """M_T of each parameter by its name, scaled by mean_t ‖τ_t‖ / ‖M_T‖ over all of them."""
        merged: dict[str, Tensor] = {}
        of_tasks, of_merged = torch.zeros((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)
        for stack in stacks():
            merged[stack.name] = super().combine_stack(stack)
            with one_thread():
                of_tasks = of_tasks + torch.stack([vector.double().square().sum().cpu() for vector in stack.vectors])
                of_merged += merged[stack.name].double().square().sum().cpu()
        scale = float(of_tasks.sqrt().mean() / of_merged.sqrt()) if of_merged > 0 else 0.0
        return {name: vector.mul_(scale) for name, vector in merged.items()}

    def combine_stack(self, stack: Stack) -> Tensor:
        """M_T, scaled."""
        return stack.overview[stack.name].clone()

    def combine_matrices(self, vectors: Tensor) -> Tensor:
        """M_T."""
        merged = vectors[0].double()
        for vector in vectors[1:]:
            left, values, right = singular(merged)
            taken = product(product(left.T, vector.double()), right.T)
            leading = int((values.cumsum(0) <= self._alpha * values.sum()).sum())
            kept = ~torch.eye(len(values), dtype=torch.bool, device=values.device)
            kept[:leading, :leading] = False
            merged = merged + vector - product(product(left, taken.masked_fill(kept, 0)), right)
        return merged
