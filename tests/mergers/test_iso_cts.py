import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cl_bench.mergers import IsoC, IsoCTS
from tests.mergers.matrix_models import SHAPES, by_hand, encoders, low_rank, partial_isometry


def iso_cts(vectors: Tensor, fraction: float = 0.8) -> Tensor:
    """Marczak et al., algorithm 2: one direction after the other into its place."""
    tasks, directions = len(vectors), min(vectors.shape[1:])
    special = min(round((directions - int(directions * fraction)) / tasks), directions // tasks)
    common = directions - special * tasks
    u, s, vh = torch.linalg.svd(vectors.sum(0), full_matrices=False)
    chosen = [(u[:, i], s[i], vh[i]) for i in range(common)]
    projection = u[:, :common] @ u[:, :common].T
    for vector in vectors:
        u, s, vh = torch.linalg.svd(vector - projection @ vector, full_matrices=False)
        chosen += [(u[:, i], s[i], vh[i]) for i in range(special)]
    lefts, values, rights = zip(*chosen, strict=True)
    left, right = (partial_isometry(torch.stack(parts)) for parts in (lefts, rights))
    return torch.stack(values).mean() * left.T @ right


def matrices(tasks: int, m: int, n: int, seed: int) -> Tensor:
    return torch.stack([low_rank(min(m, n), m, n, seed + t) for t in range(tasks)])


def merged(vectors: Tensor, fraction: float = 0.8) -> Tensor:
    return IsoCTS(1.0, fraction).combine_matrices(vectors)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 4),
    st.integers(2, 12),
    st.integers(2, 12),
    st.integers(0, 2**31),
    st.sampled_from([0.0, 0.3, 0.5, 0.8, 1.0]),
)
def test_agrees_with_the_algorithm(tasks: int, m: int, n: int, seed: int, fraction: float) -> None:
    vectors = matrices(tasks, m, n, seed)
    torch.testing.assert_close(merged(vectors, fraction), iso_cts(vectors, fraction), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(merged(vectors.flip(0), fraction), merged(vectors, fraction), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("split", [False, True])
def test_agrees_on_a_whole_model(split: bool) -> None:
    models = encoders(2, seed=1)
    result = IsoCTS(0.7, 0.5, split).merge(models[0], models[1:])
    expected = by_hand(models, lambda v: iso_cts(v, 0.5), lambda vectors: vectors.mean(0), "all", split)
    for name in SHAPES:
        torch.testing.assert_close(result[name], models[0][name] + 0.7 * expected[name])


def test_shares_are_rounded_to_the_nearest_number_of_directions() -> None:
    # 12 directions, 9 of them common: 1.5 for each of two tasks, which makes 2, and 8 common ones.
    vectors = matrices(2, 12, 13, seed=8)
    torch.testing.assert_close(merged(vectors), merged(vectors, 8 / 12))
    torch.testing.assert_close(merged(vectors), iso_cts(vectors))
    assert not torch.allclose(merged(vectors), merged(vectors, 10 / 12))


def test_all_in_common_is_iso_c() -> None:
    vectors = matrices(3, 7, 5, seed=2)
    torch.testing.assert_close(merged(vectors, 1.0), IsoC().combine_matrices(vectors))


def test_what_is_special_to_a_task_has_its_place() -> None:
    # Nine parts of the sum's spectrum are the first task's, the weakest that of the second.
    first = torch.diag(torch.tensor([9.0, 8, 7, 6, 5, 4, 3, 2, 1, 0]))
    second = torch.diag(torch.tensor([0.0] * 9 + [0.01]))
    result = merged(torch.stack([first, second]))
    expected = torch.tensor([9.0, 8, 7, 6, 5, 4, 3, 2, 1, 0.01]).mean().double()
    torch.testing.assert_close(result, expected * torch.eye(10).double())


def test_more_tasks_than_directions() -> None:
    vectors = matrices(7, 3, 4, seed=3)
    torch.testing.assert_close(merged(vectors, 0.0), iso_cts(vectors, 0.0))


def test_zeros_stay_zeros() -> None:
    assert not merged(torch.zeros(3, 6, 8)).any()
    assert not merged(torch.zeros(3, 6, 8), 0.0).any()


@pytest.mark.parametrize("fraction", [-0.1, 1.1, float("nan")])
def test_fraction_is_checked(fraction: float) -> None:
    with pytest.raises(ValueError, match="common_space_fraction"):
        IsoCTS(common_space_fraction=fraction)
