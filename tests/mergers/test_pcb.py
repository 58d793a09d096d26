import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cl_bench.mergers import PCB


def ordered(values: Tensor, index: float) -> float:
    return sorted(values.tolist())[int(index)]


def scaled(values: Tensor, smallest: float, largest: float) -> Tensor:
    return (values.clamp(smallest, largest) - smallest) / ((largest - smallest) or 1)


def oracle(vectors: Tensor, density: float = 0.3) -> Tensor:
    tasks, elements = vectors.shape
    kept, weights = torch.zeros_like(vectors), torch.zeros_like(vectors)
    for t, vector in enumerate(vectors):
        low = ordered(vector.abs(), elements * 0.0001)
        high = ordered(vector.abs(), elements * (1 - 0.0001) - 1)
        score = torch.exp(tasks * scaled(vector.abs(), low, high) ** 2) * torch.tanh(vector * vectors.sum(0))
        weights[t] = scaled(score, ordered(score, elements * (1 - density)), float(score.max()))
        kept[t] = vector.sign() * vector.abs().clamp(low, high)
    return (kept * weights).sum(0) / weights.sum(0).clamp(min=1e-12)


def drawn(tasks: int, seed: int, size: float = 1.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return size * torch.randn(tasks, 500, generator=generator, dtype=torch.float64)


def merged(vectors: Tensor, density: float = 0.3) -> Tensor:
    """Cut into two parameters, since its order statistics are those of the whole vector."""
    finetuned = [{"a": vector[:90].view(9, 10), "b": vector[90:]} for vector in vectors]
    start = {name: torch.zeros_like(tensor) for name, tensor in finetuned[0].items()}
    result = PCB(1.0, density).merge(start, finetuned)
    return torch.cat([result["a"].view(-1), result["b"]])


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 6), st.integers(0, 2**31), st.sampled_from([1e-3, 1.0]), st.sampled_from([0.002, 0.05, 0.7, 1.0]))
def test_agrees_with_oracle_where_no_two_numbers_are_equal(tasks: int, seed: int, size: float, density: float) -> None:
    vectors = drawn(tasks, seed, size)
    torch.testing.assert_close(merged(vectors, density), oracle(vectors, density), rtol=1e-8, atol=1e-12)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**31), st.permutations(range(4)))
def test_the_order_of_tasks_does_not_matter(seed: int, order: list[int]) -> None:
    vectors = drawn(4, seed)
    torch.testing.assert_close(merged(vectors[order]), merged(vectors), rtol=1e-9, atol=1e-12)


def test_a_task_against_all_others_keeps_its_least_bad_elements() -> None:
    # All its scores are negative, and so is the one at the threshold.
    vectors = torch.stack([*(drawn(1, seed=0)[0].abs() + 0.1 for _ in range(3)), -drawn(1, seed=1)[0].abs() / 50])
    assert (vectors[3] * vectors.sum(0) <= 0).all()
    torch.testing.assert_close(merged(vectors), oracle(vectors), rtol=1e-8, atol=1e-12)


def test_many_tasks_do_not_overflow() -> None:
    vectors = drawn(1, seed=2).float().expand(120, -1) + drawn(120, seed=3).float()
    assert torch.exp(torch.tensor(120.0)).isinf()
    result = merged(vectors)
    assert result.isfinite().all() and result.any()


def test_vectors_of_zeros_and_copies() -> None:
    assert not merged(torch.zeros(3, 500)).any()
    vector = drawn(1, seed=4)
    copies = merged(vector.expand(3, -1), 1.0)
    # Where copies are kept at all, their mean is the vector itself, cut at both ends.
    cut = vector[0].abs().sort().values[[0, -2]]
    expected = vector[0].sign() * vector[0].abs().clamp(*cut)
    kept = copies != 0
    assert kept.sum() == 499
    torch.testing.assert_close(copies[kept], expected[kept])


def test_density_is_a_share() -> None:
    with pytest.raises(ValueError, match="density"):
        PCB(density=0.0)
