import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cl_bench.mergers import ModelStock


def oracle(vectors: list[Tensor]) -> Tensor:
    tasks, mean = len(vectors), sum(vectors) / len(vectors)
    if tasks == 1:
        return mean
    cosines = [
        float((one * other).sum() / (one.norm() * other.norm())) if one.any() and other.any() else 0.0
        for one, other in itertools.combinations(vectors, 2)
    ]
    cosine = max(0.0, sum(cosines) / len(cosines))
    return mean * tasks * cosine / (1 + (tasks - 1) * cosine)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 6), st.integers(0, 2**31), st.sampled_from([0.0, 0.5, 3.0]), st.permutations(range(6)))
def test_agrees_with_oracle_per_parameter_in_any_order(tasks: int, seed: int, shared: float, order: list[int]) -> None:
    generator = torch.Generator().manual_seed(seed)

    def drawn(shape: tuple[int, ...]) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    shapes = {"matrix": (5, 6), "number": (), "empty": (0, 3), "zeros sometimes": (2,)}
    common = {name: shared * drawn(shape) for name, shape in shapes.items()}
    finetuned = [{name: common[name] + drawn(shape) for name, shape in shapes.items()} for _ in range(tasks)]
    for t in range(0, tasks, 2):
        finetuned[t]["zeros sometimes"] = torch.zeros(2, dtype=torch.float64)
    start = {name: torch.zeros(shape, dtype=torch.float64) for name, shape in shapes.items()}
    merged = ModelStock().merge(start, [finetuned[t] for t in order if t < tasks])
    for name in shapes:
        expected = oracle([model[name] for model in finetuned])
        torch.testing.assert_close(merged[name], expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("second", "expected"), [([2.0, 0.0], [1.5, 0.0]), ([0.0, 1.0], [0.0, 0.0]), ([-1.0, 0.0], [0.0, 0.0])]
)
def test_agreeing_tasks_are_averaged_and_others_leave_the_start(second: list[float], expected: list[float]) -> None:
    finetuned = [{"w": torch.tensor([1.0, 0.0])}, {"w": torch.tensor(second)}]
    assert ModelStock().merge({"w": torch.zeros(2)}, finetuned)["w"].tolist() == pytest.approx(expected)


def test_two_models_are_where_the_paper_says() -> None:
    # At 60 degrees: t = 2 · 0.5 / (1 + 0.5), of the average.
    vectors = [torch.tensor([1.0, 0.0]), torch.tensor([0.5, 0.75**0.5])]
    merged = ModelStock().merge({"w": torch.zeros(2)}, [{"w": vector} for vector in vectors])["w"]
    torch.testing.assert_close(merged, 2 / 3 * (vectors[0] + vectors[1]) / 2)


def test_what_no_task_moved_stays() -> None:
    start = {"w": torch.tensor([3.0, -1.0])}
    assert torch.equal(ModelStock().merge(start, [start, start, start])["w"], start["w"])
