"""Mergers that fold one weight matrix after the other into what is merged so far."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from cl_bench.mergers.engine.blocks import State
from cl_bench.mergers.engine.matrices import Matrices, Rest, check_matrices, check_rest, parts_of
from cl_bench.mergers.engine.model_folding import ModelFold, TaskParameter


class MatrixFold(ModelFold):
    """A rule that takes the task vector of a weight matrix into the merged one: M ← fold_matrix(M, τ_t).

    A task costs the same number of decompositions, however many were there before it.

    Args:
        scaling: λ, for matrices and the rest alike.
        split_qkv: See ``MatrixMerger``, which merges all tasks' matrices together.
        matrices: See ``Matrices``.
        rest: See ``Rest``.
    """

    state: ClassVar[Mapping[str, torch.dtype | None]] = {"merged": None}

    def __init__(self, scaling: float, split_qkv: bool, matrices: Matrices, rest: Rest) -> None:
        super().__init__(scaling)
        check_matrices(matrices)
        check_rest(rest)
        self._split_qkv, self._matrices, self._rest = split_qkv, matrices, rest

    @abstractmethod
    def fold_matrix(self, merged: Tensor, vector: Tensor, parameter: TaskParameter) -> Tensor:
        """Returns M_t of one matrix.

        Args:
            merged: (m, n) M_{t-1}, in the state's type; must not be changed.
            vector: (m, n) τ_t.
            parameter: The whole parameter, for its name, its task and its random generator.
        """

    def first_matrix(self, vector: Tensor) -> Tensor:
        """Returns M_1 of one matrix: τ_1, unless a rule differs."""
        return vector

    def parts(self, name: str, tensor: Tensor) -> int:
        """The number of matrices, one below the other, that a parameter is merged as; 0 if ``rest`` merges it."""
        return parts_of(name, tensor, self._matrices, self._split_qkv)

    def fold(self, state: State, parameter: TaskParameter, seen: tuple[float, ...]) -> Tensor | None:
        """Merges each matrix by the rule, and anything else as ``rest`` says."""
        (merged,), vector = state, parameter.vector
        number = self.parts(parameter.name, vector)
        if number == 0:
            _fold_rest(merged, vector, parameter.task, self._rest)
            return None
        for part, own in zip(merged.flatten(1).chunk(number), vector.flatten(1).chunk(number), strict=True):
            part.copy_(self.first_matrix(own) if parameter.task == 1 else self.fold_matrix(part, own, parameter))
        return None

    def combine(self, state: State, name: str, tasks: int, numbers: Mapping[str, float]) -> Tensor:
        """M_T."""
        (merged,) = state
        is_mean = self._rest == "average" and self.parts(name, merged) == 0
        return merged / tasks if is_mean else merged


def _fold_rest(merged: Tensor, vector: Tensor, task: int, rest: Rest) -> None:
    """Folds in a parameter that is no matrix; for "average" the state is the sum."""
    if rest == "halving" and task > 1:
        merged.add_(vector).div_(2)
    elif rest != "pretrained":
        merged.add_(vector)
