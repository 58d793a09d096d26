import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cl_bench.mergers import STAR
from cl_bench.runtime.errors import UserError
from cl_bench.runtime.instantiate import instantiate
from tests.mergers.matrix_models import SHAPES, by_hand, encoders, low_rank


def star(vectors: Tensor, share: float = 0.4) -> Tensor:
    """Singular values are taken one by one, until they reach the share."""
    result = torch.zeros_like(vectors[0])
    for vector in vectors:
        left, values, right = torch.linalg.svd(vector, full_matrices=False)
        norm, reached, kept = float(values.sum()), 0.0, 0
        while kept == 0 or reached < share * norm:
            reached += float(values[kept])
            kept += 1
        for i in range(kept):
            growth = norm / reached if reached else 0.0
            result += growth * values[i] * torch.outer(left[:, i], right[i]) / len(vectors)
    return result


@settings(max_examples=60, deadline=None)
@given(
    tasks=st.integers(1, 5),
    m=st.integers(1, 8),
    n=st.integers(1, 8),
    seed=st.integers(0, 2**31),
    share=st.sampled_from([0.01, 0.37, 0.4, 0.83]),
)
def test_agrees_with_the_formula(tasks: int, m: int, n: int, seed: int, share: float) -> None:
    vectors = torch.stack([low_rank(min(m, n), m, n, seed + t) for t in range(tasks)])
    torch.testing.assert_close(STAR(share=share).combine_matrices(vectors), star(vectors, share))


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("matrices", ["all", "linear"])
def test_agrees_on_a_whole_model(split: bool, matrices: str) -> None:
    models = encoders(3, seed=1)
    result = STAR(0.7, 0.4, split, matrices).merge(models[0], models[1:])  # type: ignore[arg-type]
    expected = by_hand(models, star, lambda vectors: vectors.mean(0), matrices, split)
    for name in SHAPES:
        torch.testing.assert_close(result[name], models[0][name] + 0.7 * expected[name])


def test_the_nuclear_norm_stays_and_the_rank_falls() -> None:
    vector = low_rank(6, 9, 6, seed=2)
    merged = STAR(share=0.4).combine_matrices(vector[None])
    torch.testing.assert_close(torch.linalg.matrix_norm(merged, "nuc"), torch.linalg.matrix_norm(vector, "nuc"))
    assert 0 < int(torch.linalg.matrix_rank(merged)) < 6


def test_all_singular_values_give_the_mean() -> None:
    vectors = torch.stack([low_rank(4, 6, 4, seed) for seed in range(3)])
    torch.testing.assert_close(STAR(share=1.0).combine_matrices(vectors), vectors.mean(0))


def test_a_task_that_changed_nothing_adds_nothing() -> None:
    vector = low_rank(2, 6, 6, seed=6)
    halved = STAR().combine_matrices(torch.stack([torch.zeros_like(vector), vector]))
    torch.testing.assert_close(halved, star(vector[None]) / 2)
    assert not STAR().combine_matrices(torch.zeros(3, 4, 5)).any()


@pytest.mark.parametrize("share", [0.0, -0.1, 1.01])
def test_an_impossible_share_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match=r"share must be above 0 and at most 1"):
        STAR(share=share)
    with pytest.raises(UserError, match=r"merger\.share"):
        instantiate({"_target_": "cl_bench.mergers.STAR", "share": share}, "merger")
