"""OPCM: each new task vector is stripped of the directions that the models so far have taken, then added."""

import math
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from cl_bench.mergers import State
from cl_bench.mergers.engine.matrices import Matrices, Rest, is_outside_layers
from cl_bench.mergers.engine.matrix_folding import MatrixFold
from cl_bench.mergers.engine.model_folding import TaskParameter
from cl_bench.mergers.numerics.products import product
from cl_bench.mergers.numerics.singular import singular


class OPCM(MatrixFold):
    """Orthogonal projection-based continual merging.

    For each weight matrix M_1 = τ_1 and M_t = M_{t-1} + P(τ_t). With M_{t-1} = U · diag(σ) · Vᵀ, all of U and V, P
    takes τ_t into these coordinates, Uᵀ · τ_t · V, sets the diagonal and the leading (k, k) block to 0, and goes back;
    k is the number of leading σ whose sum stays within ``alpha`` of the whole. Of any other parameter M is the sum.
    The whole model is then scaled to the task vectors' mean length: τ = M_T · mean_t ‖τ_t‖ / ‖M_T‖. M is kept in
    float64.

    What belongs to no layer of a CLIP model, its class embedding above all, is not merged: it stays as the first task
    has it, M_1 = τ_1 and M_t = s_{t-1} · M_{t-1}, where s_t = mean_{i≤t} ‖τ_i‖ / ‖M_t‖ is what the whole model is
    scaled by after task t. As a rule, it shrinks with every task.

    Source: Tang et al., "Merging Models on the Fly Without Retraining", NeurIPS 2025, arXiv 2501.09522. The
    publication scales after every task, which comes to the same for what is merged: P does not depend on the length
    of M. Which layers, k and ``alpha`` are those of the authors' code, FusionBench, which has separate projections to
    queries, keys and values, and goes through the layers, so that it does not get to see the class embedding. Merged as
    the rest (``outside_layers=merged``), the class embedding differs by 97 % of its change after five tasks of the
    embedded digits, and everything else, by way of ‖M_t‖, by 0.04 %.

    Differs from the publication in: singular vectors that nothing determines, where the rank of M is not full, have no
    diagonal to be set to 0; and alpha = 1 takes the whole block, where the published code takes none of it.

    Args:
        scaling: λ, which the publication does not have; 1 leaves the merged vector as it is.
        alpha: Share of the sum of singular values whose directions are kept free of new tasks.
        split_qkv: See ``MatrixMerger``.
        matrices: See ``Matrices``.
        rest: See ``Rest``.
        outside_layers: What becomes of the class embedding, and of ``logit_scale`` where there is one: "first", as
            above, or "merged", as ``rest`` says.

    Raises:
        ValueError: ``alpha`` is not in [0, 1], or a choice is unknown.
    """

    version = 3  # 2: the class embedding is treated as released; 3: it folds, in float64
    state: ClassVar = {"merged": torch.float64}
    numbers: ClassVar = {"lengths": 0.0, "scale": 0.0, "kept": 1.0}

    def __init__(
        self,
        scaling: float = 1.0,
        alpha: Annotated[float, Field(ge=0, le=1)] = 0.5,
        split_qkv: bool = True,
        matrices: Matrices = "linear",
        rest: Rest = "sum",
        outside_layers: Literal["first", "merged"] = "first",
    ) -> None:
        super().__init__(scaling, split_qkv, matrices, rest)
        if outside_layers not in ("first", "merged"):
            raise ValueError(f"outside_layers must be 'first' or 'merged', not {outside_layers!r}")
        if not 0 <= alpha <= 1:
            raise ValueError(f"alpha must be between 0 and 1, but is {alpha}")
        self._alpha, self._keeps_first = alpha, outside_layers == "first"

    def fold(self, state: State, parameter: TaskParameter, seen: tuple[float, ...]) -> Tensor:
        """M_t; and what ``count`` needs: the squared lengths of τ_t, of M_t, and of M_1 where it is kept."""
        (merged,) = state
        if not (keeps := self._keeps_first and is_outside_layers(parameter.name)):
            super().fold(state, parameter, seen)
        elif parameter.task == 1:
            merged.copy_(parameter.vector)
        length = _square(super().combine(state, parameter.name, parameter.task, {}))
        squares = [_square(parameter.vector), 0.0 if keeps else length, length if keeps else 0.0]
        return torch.tensor(squares, dtype=torch.float64)

    def fold_matrix(self, merged: Tensor, vector: Tensor, parameter: TaskParameter) -> Tensor:
        """M_{t-1} + P(τ_t)."""
        left, values, right = singular(merged)
        taken = product(product(left.T, vector.double()), right.T)
        leading = int((values.cumsum(0) <= self._alpha * values.sum()).sum())
        kept = ~torch.eye(len(values), dtype=torch.bool, device=values.device)
        kept[:leading, :leading] = False
        return merged + vector - product(product(left, taken.masked_fill(kept, 0)), right)

    def count(self, numbers: dict[str, float], sums: Tensor, task: int) -> None:
        """s_t, from ‖τ_t‖ and ‖M_t‖."""
        of_task, of_merged, of_kept = sums.expand(3).tolist()
        numbers["lengths"] += math.sqrt(of_task)
        length = math.sqrt(of_merged + numbers["kept"] ** 2 * of_kept)
        numbers["scale"] = numbers["lengths"] / task / length if length > 0 else 0.0
        numbers["kept"] *= numbers["scale"]

    def combine(self, state: State, name: str, tasks: int, numbers: Mapping[str, float]) -> Tensor:
        """M_T, scaled."""
        keeps = self._keeps_first and is_outside_layers(name)
        return super().combine(state, name, tasks, numbers) * numbers["kept" if keeps else "scale"]


def _square(vector: Tensor) -> float:
    """The squared length."""
    return float(vector.double().square().sum())
