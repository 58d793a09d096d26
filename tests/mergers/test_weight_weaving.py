"""Weight weaving around methods of every kind, against the mean of the models that it is made of."""

from collections.abc import Callable, Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cl_bench.mergers import (
    TSV,
    Average,
    BaseMerger,
    IsoC,
    IsoCTS,
    Last,
    Lines,
    MagMax,
    RunningMerge,
    TaskArithmetic,
    Ties,
    WeightWeaving,
)
from cl_bench.runtime.errors import UserError
from cl_bench.runtime.instantiate import instantiate
from tests.mergers.matrix_models import SHAPES, encoders

INNER: dict[str, tuple[Callable[[float], BaseMerger], Sequence[float]]] = {
    "magmax": (MagMax, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]),
    "task_arithmetic": (TaskArithmetic, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]),
    "lines of ties": (lambda scaling: Lines(Ties(1.0), 0.5, None, scaling), [k * 0.1 for k in range(1, 11)]),
    "ties": (lambda scaling: Ties(scaling, 0.4), [k * 0.1 for k in range(1, 19)]),
    "tsv": (TSV, [k * 0.1 for k in range(5, 21)]),
    "iso_c": (IsoC, [k * 0.1 for k in range(1, 21)]),
    "iso_cts": (lambda scaling: IsoCTS(scaling, 0.5), [k * 0.1 for k in range(1, 21)]),
}


@pytest.mark.parametrize("inner", INNER)
@settings(max_examples=5, deadline=None)
@given(tasks=st.integers(1, 4), seed=st.integers(0, 2**31), factors=st.sampled_from([None, [0.3], [2.0, -0.5]]))
def test_is_the_mean_of_the_tasks_and_of_a_merge_with_each_factor(
    inner: str, tasks: int, seed: int, factors: list[float] | None
) -> None:
    make, published = INNER[inner]
    start, *finetuned = encoders(tasks, seed)
    merges = [make(factor).merge(start, finetuned) for factor in factors or published]
    result = WeightWeaving(make(1.0), factors, 0.7).merge(start, finetuned)
    for name in SHAPES:
        mean = torch.stack([model[name] for model in [*finetuned, *merges]]).mean(0)
        torch.testing.assert_close(result[name], start[name] + 0.7 * (mean - start[name]))


def test_around_the_average_is_a_shorter_average() -> None:
    start, *finetuned = encoders(3)
    average, woven = (merger.merge(start, finetuned) for merger in (Average(), WeightWeaving(Average())))
    for name in SHAPES:
        torch.testing.assert_close(woven[name] - start[name], (average[name] - start[name]) * (3 + 5.5) / 13)


def test_the_memory_does_not_grow_and_a_stop_changes_nothing() -> None:
    start, *finetuned = encoders(3)
    merge, states = RunningMerge(WeightWeaving(MagMax(1.0)), start), []
    for model in finetuned:
        if states:
            merge = RunningMerge(WeightWeaving(MagMax(1.0)), start)
            merge.load_state_dict(states[-1])
        merge.add(model)
        states.append(merge.state_dict())
    assert not merge.keeps_models
    assert len({sum(tensor.numel() for tensor in state.values()) for state in states}) == 1
    whole = WeightWeaving(MagMax(1.0)).merge(start, finetuned)
    assert all(torch.equal(merge.merged()[name], whole[name]) for name in SHAPES)


def test_an_inner_scaling_would_count_twice_and_is_refused() -> None:
    with pytest.raises(ValueError, match=r"of\.scaling must be 1, not 0\.5"):
        WeightWeaving(MagMax(0.5))
    node = {"_target_": "cl_bench.mergers.WeightWeaving", "of": {"_target_": "cl_bench.mergers.MagMax", "scaling": 0.5}}
    with pytest.raises(UserError, match=r"of\.scaling must be 1, not 0\.5"):
        instantiate(node, "merger")


@pytest.mark.parametrize("factors", [[], [0.1, float("nan")], [float("inf")]])
def test_factors_that_are_none_are_refused(factors: list[float]) -> None:
    with pytest.raises(ValueError, match="factors must be one or more finite numbers"):
        WeightWeaving(Last(), factors)
