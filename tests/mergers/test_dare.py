import pytest
import torch
from torch import Tensor

from cl_bench.mergers import Dare

ELEMENTS, RATE = 40_000, 0.75
pretrained = {"a": torch.zeros(ELEMENTS), "b": torch.zeros(ELEMENTS)}
values = torch.arange(1.0, ELEMENTS + 1)


def dropped(seed: int = 0, task_vectors: int = 1, combination: str = "sum") -> dict[str, Tensor]:
    finetuned = [{name: values * (t + 1) for name in "ab"} for t in range(task_vectors)]
    return Dare(1.0, RATE, combination, seed).merge(pretrained, finetuned)  # type: ignore[arg-type]


def test_what_is_kept_is_rescaled_and_the_rest_is_zero() -> None:
    kept = dropped()["a"]
    assert bool(((kept == 0) | (kept == values * 4)).all())
    share, deviation = (kept != 0).double().mean().item(), (RATE * (1 - RATE) / ELEMENTS) ** 0.5
    assert abs(share - (1 - RATE)) < 4 * deviation


def test_the_mean_over_all_draws_is_the_task_vector() -> None:
    vector = {"w": torch.full((200,), 3.0)}
    start = {"w": torch.zeros(200)}
    mean = torch.stack([Dare(1.0, 0.5, seed=seed).merge(start, [vector])["w"] for seed in range(400)]).mean()
    assert mean.item() == pytest.approx(3.0, abs=4 * 3.0 / (400 * 200) ** 0.5)


def test_tasks_parameters_elements_and_seeds_are_drawn_independently() -> None:
    kept = dropped(task_vectors=2)["a"] / values
    first, second = (kept == 4) | (kept == 12), (kept == 8) | (kept == 12)
    one, other = dropped()["a"] != 0, dropped()["b"] != 0
    pairs = [(first, second), (one, other), (one[1:], one[:-1]), (one, dropped(seed=1)["a"] != 0)]
    both, deviation = (1 - RATE) ** 2, ((1 - RATE) ** 2 / ELEMENTS) ** 0.5
    for left, right in pairs:
        assert abs((left & right).double().mean().item() - both) < 5 * deviation
    assert torch.equal(first, one)
    assert torch.equal(dropped()["a"], dropped()["a"])


def test_the_same_draws_are_combined_in_three_ways() -> None:
    summed, mean, elected = (dropped(0, 2, combination)["a"] for combination in ("sum", "mean", "ties"))
    torch.testing.assert_close(mean, summed / 2)
    count = torch.where(summed == values * 12, 2.0, 1.0)
    torch.testing.assert_close(elected, summed / count)


def test_without_dropping_it_is_the_combination_alone() -> None:
    finetuned = [{"w": torch.tensor(vector)} for vector in ([3.0, -1.0], [-1.0, -3.0], [1.0, 0.0])]
    start = {"w": torch.zeros(2)}
    expected = {"sum": [3.0, -4.0], "mean": [1.0, -4 / 3], "ties": [2.0, -2.0]}
    for combination, result in expected.items():
        merged = Dare(1.0, 0.0, combination).merge(start, finetuned)["w"]  # type: ignore[arg-type]
        torch.testing.assert_close(merged, torch.tensor(result))


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="drop_rate"):
        Dare(drop_rate=1.0)
    with pytest.raises(ValueError, match="combination"):
        Dare(combination="median")  # type: ignore[arg-type]
