import pytest
import torch
from torch import Tensor

from cl_bench.mergers import Della

COLUMNS, ROWS = 5, 20_000
magnitudes = torch.tensor([3.0, -1.0, 5.0, -4.0, 2.0])


def dropped(vector: Tensor, drop_rate: float = 0.4, window: float = 0.6, seed: int = 0) -> Tensor:
    return Della(1.0, drop_rate, window, seed).merge({"w": torch.zeros_like(vector)}, [{"w": vector}])["w"]


def expected_probabilities(drop_rate: float = 0.4, window: float = 0.6) -> Tensor:
    ranks = magnitudes.abs() - 1
    return 1 - drop_rate + window * (ranks / (COLUMNS - 1) - 0.5)


@pytest.mark.parametrize("shape", [(ROWS, COLUMNS), (ROWS, COLUMNS, 1), (ROWS, 1, COLUMNS)])
def test_elements_are_kept_by_their_rank_in_the_row_and_rescaled(shape: tuple[int, ...]) -> None:
    # Rows of very different size: only ranks within the row may count.
    sizes = 2.0 ** torch.arange(ROWS).remainder(9)[:, None]
    rows = magnitudes * sizes
    kept, kept_with = dropped(rows.view(shape)).view(ROWS, COLUMNS), expected_probabilities()
    rescaled = rows / kept_with
    assert bool(((kept == 0) | ((kept - rescaled).abs() <= 1e-6 * rescaled.abs())).all())
    deviation = (kept_with * (1 - kept_with) / ROWS).sqrt()
    assert bool((((kept != 0).float().mean(0) - kept_with).abs() < 4 * deviation + 1e-6).all())


def test_a_vector_is_one_row() -> None:
    ones = torch.stack([dropped(magnitudes, seed=seed) != 0 for seed in range(2000)]).float().mean(0)
    assert (ones - expected_probabilities()).abs().max() < 4 * (0.25 / 2000) ** 0.5


def test_a_row_of_one_element_is_kept_with_the_mean_probability() -> None:
    for column in (torch.ones(ROWS, 1), torch.ones(ROWS, 1, 1)):
        kept = dropped(column)
        assert kept.unique().tolist() == pytest.approx([0.0, 1 / 0.6])
        assert abs((kept != 0).double().mean().item() - 0.6) < 4 * (0.24 / ROWS) ** 0.5
    assert dropped(torch.tensor(1.0)).item() in (0.0, pytest.approx(1 / 0.6))


def test_equal_magnitudes_are_ranked_in_their_order() -> None:
    kept = (dropped(torch.ones(ROWS, 3)) != 0).double().mean(0)
    assert kept.tolist() == pytest.approx([0.3, 0.6, 0.9], abs=4 * (0.25 / ROWS) ** 0.5)


def test_without_a_window_rank_does_not_matter() -> None:
    kept = (dropped(magnitudes.expand(ROWS, -1), 0.4, 0.0) != 0).double().mean(0)
    assert kept.tolist() == pytest.approx([0.6] * COLUMNS, abs=4 * (0.24 / ROWS) ** 0.5)


def test_with_nothing_dropped_the_elected_values_are_averaged() -> None:
    finetuned = [{"w": torch.tensor(vector)} for vector in ([3.0, -1.0, 0.0], [-1.0, -3.0, 0.0], [1.0, 0.0, 0.0])]
    merged = Della(1.0, 0.0, 0.0).merge({"w": torch.zeros(3)}, finetuned)["w"]
    assert merged.tolist() == [2.0, -2.0, 0.0]


@pytest.mark.parametrize(("drop_rate", "window"), [(0.05, 0.2), (0.9, 0.2), (1.0, 0.0), (-0.1, 0.0), (0.5, -0.1)])
def test_probabilities_out_of_range_are_refused(drop_rate: float, window: float) -> None:
    with pytest.raises(ValueError, match="drop_rate"):
        Della(1.0, drop_rate, window)
