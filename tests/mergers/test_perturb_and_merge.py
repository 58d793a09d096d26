from typing import Any

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cl_bench.mergers import PerturbAndMerge
from tests.mergers.matrix_models import SHAPES, encoders

NAMES = sorted(SHAPES)


def flat(model: dict[str, Tensor]) -> Tensor:
    return torch.cat([model[name].double().flatten() for name in NAMES])


def importances(tasks: int, seed: int) -> list[dict[str, Tensor]]:
    """Of all parameters but one, which the task did not train."""
    models = encoders(tasks, seed + 1)[1:]
    return [{name: model[name].square() for name in NAMES if name != "conv1.weight"} for model in models]


def loss(weights: Tensor, models: list[Tensor], fishers: list[Tensor]) -> float:
    return sum(
        float(((weights - model).square() * fisher).sum()) for model, fisher in zip(models, fishers, strict=True)
    )


@settings(max_examples=20, deadline=None)
@given(tasks=st.integers(1, 5), seed=st.integers(0, 2**31))
def test_no_other_step_is_better(tasks: int, seed: int) -> None:
    models, fishers = encoders(tasks, seed), importances(tasks, seed)
    none = {"conv1.weight": torch.zeros(SHAPES["conv1.weight"])}
    weights, importance = [flat(model) for model in models], [flat(fisher | none) for fisher in fishers]
    statistics: list[Any] = [{"squared_gradients": fisher} for fisher in fishers]
    before = weights[0]
    for t in range(1, tasks + 1):
        after = flat(PerturbAndMerge().merge(models[0], models[1 : t + 1], statistics=statistics[:t]))
        change = weights[t] - before
        steps = torch.linspace(-1, 2, 30_001, dtype=torch.float64)
        losses = [loss(before + step * change, weights[1 : t + 1], importance[:t]) for step in steps[::300]]
        assert loss(after, weights[1 : t + 1], importance[:t]) <= min(losses) * (1 + 1e-12) + 1e-12
        alpha = float((after - before) @ change / (change @ change))
        torch.testing.assert_close(after, before + alpha * change)
        before = after


def test_without_any_importance_nothing_moves() -> None:
    models = encoders(2, seed=1)
    zeros = {"squared_gradients": {name: torch.zeros(shape) for name, shape in SHAPES.items()}}
    merged = PerturbAndMerge().merge(models[0], models[1:], statistics=[zeros, zeros])
    assert all(torch.equal(merged[name], models[0][name]) for name in SHAPES)
