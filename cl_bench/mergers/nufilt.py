"""NUFILT: new task vectors pass through the null space of what is merged, and a low-rank adapter wins back the rest."""

from collections.abc import Sequence
from typing import Annotated, Literal, get_args

import torch
from pydantic import Field
from torch import Tensor

from cl_bench.mergers.engine.matrices import Matrices, Rest
from cl_bench.mergers.engine.matrix_folding import MatrixFold
from cl_bench.mergers.engine.model_folding import TaskParameter
from cl_bench.mergers.numerics.singular import singular

NufiltMatrices = Literal["attention_and_first_mlp", Matrices]
FirstTask = Literal["published", "whole"]

_PUBLISHED = (
    *("in_proj_weight", "qkv.weight", "q_proj.weight", "k_proj.weight", "v_proj.weight"),
    *("out_proj.weight", "attn.proj.weight", "mlp.c_fc.weight", "mlp.fc1.weight"),
)
_KEPT, _KEPT_OF, _SEEN, _RANK, _DEVIATION = 128, 768, 8, 64, 0.02


class NUFILT(MatrixFold):
    """Null-space filtering: M ← M + τ_t · (P + B · A).

    For each weight matrix, M is merged so far, V_p are the 128 leading right singular vectors of M, V_t the 8 leading
    ones of τ_t, and P = I - V_p · V_pᵀ lets pass what M does not react to. B (n, 64) and A (64, n) win back what the
    new task needs of the rest: from B = 0 and A ~ N(0, 0.02²), Adam takes ``steps`` steps along the gradient of

        ‖τ_t · V_t - (M + τ_t · (P + B · A)) · V_t‖²_F + ‖τ_t · B · A · V_p‖²_F

    Nothing is learned for the first task: B · A = 0. Whatever is no such matrix stays as it is.

    Source: "Null-Space Filtering for Data-Free Continual Model Merging", arXiv 2509.21413, with the settings of its
    code. As released, P of the first task comes from the singular vectors of M = 0, which are the unit vectors, so that
    the first task loses its first 128 input coordinates; with ``first_task=whole`` it loses none.

    Differs from the publication in: matrices with fewer than 768 columns have V_p of a sixth of their columns, since
    128 would be all that a small model has; and singular vectors that nothing determines are left out.

    Args:
        scaling: λ, which the publication does not have; 1 leaves the merged vector as it is.
        steps: Of Adam, per task; 0 leaves the filter alone.
        learning_rate: Of Adam.
        first_task: "published" or "whole", see above.
        matrices: "attention_and_first_mlp", as published: queries, keys, values, the projection behind them, and the
            first matrix of each MLP. Or see ``Matrices``.
        split_qkv: See ``MatrixMerger``.
        rest: See ``Rest``.
        seed: For A.

    Raises:
        ValueError: ``steps`` or ``learning_rate`` is negative, or a choice is unknown. In runs and in the merge command
            also: the model has no such matrix.
    """

    def __init__(
        self,
        scaling: float = 1.0,
        steps: Annotated[int, Field(ge=0)] = 50,
        learning_rate: Annotated[float, Field(ge=0)] = 1e-3,
        first_task: FirstTask = "published",
        matrices: NufiltMatrices = "attention_and_first_mlp",
        split_qkv: bool = True,
        rest: Rest = "pretrained",
        seed: int = 0,
    ) -> None:
        super().__init__(scaling, split_qkv, "linear" if matrices == "attention_and_first_mlp" else matrices, rest)
        self._published = matrices == "attention_and_first_mlp"
        if first_task not in get_args(FirstTask):
            raise ValueError(f"first_task must be 'published' or 'whole', not {first_task!r}")
        if steps < 0 or learning_rate < 0:
            raise ValueError(f"steps and learning_rate must not be negative, but are {steps} and {learning_rate}")
        self._steps, self._learning_rate, self._first_task, self.seed = steps, learning_rate, first_task, seed

    def check_names(self, names: Sequence[str]) -> None:
        """Refuses a model of which it would merge nothing."""
        if self._published and not any(name.endswith(_PUBLISHED) for name in names):
            raise ValueError("NUFILT merges matrices of attention and MLPs alone, and there are none: matrices=all")

    def parts(self, name: str, tensor: Tensor) -> int:
        """As every matrix method, for the matrices that are merged."""
        return 0 if self._published and not name.endswith(_PUBLISHED) else super().parts(name, tensor)

    def first_matrix(self, vector: Tensor) -> Tensor:
        """τ_1, as released without its first input coordinates."""
        if self._first_task == "published":
            vector[:, : _kept(vector)] = 0
        return vector

    def fold_matrix(self, merged: Tensor, vector: Tensor, parameter: TaskParameter) -> Tensor:
        """M + τ_t · (P + B · A)."""
        kept = singular(merged, _kept(vector))[2].T.to(vector)
        seen = singular(vector, _SEEN)[2].T.to(vector)
        both, left = torch.cat([seen, kept], dim=1), vector.T
        taken = vector @ kept @ kept.T
        # What B · A has to give back of V_t, and of V_p nothing.
        wanted = torch.cat([(taken - merged) @ seen, torch.zeros_like(vector @ kept)], dim=1)
        columns = vector.shape[1]
        inner = torch.randn(_RANK, columns, generator=parameter.generator, dtype=torch.float64).to(vector) * _DEVIATION
        outer = vector.new_zeros(columns, _RANK)
        adam = torch.optim.Adam([outer, inner], lr=self._learning_rate)
        for _ in range(self._steps):
            first, second = vector @ outer, inner @ both
            miss = (first @ second).sub_(wanted).mul_(2)
            outer.grad, inner.grad = left @ (miss @ second.T), first.T @ miss @ both.T
            adam.step()
        return vector.sub(taken).add_(vector @ outer @ inner).add_(merged)


def _kept(vector: Tensor) -> int:
    """The number of columns of V_p."""
    return _KEPT if vector.shape[1] >= _KEPT_OF else vector.shape[1] // 6
