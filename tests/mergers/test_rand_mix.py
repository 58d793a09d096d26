import torch

from cl_bench.mergers import RandMix

ELEMENTS, TASKS = 40_000, 4
pretrained = {"a": torch.zeros(ELEMENTS), "b": torch.zeros(ELEMENTS)}
finetuned = [{name: torch.full((ELEMENTS,), float(t)) for name in "ab"} for t in range(1, TASKS + 1)]


def chosen(seed: int) -> dict[str, torch.Tensor]:
    return RandMix(1.0, seed).merge(pretrained, finetuned)


def test_every_task_has_the_same_share_of_elements() -> None:
    values, counts = chosen(0)["a"].unique(return_counts=True)
    assert values.tolist() == [1.0, 2.0, 3.0, 4.0]
    standard_deviation = (ELEMENTS * 1 / TASKS * (1 - 1 / TASKS)) ** 0.5
    assert (counts - ELEMENTS / TASKS).abs().max() < 4 * standard_deviation


def test_elements_and_parameters_are_drawn_independently() -> None:
    merged = chosen(0)
    expected, tolerance = 1 / TASKS, 4 * (1 / TASKS / ELEMENTS) ** 0.5
    for one, other in ((merged["a"], merged["b"]), (merged["a"][1:], merged["a"][:-1])):
        assert abs((one == other).double().mean().item() - expected) < tolerance


def test_the_seed_decides() -> None:
    assert torch.equal(chosen(3)["a"], chosen(3)["a"])
    assert not torch.equal(chosen(3)["a"], chosen(4)["a"])


def test_other_parameters_and_global_randomness_change_no_draw() -> None:
    torch.manual_seed(1)
    alone = RandMix(1.0, 0).merge({"b": pretrained["b"]}, [{"b": model["b"]} for model in finetuned])
    assert torch.equal(alone["b"], chosen(0)["b"])
