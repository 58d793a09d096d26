import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cl_bench.mergers import TSV
from tests.mergers.matrix_models import SHAPES, by_hand, encoders, low_rank, partial_isometry

stacks = st.tuples(st.integers(1, 5), st.integers(1, 8), st.integers(1, 8), st.integers(0, 2**31))


def tsv(vectors: Tensor) -> Tensor:
    """Gargiulo et al., algorithm 1, with the singular values as a block matrix."""
    keep = max(1, min(vectors.shape[1:]) // len(vectors))
    parts = [torch.linalg.svd(vector, full_matrices=False) for vector in vectors]
    parts = [(u[:, :keep], s[:keep], vh[:keep]) for u, s, vh in parts]
    # A direction without a singular value has no part.
    left = torch.cat([u * (s > 1e-9 * s.max()) for u, s, _ in parts], dim=1)
    right = torch.cat([vh * (s > 1e-9 * s.max())[:, None] for _, s, vh in parts])
    block = torch.block_diag(*(torch.diag(s) for _, s, _ in parts))
    return partial_isometry(left) @ block @ partial_isometry(right)


def matrices(tasks: int, m: int, n: int, seed: int) -> Tensor:
    return torch.stack([low_rank(min(m, n), m, n, seed + t) for t in range(tasks)])


def merged(vectors: Tensor) -> Tensor:
    return TSV().combine_matrices(vectors)


@settings(max_examples=60, deadline=None)
@given(stacks)
def test_agrees_with_the_algorithm(stack: tuple[int, int, int, int]) -> None:
    vectors = matrices(*stack)
    torch.testing.assert_close(merged(vectors), tsv(vectors), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("split", [False, True])
def test_agrees_on_a_whole_model(split: bool) -> None:
    models = encoders(2, seed=1)
    result = TSV(0.7, split).merge(models[0], models[1:])
    expected = by_hand(models, tsv, lambda vectors: vectors.mean(0), "all", split)
    for name in SHAPES:
        torch.testing.assert_close(result[name], models[0][name] + 0.7 * expected[name])


@settings(max_examples=20, deadline=None)
@given(stacks, st.randoms(use_true_random=False))
def test_order_of_the_tasks_does_not_matter(stack: tuple[int, int, int, int], random: "st.random") -> None:  # type: ignore[name-defined]
    vectors = matrices(*stack)
    order = list(range(len(vectors)))
    random.shuffle(order)
    torch.testing.assert_close(merged(vectors[order]), merged(vectors), rtol=1e-4, atol=1e-4)


def test_one_task_keeps_its_vector() -> None:
    vector = low_rank(3, 6, 4, seed=0)
    torch.testing.assert_close(merged(vector[None]), vector)


def test_copies_of_a_task_are_cut_and_nothing_else() -> None:
    vector = low_rank(6, 9, 6, seed=2)
    left, values, right = torch.linalg.svd(vector, full_matrices=False)
    torch.testing.assert_close(merged(torch.stack([vector] * 3)), left[:, :2] * values[:2] @ right[:2])


def test_tasks_with_nothing_in_common_are_added() -> None:
    vectors = torch.zeros(2, 6, 4, dtype=torch.float64)
    vectors[0, :3, :2], vectors[1, 3:, 2:] = low_rank(2, 3, 2, seed=4), low_rank(2, 3, 2, seed=5)
    torch.testing.assert_close(merged(vectors), vectors.sum(0))


def test_a_task_that_changed_nothing_disturbs_nobody() -> None:
    vector = low_rank(2, 6, 6, seed=6)
    torch.testing.assert_close(merged(torch.stack([torch.zeros_like(vector), vector])), vector)
    assert not merged(torch.zeros(3, 4, 5)).any()


def test_more_tasks_than_rows_leave_one_direction_each() -> None:
    vectors = matrices(5, 2, 3, seed=7)
    torch.testing.assert_close(merged(vectors), tsv(vectors), rtol=1e-6, atol=1e-6)
    assert merged(vectors).abs().min() > 0
