import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cl_bench.mergers import Breadcrumbs

shares = st.sampled_from([(0.15, 0.006), (0.5, 0.25), (1.0, 0.0), (0.01, 0.9), (0.3, 0.1)])


def oracle(vector: Tensor, density: float, outliers: float) -> Tensor:
    removed, kept = int(outliers * vector.numel()), max(1, int(density * vector.numel()))
    largest_first = sorted(vector.abs().view(-1).tolist(), reverse=True)
    inside = (vector.abs() <= largest_first[removed]) & (vector.abs() >= largest_first[removed + kept - 1])
    return torch.where(inside, vector, 0.0)


def merged(finetuned: list[dict[str, Tensor]], density: float, outliers: float) -> dict[str, Tensor]:
    return Breadcrumbs(1.0, density, outliers).merge(
        {name: torch.zeros_like(tensor) for name, tensor in finetuned[0].items()}, finetuned
    )


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 4), st.integers(0, 2**31), shares, st.booleans())
def test_agrees_with_oracle_per_parameter(tasks: int, seed: int, share: tuple[float, float], ties: bool) -> None:
    generator = torch.Generator().manual_seed(seed)

    def drawn(shape: tuple[int, ...]) -> Tensor:
        values = torch.randn(shape, generator=generator, dtype=torch.float64)
        return values.round() if ties else values

    sizes = {"matrix": (6, 7), "vector": (11,), "number": (), "one": (1,)}
    finetuned = [{name: drawn(shape) for name, shape in sizes.items()} for _ in range(tasks)]
    for name, tensor in merged(finetuned, *share).items():
        expected = sum(oracle(model[name], *share) for model in finetuned)
        torch.testing.assert_close(tensor, expected, rtol=1e-12, atol=1e-12)


def test_neither_outliers_nor_small_changes_are_kept() -> None:
    vector = torch.tensor([9.0, -1.0, 5.0, -6.0, 2.0, 0.0, 3.0, -8.0, 4.0, 7.0])
    kept = merged([{"w": vector}], 0.3, 0.2)["w"]
    assert kept.tolist() == [0.0, 0.0, 5.0, -6.0, 0.0, 0.0, 0.0, 0.0, 0.0, 7.0]


def test_each_parameter_has_its_own_limits() -> None:
    kept = merged([{"small": torch.arange(1.0, 11), "large": 100 * torch.arange(1.0, 11)}], 0.2, 0.1)
    assert kept["small"].nonzero().flatten().tolist() == kept["large"].nonzero().flatten().tolist() == [7, 8]


def test_the_only_element_is_kept_as_are_equal_ones() -> None:
    kept = merged([{"number": torch.tensor(2.0), "equal": torch.tensor([3.0, -3.0, 3.0])}], 0.15, 0.006)
    assert kept["number"] == 2.0 and kept["equal"].tolist() == [3.0, -3.0, 3.0]


@pytest.mark.parametrize(("density", "outliers"), [(0.0, 0.1), (0.5, 0.6), (1.1, 0.0), (0.5, -0.1)])
def test_shares_out_of_range_are_refused(density: float, outliers: float) -> None:
    with pytest.raises(ValueError, match="density"):
        Breadcrumbs(1.0, density, outliers)
