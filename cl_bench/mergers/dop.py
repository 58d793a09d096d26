"""DOP: task by task, Adam looks for weights near to both models where each has learned something."""

from typing import Annotated, Literal, NamedTuple, get_args

import torch
from pydantic import Field
from torch import Tensor

from cl_bench.mergers import State
from cl_bench.mergers.engine.matrices import Matrices, Rest, is_outside_layers
from cl_bench.mergers.engine.matrix_folding import MatrixFold
from cl_bench.mergers.engine.model_folding import TaskParameter
from cl_bench.mergers.numerics.one_thread import one_thread
from cl_bench.mergers.numerics.products import add_product, product
from cl_bench.mergers.numerics.singular import singular

OutsideLayers = Literal["pretrained", "first", "merged"]


class DOP(MatrixFold):
    """Dual orthogonal projection: a compromise between what is merged and the next task, found by Adam.

    For each weight matrix, τ = τ_1 after the first task. Then, for each next task, with x_1 = τ, which stands for
    stability, and x_2 = τ_t, for plasticity, each with its leading singular values and vectors U_i, Σ_i and V_i, Adam
    starts from (x_1 + x_2) / 2 and takes ``steps`` steps along c · ∇L_1 + (1 - c) · ∇L_2, where

        L_i(w) = ‖Σ_i · U_iᵀ · (w - x_i)‖²_F + ‖(w - x_i) · V_i · Σ_i‖²_F

    c is ``stability`` at first; before each step it moves, c ← β · c + (1 - β) · γ, towards the share γ with which
    γ · g_1 + (1 - γ) · g_2 is shortest (multiple-gradient descent), for g_i = ∇L_i / L_i; γ stays within
    [0.001, 0.999].

    Source: Yang et al., "Continual Model Merging without Data: Dual Projections for Balancing Stability and
    Plasticity", NeurIPS 2025 (no arXiv number known). The rule in detail, and the settings, from FusionBench, whose
    author is one of the paper's. It reads separate projections to queries, keys and values. With each task from the
    second on, it fills the layers of the pre-trained model anew, so that what belongs to no layer of a CLIP model, its
    class embedding above all, is the pre-trained one again. Merged as the rest (``outside_layers=merged``), it has a
    task vector, and nothing else differs; after five tasks of the embedded digits that is 1 % of the whole model's.

    Differs from the publication in: g_i is 0 where L_i is, as for two equal models; published code divides 0 by 0.

    Args:
        scaling: λ, which the publication does not have; 1 leaves the merged vector as it is.
        steps: Of Adam, per task; 0 leaves the running mean.
        learning_rate: Of Adam, in units of the weights.
        stability: What c starts from.
        decay: β; 1 keeps c as it is.
        energy: Share of the sum of singular values below which the leading ones stay: kept are those with
            (σ_1 + … + σ_k) / Σσ < energy.
        split_qkv: See ``MatrixMerger``.
        matrices: See ``Matrices``.
        rest: See ``Rest``.
        outside_layers: What becomes of the class embedding, and of ``logit_scale`` where there is one: "pretrained",
            as above; "first", it stays as the first task has it; or "merged", as ``rest`` says.

    Raises:
        ValueError: A share is not in [0, 1], ``steps`` or ``learning_rate`` is negative, or a choice is unknown.
    """

    version = 3  # 2: the class embedding is treated as released; 3: it folds

    def __init__(
        self,
        scaling: float = 1.0,
        steps: Annotated[int, Field(ge=0)] = 200,
        learning_rate: Annotated[float, Field(ge=0)] = 1e-4,
        stability: Annotated[float, Field(ge=0, le=1)] = 0.8,
        decay: Annotated[float, Field(ge=0, le=1)] = 0.999,
        energy: Annotated[float, Field(ge=0, le=1)] = 0.99999,
        split_qkv: bool = True,
        matrices: Matrices = "linear",
        rest: Rest = "halving",
        outside_layers: OutsideLayers = "pretrained",
    ) -> None:
        super().__init__(scaling, split_qkv, matrices, rest)
        if outside_layers not in get_args(OutsideLayers):
            raise ValueError(f"outside_layers must be 'pretrained', 'first' or 'merged', not {outside_layers!r}")
        if steps < 0 or learning_rate < 0:
            raise ValueError(f"steps and learning_rate must not be negative, but are {steps} and {learning_rate}")
        for share in (stability, decay, energy):
            if not 0 <= share <= 1:
                raise ValueError(f"stability, decay and energy must be between 0 and 1, but one is {share}")
        self._steps, self._learning_rate = steps, learning_rate
        self._stability, self._decay, self._energy = stability, decay, energy
        self._outside_layers = outside_layers

    def fold(self, state: State, parameter: TaskParameter, seen: tuple[float, ...]) -> None:
        """As every matrix method, but for what is outside of layers; one task alone stays as it is."""
        (merged,) = state
        if self._outside_layers == "merged" or not is_outside_layers(parameter.name):
            super().fold(state, parameter, seen)
        elif parameter.task == 1:
            merged.copy_(parameter.vector)
        elif self._outside_layers == "pretrained":
            merged.zero_()

    def fold_matrix(self, merged: Tensor, vector: Tensor, parameter: TaskParameter) -> Tensor:
        """The compromise of M_{t-1} and τ_t."""
        one, other = _target(merged, self._energy), _target(vector, self._energy)
        weights, stability = (merged + vector).div_(2), self._stability
        first, second, total = (torch.empty_like(weights) for _ in range(3))
        weights.grad = total
        adam = torch.optim.Adam([weights], lr=self._learning_rate, fused=True)
        for _ in range(self._steps):
            losses = _slope(one, weights, first), _slope(other, weights, second)
            if self._decay < 1:
                stability = self._decay * stability + (1 - self._decay) * _shortest(first, second, losses)
            torch.mul(first, 2 * stability, out=total).add_(second, alpha=2 * (1 - stability))
            adam.step()
        return weights.detach()


class _Target(NamedTuple):
    """A model to be near to: its task vector x, and what multiplies a distance from it, from the left and the right.

    One after the other, the left matrices multiply to U · Σ² · Uᵀ, the right ones to V · Σ² · Vᵀ.
    """

    vector: Tensor
    left: tuple[Tensor, ...]
    right: tuple[Tensor, ...]


def _target(vector: Tensor, energy: float) -> _Target:
    left, values, right = singular(vector)
    keep = int((values.cumsum(0) < energy * values.sum()).sum())
    seen_left, seen_right = (left * values)[:, :keep].to(vector), (values[:, None] * right)[:keep].T.to(vector)
    return _Target(vector, _factors(seen_left), _factors(seen_right))


def _factors(seen: Tensor) -> tuple[Tensor, ...]:
    """S · Sᵀ in whichever form takes less to multiply with."""
    return (product(seen, seen.T),) if seen.shape[0] <= 2 * seen.shape[1] else (seen.T, seen)


def _slope(target: _Target, weights: Tensor, slope: Tensor) -> float:
    """Writes half of the gradient of L_i, U · Σ² · Uᵀ · D + D · V · Σ² · Vᵀ with D = w - x, and returns L_i."""
    distance = weights - target.vector
    from_left = from_right = distance
    for factor in target.left[:-1]:
        from_left = product(factor, from_left)
    for factor in target.right[:-1]:
        from_right = product(from_right, factor.T)
    product(target.left[-1], from_left, slope)
    add_product(from_right, target.right[-1].T, slope)
    return _dot(distance, slope)


def _shortest(one: Tensor, other: Tensor, losses: tuple[float, float]) -> float:
    """The share of the first with which the weighted mean of g_i = ∇L_i / L_i is shortest, from halves of the ∇L_i."""
    scales = [1 / loss if loss > 0 else 0.0 for loss in losses]
    own, others = _dot(one, one) * scales[0] ** 2, _dot(other, other) * scales[1] ** 2
    both = _dot(one, other) * scales[0] * scales[1]
    if both >= own:
        return 0.999
    if both >= others:
        return 0.001
    return (others - both) / (own + others - 2 * both)


def _dot(one: Tensor, other: Tensor) -> float:
    with one_thread():
        return float(torch.dot(one.view(-1), other.view(-1)))
