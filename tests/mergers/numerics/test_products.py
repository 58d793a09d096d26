import pytest
import torch

from cl_bench.mergers.numerics.one_thread import one_thread
from cl_bench.mergers.numerics.products import ROWS, product
from cl_bench.mergers.numerics.side_by_side import side_by_side


@pytest.mark.parametrize("rows", [0, 1, ROWS, ROWS + 1, 2 * ROWS + 1, 5 * ROWS - 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_product_has_the_same_bits_with_any_number_of_threads(rows: int, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(rows)
    left = torch.randn(999, rows, generator=generator, dtype=dtype).T  # not contiguous
    right = torch.randn(999, 33, generator=generator, dtype=dtype)  # with 257 rows, BLAS gives three threads other bits
    before, results = torch.get_num_threads(), []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        results.append(product(left, right))
        with one_thread():
            results.append(product(left, right))
        results += side_by_side(lambda own: product(own, right), [left, left])
    torch.set_num_threads(before)
    assert all(torch.equal(result, results[0]) for result in results)
    torch.testing.assert_close(results[0], (left.double() @ right.double()).to(dtype), rtol=1e-4, atol=1e-4)
