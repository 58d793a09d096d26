"""Every faster way has the bits of the formula, and is nobody's who may compute something else."""

from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cl_bench.mergers import MERGERS, Average, BaseMerger, MagMax, TaskArithmetic, fast

CASES = [Average(0.7), MagMax(0.5), MagMax(1.0), TaskArithmetic(0.3), TaskArithmetic(1.0, "sqrt_tasks")]
every_case = pytest.mark.parametrize("merger", CASES, ids=lambda merger: type(merger).__name__)
# With few values, ties, zeros of both signs and sums that cancel are frequent.
MODELS = arrays(np.float32, (5, 12), elements=st.sampled_from([-2.0, -1.0, -0.1, -0.0, 0.0, 0.1, 1.0, 2.0]))


def test_every_way_belongs_to_a_rule_and_has_a_case() -> None:
    rules = {f"{rule.__module__}.{rule.__qualname__}": rule for rule in MERGERS.values()}
    assert fast.WAYS.keys() <= rules.keys()
    assert {rules[name] for name in fast.WAYS} == {type(merger) for merger in CASES}


@every_case
@given(values=MODELS)
@settings(max_examples=60, deadline=None)
def test_a_way_has_the_bits_of_the_formula(merger: BaseMerger, values: np.ndarray) -> None:
    models = [{"w": torch.tensor(row)} for row in values]
    with mock.patch.object(fast, "WAYS", {}):
        expected = merger.merge(models[0], models[1:])["w"]
    with mock.patch.object(fast, "write", wraps=fast.write) as write:
        merged = merger.merge(models[0], models[1:])["w"]
    assert write.called
    assert torch.equal(merged.view(torch.int32), expected.view(torch.int32))


def test_a_class_derived_from_a_rule_is_merged_by_its_own_formula() -> None:
    class Halved(MagMax):
        def fold(self, state: tuple[torch.Tensor, ...], block: object) -> None:
            super().fold(state, block)
            state[0].div_(2)

    models = [{"w": torch.full((3,), float(task))} for task in range(2)]
    assert Halved(1.0).merge(models[0], models[1:])["w"].tolist() == [0.5] * 3


def test_a_class_derived_from_a_rule_is_looked_through_for_nan() -> None:
    class Last(MagMax):
        def fold(self, state: tuple[torch.Tensor, ...], block: object) -> None:
            state[0].copy_(block.vector)

    models = [{"w": torch.tensor([value])} for value in (0.0, float("nan"), 1.0)]
    with pytest.raises(ValueError, match=r"task 1\): 'w' has a NaN"):
        Last(1.0).merge(models[0], models[1:])
