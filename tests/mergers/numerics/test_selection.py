import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cl_bench.mergers.numerics.selection import kth_largest


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@settings(max_examples=60, deadline=None)
@given(numbers=st.data())
def test_agrees_with_sorting(dtype: torch.dtype, numbers: st.DataObject) -> None:
    width = 32 if dtype == torch.float32 else 64
    values = numbers.draw(
        st.lists(st.floats(0, allow_nan=False, allow_infinity=False, width=width), min_size=1, max_size=30)
    )
    # Hypothesis also draws -0.0, which is no magnitude.
    tensor = torch.tensor(values, dtype=dtype).abs()
    for k in range(1, len(values) + 1):
        found = kth_largest(lambda: iter(tensor.split(7)), k, dtype)
        assert found == tensor.sort(descending=True).values[k - 1].item()


@pytest.mark.parametrize("k", [1, 2, 50_000, 99_999, 100_000])
def test_many_close_numbers(k: int) -> None:
    generator = torch.Generator().manual_seed(0)
    numbers = 1 + 1e-3 * torch.rand(100_000, generator=generator)
    assert kth_largest(lambda: iter(numbers.split(4096)), k, torch.float32) == numbers.kthvalue(100_001 - k).values
