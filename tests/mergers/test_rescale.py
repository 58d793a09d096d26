"""Norm-preserving rescaling around methods of every kind."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cl_bench.mergers import OPCM, TSV, Average, MagMax, Merger, Rescale, TaskArithmetic, Ties
from tests.mergers.matrix_models import SHAPES, encoders, task_vectors

INNER: list[Merger] = [TaskArithmetic(0.3), MagMax(0.5), Ties(0.55, 0.4, "encoder"), TSV(1.3)]


@pytest.mark.parametrize("per", ["model", "parameter"])
@pytest.mark.parametrize("of", INNER, ids=lambda of: type(of).__name__)
@settings(max_examples=10, deadline=None)
@given(tasks=st.integers(1, 4), seed=st.integers(0, 2**31))
def test_agrees_with_the_formula(of: Merger, per: Any, tasks: int, seed: int) -> None:
    start, *finetuned = models = encoders(tasks, seed)
    inner = of.merge(start, finetuned)
    merged = {name: inner[name] - start[name] for name in SHAPES}
    parts = [[name] for name in SHAPES] if per == "parameter" else [list(SHAPES)]
    result = Rescale(of, per, 0.8).merge(start, finetuned)
    for names in parts:
        squares = [[vector.square().sum() for vector in task_vectors(models, name)] for name in names]
        lengths = torch.tensor(squares, dtype=torch.float64).sum(0).sqrt()
        length = torch.cat([merged[name].flatten() for name in names]).norm()
        for name in names:
            # What cancels out to 0 in one order of operations may leave a rounding error in the other.
            factor = lengths.mean() / length if length > 1e-12 else 0
            expected = start[name] + 0.8 * factor * merged[name]
            torch.testing.assert_close(result[name], expected, rtol=1e-9, atol=1e-9)


def test_the_inner_scaling_does_not_count() -> None:
    start, *finetuned = encoders(3)
    one, other = (Rescale(TaskArithmetic(scaling)).merge(start, finetuned) for scaling in (1.0, 0.05))
    for name in SHAPES:
        torch.testing.assert_close(one[name], other[name])


def test_around_opcm_nothing_changes_since_it_does_the_same() -> None:
    start, *finetuned = encoders(3)
    alone, around = (merger.merge(start, finetuned) for merger in (OPCM(), Rescale(OPCM())))
    for name in SHAPES:
        torch.testing.assert_close(around[name], alone[name])


@pytest.mark.parametrize("per", ["model", "parameter"])
def test_what_cancels_out_stays_nothing(per: Any) -> None:
    start = {"a": torch.zeros(3), "b": torch.zeros(2, dtype=torch.bfloat16)}
    forth = {"a": torch.ones(3), "b": torch.ones(2, dtype=torch.bfloat16)}
    back = {name: -tensor for name, tensor in forth.items()}
    result = Rescale(Average(), per).merge(start, [forth, back])
    assert not result["a"].any() and not result["b"].any()


def test_an_unknown_scope_is_refused() -> None:
    with pytest.raises(ValueError, match="per must be"):
        Rescale(Average(), "layer")  # type: ignore[arg-type]
