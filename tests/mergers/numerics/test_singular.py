import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cl_bench.mergers.numerics.singular import left_singular, orthogonal_factor, singular
from tests.mergers.matrix_models import low_rank, partial_isometry

sizes = st.tuples(st.integers(1, 7), st.integers(1, 7), st.integers(0, 2**31))


@settings(max_examples=60, deadline=None)
@given(sizes)
def test_agrees_with_lapack(size: tuple[int, int, int]) -> None:
    m, n, seed = size
    matrix = low_rank(min(m, n), m, n, seed)
    left, values, right = singular(matrix)
    expected_left, expected, expected_right = torch.linalg.svd(matrix, full_matrices=False)
    torch.testing.assert_close(values, expected, rtol=1e-6, atol=1e-6 * float(expected[0]))
    torch.testing.assert_close(left * values @ right, matrix, rtol=1e-9, atol=1e-6)
    signs = (left * expected_left).sum(0).sign()
    if bool((expected[:-1] > 1.01 * expected[1:]).all()) and expected[-1] > 1e-3 * expected[0]:
        torch.testing.assert_close(left * signs, expected_left, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(right * signs[:, None], expected_right, rtol=1e-6, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(sizes, st.integers(0, 3))
def test_directions_that_nothing_determines_are_zero(size: tuple[int, int, int], rank: int) -> None:
    m, n, seed = size
    rank = min(rank, m, n)
    matrix = low_rank(rank, m, n, seed)
    left, values, right = singular(matrix)
    assert not left[:, rank:].any() and not values[rank:].any() and not right[rank:].any()
    torch.testing.assert_close(left * values @ right, matrix, rtol=1e-9, atol=1e-6)
    torch.testing.assert_close(orthogonal_factor(matrix), partial_isometry(matrix), rtol=1e-4, atol=1e-4)


def test_only_the_leading_ones() -> None:
    for shape in ((6, 4), (4, 6)):
        matrix = low_rank(4, *shape, seed=3)
        for part, whole in zip(singular(matrix, 2), singular(matrix), strict=True):
            leading = whole[:2] if part.dim() == 1 or len(part) == 2 else whole[:, :2]
            torch.testing.assert_close(part, leading, rtol=0, atol=1e-12)


def test_single_precision_is_decomposed_in_double() -> None:
    # LAPACK's decomposition in single precision does not converge on matrices like this one, of 768 x 3072.
    matrix = low_rank(20, 60, 90, seed=1).float()
    left, values, right = singular(matrix)
    assert left.dtype == values.dtype == right.dtype == torch.float64
    torch.testing.assert_close((left * values @ right).float(), matrix, rtol=1e-6, atol=1e-5)
    torch.testing.assert_close(left[:, :20].T @ left[:, :20], torch.eye(20).double(), rtol=0, atol=1e-8)


def test_zeros_and_the_smallest_numbers() -> None:
    assert not any(part.any() for part in singular(torch.zeros(3, 2)))
    left, values, right = singular(torch.full((2, 3), 1e-30))
    torch.testing.assert_close(left * values @ right, torch.full((2, 3), 1e-30).double(), rtol=1e-6, atol=0)
    assert orthogonal_factor(torch.tensor([[-5.0]])).tolist() == [[-1.0]]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 8), st.lists(st.integers(0, 6), min_size=1, max_size=4), st.integers(0, 2**31))
def test_left_ones_of_matrices_side_by_side(rows: int, columns: list[int], seed: int) -> None:
    """Also where one has no columns, as long as another has."""
    columns[0] += 1
    matrices = [low_rank(min(rows, n), rows, n, seed + i) for i, n in enumerate(columns)]
    left, values = left_singular(matrices)
    together = torch.cat(matrices, dim=1)
    torch.testing.assert_close(values, torch.linalg.svdvals(together))
    torch.testing.assert_close(left.T @ left, torch.eye(min(together.shape), dtype=torch.float64), rtol=0, atol=1e-6)
    torch.testing.assert_close(left @ (left.T @ together), together)


@pytest.mark.parametrize("size", [1e-170, 1e-20, 1e160])
def test_squares_of_very_small_and_very_large_elements_stay_in_range(size: float) -> None:
    matrix = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    left, values, right = singular(matrix)
    for one, other in zip(singular(matrix * size), (left, values * size, right), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=0)
    for matrices in ([matrix], [matrix, 2 * matrix, matrix[:, :0]]):
        left, values = left_singular(matrices)
        found = left_singular([one * size for one in matrices])
        torch.testing.assert_close(found[1], values * size, rtol=1e-12, atol=0)
        torch.testing.assert_close(found[0].abs(), left.abs(), rtol=1e-6, atol=1e-9)
