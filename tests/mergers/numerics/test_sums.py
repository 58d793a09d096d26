import pytest
import torch

from cl_bench.mergers.numerics.sums import dot


@pytest.mark.parametrize("elements", [40_000, 300_001, 2_000_000])
def test_the_number_of_threads_changes_no_bit_of_a_product(elements: int) -> None:
    vector = 1000 * torch.rand(elements, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    threads, products = torch.get_num_threads(), set()
    for number in (1, 2, 3, 4):
        torch.set_num_threads(number)
        products.add(dot(vector, vector))
    torch.set_num_threads(threads)
    assert len(products) == 1
