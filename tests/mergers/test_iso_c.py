import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cl_bench.mergers import IsoC
from tests.mergers.matrix_models import SHAPES, by_hand, encoders, low_rank, partial_isometry


def iso_c(vectors: Tensor) -> Tensor:
    total = vectors.sum(0)
    return torch.linalg.svdvals(total).mean() * partial_isometry(total)


def merged(vectors: Tensor) -> Tensor:
    return IsoC().combine_matrices(vectors)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 5), st.integers(1, 8), st.integers(1, 8), st.integers(0, 2**31))
def test_agrees_with_the_formula(tasks: int, m: int, n: int, seed: int) -> None:
    vectors = torch.stack([low_rank(min(m, n), m, n, seed + t) for t in range(tasks)])
    torch.testing.assert_close(merged(vectors), iso_c(vectors), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(merged(vectors.flip(0)), merged(vectors), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("split", [False, True])
def test_agrees_on_a_whole_model(split: bool) -> None:
    models = encoders(3, seed=1)
    result = IsoC(0.7, split).merge(models[0], models[1:])
    expected = by_hand(models, iso_c, lambda vectors: vectors.mean(0), "all", split)
    for name in SHAPES:
        torch.testing.assert_close(result[name], models[0][name] + 0.7 * expected[name])


def test_all_singular_values_become_their_mean() -> None:
    vectors = torch.diag(torch.tensor([6.0, 3.0, 0.0])).expand(2, 3, 3)
    torch.testing.assert_close(merged(vectors), torch.diag(torch.tensor([6.0, 6.0, 0.0])).double())


def test_a_sum_of_zero_stays_zero() -> None:
    vector = low_rank(2, 4, 3, seed=0)
    assert not merged(torch.stack([vector, -vector])).any()
