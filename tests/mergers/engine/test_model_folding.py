"""Rules that fold whole parameters, and look at the whole model."""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from cl_bench.mergers import DOP, OPCM, RunningMerge, State
from cl_bench.mergers.engine.model_folding import ModelFold, TaskParameter
from tests.mergers.matrix_models import SHAPES, by_hand, encoders


class Shares(ModelFold):
    """Each task vector divided by its length, summed; and in the end times the mean length."""

    state: ClassVar = {"sum": None}
    numbers: ClassVar = {"lengths": 0.0}

    def __init__(self, scaling: float = 1.0) -> None:
        super().__init__(scaling)

    def look(self, model: Callable[[], Iterator[tuple[State, TaskParameter]]]) -> tuple[float, ...]:
        return (math.fsum(float(parameter.vector.square().sum()) for _, parameter in model()) ** 0.5,)

    def fold(self, state: State, parameter: TaskParameter, seen: tuple[float, ...]) -> Tensor:
        state[0].add_(parameter.vector / seen[0])
        return parameter.vector.double().square().sum().reshape(1)

    def count(self, numbers: dict[str, float], sums: Tensor, task: int) -> None:
        numbers["lengths"] += float(sums) ** 0.5

    def combine(self, state: State, name: str, tasks: int, numbers: Mapping[str, float]) -> Tensor:
        return state[0] * (numbers["lengths"] / tasks)


def test_a_rule_of_ones_own_sees_the_whole_model_before_each_task() -> None:
    models = encoders(5, seed=3)
    vectors = [{name: model[name] - models[0][name] for name in SHAPES} for model in models[1:]]
    lengths = [sum(float(part.square().sum()) for part in vector.values()) ** 0.5 for vector in vectors]
    merged = Shares(0.5).merge(models[0], models[1:])
    for name in SHAPES:
        total = sum(vector[name] / length for vector, length in zip(vectors, lengths, strict=True))
        torch.testing.assert_close(merged[name], models[0][name] + 0.5 * total * sum(lengths) / 5)


class Wrong(Shares):
    def combine(self, state: State, name: str, tasks: int, numbers: Mapping[str, float]) -> Tensor:
        return state[0].sum()


def test_a_rule_that_returns_another_shape_is_named() -> None:
    models = encoders(1, seed=3)
    with pytest.raises(ValueError, match=r"Wrong\.combine returns float64 of shape \(\), not real numbers of \(4,\)"):
        Wrong().merge(models[0], models[1:])


FOLDS = {
    "opcm": lambda: OPCM(rest="average"),
    "dop": lambda: DOP(steps=3, learning_rate=0.01, rest="average"),
}
every_fold = pytest.mark.parametrize("make", FOLDS.values(), ids=FOLDS)


@every_fold
def test_the_state_has_the_same_bytes_for_two_tasks_and_for_fifty(make: Callable[[], ModelFold]) -> None:
    pretrained = encoders(0)[0]
    running = RunningMerge(make(), pretrained)
    bytes_of, generator = [], torch.Generator().manual_seed(1)
    for task in range(1, 51):
        moved = {name: pretrained[name] + torch.randn(shape, generator=generator) for name, shape in SHAPES.items()}
        running.add(pretrained | moved)
        if task in (2, 50):
            bytes_of.append(sum(tensor.nbytes for tensor in running.state_dict().values()))
    assert bytes_of[0] == bytes_of[1] and not running.keeps_models


@every_fold
def test_goes_on_in_the_middle_of_a_stream_with_the_same_bits(make: Callable[[], ModelFold]) -> None:
    models = encoders(6, seed=11, dtype=torch.float32)
    whole, before = RunningMerge(make(), models[0]), RunningMerge(make(), models[0])
    for model in models[1:4]:
        whole.add(model)
        before.add(model)
    resumed = RunningMerge(make(), models[0])
    resumed.load_state_dict(before.state_dict())
    for model in models[4:]:
        whole.add(model)
        resumed.add(model)
    one, other = whole.merged(), resumed.merged()
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("rest", ["average", "sum", "halving", "pretrained"])
def test_the_rest_is_the_same_as_if_all_tasks_were_kept(rest: Any) -> None:
    models = encoders(4, seed=5)
    by_rest: dict[str, Callable[[Tensor], Tensor]] = {
        "average": lambda v: v.mean(0),
        "sum": lambda v: v.sum(0),
        "halving": lambda v: v[0] / 8 + v[1] / 8 + v[2] / 4 + v[3] / 2,
        "pretrained": lambda v: v[0] * 0,
    }
    merged = DOP(steps=0, rest=rest, matrices="all", outside_layers="merged").merge(models[0], models[1:])
    expected = by_hand(models, by_rest["halving"], by_rest[rest], "all", split=True)
    for name in SHAPES:
        torch.testing.assert_close(merged[name], models[0][name] + expected[name])
