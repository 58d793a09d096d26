import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cl_bench.mergers.numerics import selection
from cl_bench.mergers.numerics.radix import by_radix
from cl_bench.mergers.numerics.selection import bracketed, kth_largest, kth_largest_of_each

BRACKETS = [None, (0.0, math.inf), (0.0, 0.0), (1.0, 2.0), (5e-324, 1e-40), (math.inf, math.inf)]


def sorted_kth(numbers: torch.Tensor, k: int) -> float:
    return float(numbers.sort(descending=True).values[k - 1])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@settings(max_examples=60, deadline=None)
@given(numbers=st.data())
def test_agrees_with_sorting_wherever_it_looks_first(dtype: torch.dtype, numbers: st.DataObject) -> None:
    width = 32 if dtype == torch.float32 else 64
    one = st.one_of(
        st.floats(0, allow_nan=False, allow_infinity=False, width=width), st.sampled_from([0.0, 1.0, 1.5, 2.0])
    )
    values = numbers.draw(st.lists(one, min_size=1, max_size=30))
    # Hypothesis also draws -0.0, which is no magnitude.
    tensor = torch.tensor(values, dtype=dtype).abs()
    bracket = numbers.draw(st.sampled_from(BRACKETS))
    for k in range(1, len(values) + 1):
        assert kth_largest(lambda: iter(tensor.split(7)), k, dtype, bracket) == sorted_kth(tensor, k)
        assert by_radix(lambda: ((block,) for block in tensor.split(7)), [k], dtype) == [sorted_kth(tensor, k)]


@pytest.mark.parametrize("k", [1, 2, 50_000, 99_999, 100_000])
@pytest.mark.parametrize(
    "numbers",
    [
        lambda random: 1 + 1e-3 * torch.rand(100_000, generator=random),
        lambda random: torch.randn(100_000, generator=random).abs(),
        lambda random: torch.randn(100_000, generator=random).bfloat16().float().abs(),  # many equal
        lambda random: (torch.rand(100_000, generator=random) - 0.5).clamp(min=0),  # half zeros
        lambda random: torch.full((100_000,), 0.1),
        lambda random: 1e-42 * torch.rand(100_000, generator=random),  # denormal
        lambda random: torch.arange(100_000.0),  # a sample from the first blocks alone would mislead
    ],
    ids=["close", "normal", "bfloat16", "zeros", "constant", "denormal", "sorted"],
)
@pytest.mark.parametrize("gathered", [selection.GATHERED, 100])
def test_many_numbers(monkeypatch: pytest.MonkeyPatch, numbers, k: int, gathered: int) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(selection, "GATHERED", gathered)
    tensor = numbers(torch.Generator().manual_seed(0))
    for dtype, block in ((torch.float32, 4096), (torch.float64, 33_333)):
        found = kth_largest(lambda: iter(tensor.to(dtype).split(block)), k, dtype)  # noqa: B023
        assert found == tensor.to(dtype).kthvalue(100_001 - k).values.item()


def test_runs_are_searched_by_themselves_and_only_those_that_were_missed_again() -> None:
    random = torch.Generator().manual_seed(1)
    runs = torch.rand(3, 10_000, generator=random)
    looked_at = []

    def blocks():  # type: ignore[no-untyped-def]
        looked_at.append(1)
        return zip(*(run.split(1000) for run in runs), strict=True)

    ks, brackets = [1, 5000, 9999], [(0.9, math.inf), (0.6, 0.7), (0.0, 0.1)]
    assert kth_largest_of_each(blocks, ks, torch.float32, brackets) == [
        sorted_kth(run, k) for run, k in zip(runs, ks, strict=True)
    ]
    assert len(looked_at) == 1 + 2  # one pass, and one for each 16 bits of the run whose bracket was wrong


@pytest.mark.parametrize("share", [1e-4, 0.2, 0.347, 0.999, 1.0])
def test_a_bracket_is_narrow_and_seldom_wrong(share: float) -> None:
    population = torch.randn(1_000_000, generator=torch.Generator().manual_seed(2)).abs()
    number = sorted_kth(population, int(share * len(population)))
    for seed in range(20):
        places = torch.randint(len(population), (10_000,), generator=torch.Generator().manual_seed(seed))
        low, high = bracketed(population[places], share)
        assert low <= number <= high
        assert ((population >= low) & (population <= high)).double().mean() < 0.06
    assert bracketed(torch.empty(0), share) == (0.0, math.inf)
