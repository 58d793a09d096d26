"""WUDI: the merged vector that disturbs each task least where the task's own vector lies, found by Adam."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from cl_bench.mergers.engine.matrices import Matrices, MatrixMerger, Rest
from cl_bench.mergers.numerics.products import in_rows, product
from cl_bench.mergers.numerics.side_by_side import side_by_side


class Wudi(MatrixMerger):
    """WUDI-Merging: a linear layer's task vector spans the inputs that it was trained on, so it can stand for them.

    For each weight matrix, from τ = Σ_t τ_t on, Adam minimizes

        L(τ) = Σ_t ‖(τ - τ_t) · τ_tᵀ‖²_F / ‖τ_t‖²_F

    Its gradient is linear in τ, 2 Σ_t (τ - τ_t) · C_t with C_t = τ_tᵀ · τ_t / ‖τ_t‖²_F, so that a step costs one
    product of matrices, however many tasks there are.

    Source: Cheng et al., "Whoever Started the Interference Should End It", ICML 2025, arXiv 2503.08099; steps,
    learning rate, layers (those of attention and MLP, open_clip's fused attention in one piece) and that
    everything else stays pre-trained, from the authors' code. FusionBench takes all matrices and averages the rest.

    Differs from the publication in: a task vector that is 0 has no part, while the published code divides by 0; Adam
    moves the difference to Σ_t τ_t, not the sum itself, so that less is lost to rounding.

    Args:
        scaling: λ, which the publication does not have; 1 leaves the merged vector as it is.
        steps: Of Adam; 0 leaves the sum.
        learning_rate: Of Adam, in units of the weights.
        split_qkv: See ``MatrixMerger``.
        matrices: See ``Matrices``.
        rest: See ``Rest``.

    Raises:
        ValueError: ``steps`` or ``learning_rate`` is negative.
    """

    def __init__(
        self,
        scaling: float = 1.0,
        steps: Annotated[int, Field(ge=0)] = 300,
        learning_rate: Annotated[float, Field(ge=0)] = 1e-5,
        split_qkv: bool = False,
        matrices: Matrices = "linear",
        rest: Rest = "pretrained",
    ) -> None:
        super().__init__(scaling, split_qkv, matrices, rest)
        if steps < 0 or learning_rate < 0:
            raise ValueError(f"steps and learning_rate must not be negative, but are {steps} and {learning_rate}")
        self._steps, self._learning_rate = steps, learning_rate

    def combine_matrices(self, vectors: Tensor) -> Tensor:
        """Σ_t τ_t, moved by Adam."""
        total = vectors.sum(0)
        curvature, start = total.new_zeros(total.shape[1], total.shape[1]), torch.zeros_like(total)
        for vector in vectors:
            if square := vector.square().sum():
                own = product(vector.T, vector).div_(square)
                start += product(total - vector, own)
                curvature += own
        # No row of τ is in the gradient of another.
        moved = side_by_side(lambda rows: self._moved(rows, curvature), in_rows(start))
        return total.add_(torch.cat(list(moved)))

    def _moved(self, start: Tensor, curvature: Tensor) -> Tensor:
        moved = torch.zeros_like(start)
        gradient = moved.grad = torch.empty_like(start)
        adam = torch.optim.Adam([moved], lr=self._learning_rate, fused=True)
        for _ in range(self._steps):
            torch.addmm(start, moved, curvature, beta=2, alpha=2, out=gradient)
            adam.step()
        return moved
