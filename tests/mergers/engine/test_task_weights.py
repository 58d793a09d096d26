"""Rules with a weight for each task."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cl_bench.mergers import Average, BaseMerger, RunningMerge, TaskArithmetic, Ties
from cl_bench.mergers.engine.task_weights import TaskWeights
from cl_bench.testing import check_merger

RULES: dict[str, Callable[[TaskWeights], BaseMerger]] = {
    "average": lambda weights: Average(0.8, weights),
    "task_arithmetic": lambda weights: TaskArithmetic(0.8, weights=weights),
    "ties": lambda weights: Ties(0.8, 0.4, "encoder", weights),
}


def average(vectors: Tensor, weights: list[float]) -> Tensor:
    return sum(w * vector for w, vector in zip(weights, vectors, strict=True)) / (sum(weights) or 1)


def task_arithmetic(vectors: Tensor, weights: list[float]) -> Tensor:
    return sum(w * vector for w, vector in zip(weights, vectors, strict=True))


def ties(vectors: Tensor, weights: list[float]) -> Tensor:
    """mergekit's: trim, weight, elect the sign of the weighted sum, and divide by the weights that agree."""
    merged = torch.zeros_like(vectors[0])
    keep = max(1, int(0.4 * vectors.shape[1]))
    kept = [vector * (vector.abs() >= vector.abs().sort(descending=True).values[keep - 1]) for vector in vectors]
    for i in range(len(merged)):
        values = [(w, w * float(vector[i])) for w, vector in zip(weights, kept, strict=True)]
        sign = 1 if sum(value for _, value in values) > 0 else -1
        agree = [(w, value) for w, value in values if value * sign > 0]
        merged[i] = sum(value for _, value in agree) / (sum(w for w, _ in agree) or 1)
    return merged


ORACLES = {"average": average, "task_arithmetic": task_arithmetic, "ties": ties}


def models(tasks: int, seed: int, dtype: torch.dtype = torch.float64) -> list[dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    return [{"w": torch.randn(13, generator=generator, dtype=torch.float64).to(dtype)} for _ in range(tasks + 1)]


@pytest.mark.parametrize("rule", RULES)
@settings(max_examples=40, deadline=None)
@given(weights=st.lists(st.floats(0.1, 5) | st.just(0.0), min_size=1, max_size=5).filter(any), seed=st.integers(0, 999))
def test_agrees_with_the_formula(rule: str, weights: list[float], seed: int) -> None:
    start, *finetuned = (model["w"] for model in models(len(weights), seed))
    expected = start + 0.8 * ORACLES[rule](torch.stack([model - start for model in finetuned]), weights)
    merged = RULES[rule](weights).merge({"w": start}, [{"w": model} for model in finetuned])
    torch.testing.assert_close(merged["w"], expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("weight", [1.0, 0.25])
def test_equal_weights_have_the_bits_of_none_where_the_rule_is_a_mean(rule: str, weight: float) -> None:
    start, *finetuned = models(4, seed=1, dtype=torch.float32)
    weighted = RULES[rule]([weight] * 4).merge(start, finetuned)["w"]
    assert torch.equal(weighted, RULES[rule](None).merge(start, finetuned)["w"]) == (
        weight == 1 or rule != "task_arithmetic"
    )


@pytest.mark.parametrize("rule", ["average", "ties"])
@pytest.mark.parametrize("factor", [2.0**-1000, 2.0**-150, 2.0**-3, 2.0**130, 2.0**1000])
@pytest.mark.parametrize("weights", [[0.3, 1.0, 2.0], [0.7, 0.0, 0.1], [1.0, 1.0, 1.0]])
def test_how_large_all_weights_are_together_changes_no_bit_of_a_mean(
    rule: str, factor: float, weights: list[float]
) -> None:
    start, *finetuned = models(3, seed=4, dtype=torch.float32)
    usual, scaled = (RunningMerge(RULES[rule](each), start) for each in (weights, [w * factor for w in weights]))
    for model in finetuned:
        for running in (usual, scaled):
            running.add(model)
        assert torch.equal(usual.merged()["w"], scaled.merged()["w"])


@pytest.mark.parametrize("rule", ["average", "ties"])
@pytest.mark.parametrize("weights", [[1e-40, 1e-40], [1e-46, 3e-46], [1e300, 1.5e300], [1e-20, 1.0], [1.0, 1e-20]])
def test_a_mean_of_float32_agrees_with_the_formula_whatever_the_weights(rule: str, weights: list[float]) -> None:
    start, *finetuned = models(2, seed=5, dtype=torch.float32)
    vectors = torch.stack([(model["w"] - start["w"]).double() for model in finetuned])
    expected = start["w"] + 0.8 * ORACLES[rule](vectors, [w / max(weights) for w in weights])
    merged = RULES[rule](weights).merge(start, finetuned)["w"]
    torch.testing.assert_close(merged.double(), expected, rtol=1e-6, atol=1e-6)


def test_a_negative_weight_takes_away_what_a_task_has_learned() -> None:
    start, first, second = models(2, seed=2)
    merged = TaskArithmetic(1.0, weights=[1.0, -2.0]).merge(start, [first, second])["w"]
    torch.testing.assert_close(merged, start["w"] + (first["w"] - start["w"]) - 2 * (second["w"] - start["w"]))


@pytest.mark.parametrize("rule", RULES)
def test_a_stream_may_have_fewer_tasks_than_weights_so_far_but_not_more(rule: str) -> None:
    start, *finetuned = models(3, seed=3)
    running = RunningMerge(RULES[rule]([0.0, 0.5, 2.0]), start)
    running.add(finetuned[0])
    assert torch.equal(running.merged()["w"], start["w"])  # no task that counts yet
    running.add(finetuned[1])
    torch.testing.assert_close(running.merged(), RULES[rule]([0.0, 0.5]).merge(start, finetuned[:2]))
    running.add(finetuned[2])
    state = running.state_dict()
    with pytest.raises(ValueError, match="weights has 3 entries, but there is a task 4"):
        running.add(finetuned[0])
    resumed = RunningMerge(RULES[rule]([0.0, 0.5, 2.0]), start)
    resumed.load_state_dict(state)
    whole = RULES[rule]([0.0, 0.5, 2.0]).merge(start, finetuned)
    for merged in (running.merged(), resumed.merged()):
        assert torch.equal(merged["w"], whole["w"])


@pytest.mark.parametrize("rule", RULES)
def test_keeps_what_every_merger_owes(rule: str) -> None:
    check_merger(lambda: RULES[rule]([0.3, 1.0, 2.0, 0.7, 1.0, 0.1, 1.0, 1.0]))


@pytest.mark.parametrize(
    ("weights", "named"),
    [
        ([0.5, -0.5], "negative"),
        ([0.0, 0.0], "no task counts"),
        ([1.0, 1e-21], "1e-21 is less than 1e-20 of the largest, 1.0; give 0"),
        ([1.0, float("nan")], "finite"),
        ([1.0, float("inf")], "finite"),
    ],
)
@pytest.mark.parametrize("rule", ["average", "ties"])
def test_weights_of_no_mean_are_refused(rule: str, weights: list[float], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        RULES[rule](weights)
