"""Statistics of normalization layers are no weights: no rule sees them, and no variance becomes negative."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from cl_bench.mergers import (
    CMM,
    Fisher,
    Last,
    Lines,
    MagMax,
    Merger,
    RegMean,
    Rescale,
    RunningMerge,
    TaskArithmetic,
    Ties,
    Wudi,
)
from cl_bench.mergers.engine.around import Around, Merged, Whole
from cl_bench.mergers.engine.blocks import Stack, Weights
from cl_bench.mergers.engine.stacking import StackMerger
from tests.mergers.one_model import one_model
from tests.mergers.test_mergers import METHODS

STATISTICS = ("1.running_mean", "1.running_var")


def model(seed: int, scale: float = 1.0) -> dict[str, Tensor]:
    """A convolution, a normalization layer and a linear one, after images of that scale."""
    torch.manual_seed(seed)
    layers = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8 * 4, 5)).train()
    for _ in range(30):
        layers(torch.randn(16, 3, 4, 4) * scale)
    return {name: tensor.detach().clone() for name, tensor in layers.state_dict().items()}


PRETRAINED = model(0)
TUNED = [model(seed, scale) for seed, scale in ((1, 0.3), (2, 0.4), (3, 0.5))]


def weights_alone(tensors: Weights) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in tensors.items() if name not in STATISTICS}


@pytest.mark.parametrize("name", METHODS)
def test_a_rule_gives_what_it_gives_without_them_and_they_stay(name: str) -> None:
    merger = METHODS[name].merger(0.5)
    merged = one_model(merger, PRETRAINED, TUNED)
    alone = one_model(merger, weights_alone(PRETRAINED), [weights_alone(tuned) for tuned in TUNED])
    assert all(torch.equal(merged[key], tensor) for key, tensor in alone.items())
    assert all(torch.equal(merged[key], PRETRAINED[key]) for key in STATISTICS)
    assert merged["1.num_batches_tracked"] == PRETRAINED["1.num_batches_tracked"]


KINDS: dict[str, Callable[[], Merger]] = {
    "folding": MagMax,
    "looking": lambda: Ties(density=0.4),
    "at once": lambda: TaskArithmetic(1.0),
    "stacking": lambda: Wudi(1.0, 3),
    "around": lambda: Lines(MagMax(1.0), 0.0, None, 1.0),
    "around all tasks": lambda: Rescale(TaskArithmetic(0.5), "model", 1.0),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_average_is_taken_over_tasks_by_every_way_of_merging(kind: str, tmp_path: Path) -> None:
    expected = {name: torch.stack([tuned[name] for tuned in TUNED]).double().mean(0).float() for name in STATISTICS}
    at_once = KINDS[kind]().merge(PRETRAINED, TUNED, running_statistics="average")
    running = RunningMerge(KINDS[kind](), PRETRAINED, running_statistics="average")
    assert torch.equal(running.merged()["1.running_var"], PRETRAINED["1.running_var"])  # before the first task
    running.add(TUNED[0])
    save_file(running.state_dict(), tmp_path / "state.safetensors")
    resumed = RunningMerge(KINDS[kind](), PRETRAINED, running_statistics="average")
    resumed.load_state_dict(load_file(tmp_path / "state.safetensors"))
    for tuned in TUNED[1:]:
        running.add(tuned)
        resumed.add(tuned)
    ways = (at_once, running.merged(), resumed.merged(), next(running.merged_with_each([0.5])))
    for merged in ways:
        assert all(torch.equal(merged[name], mean) for name, mean in expected.items())
        assert all((merged[name] >= 0).all() for name in STATISTICS if name.endswith("var"))
        assert torch.equal(merged["1.num_batches_tracked"], PRETRAINED["1.num_batches_tracked"])
    with pytest.raises(ValueError, match=r"unknown 'running_statistics/1\.running_mean'"):
        RunningMerge(KINDS[kind](), PRETRAINED).load_state_dict(running.state_dict())


def test_the_merged_model_of_narrow_ranges_gives_numbers() -> None:
    merged = TaskArithmetic(0.5).merge(PRETRAINED, TUNED)
    layers = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8 * 4, 5)).eval()
    layers.load_state_dict(merged)
    assert layers(torch.randn(2, 3, 4, 4)).isfinite().all()


def test_going_on_from_other_weights_takes_their_statistics_for_the_mean_so_far() -> None:
    running = RunningMerge(CMM(second_moments=False, scaling=1.0), PRETRAINED, running_statistics="average")
    running.add(TUNED[0])
    running.add(TUNED[1])
    running.restart(TUNED[2])
    running.add(TUNED[0])
    for name in STATISTICS:
        torch.testing.assert_close(running.merged()[name], (2 * TUNED[2][name] + TUNED[0][name]) / 3)


class _Sees(StackMerger):
    seen: set[str]

    def look_over(self, stacks: Callable[[], Iterator[Stack]]) -> Weights:
        self.seen = {stack.name for stack in stacks()}
        return {}

    def combine_stack(self, stack: Stack) -> Tensor:
        self.seen.add(stack.name)
        return stack.vectors[0]


class _SeesAround(Around):
    seen: set[str]

    def notes(self, parameters: Weights) -> dict[str, Tensor]:
        self.seen = set(parameters)
        return {}

    def note(self, notes: object, vectors: object) -> None:
        self.seen |= {name for name, _ in vectors}  # type: ignore[attr-defined]

    def change(self, whole: Whole) -> Callable[[Merged], Tensor]:
        self.seen |= set(whole.names) | {merged.name for merged in whole.parameters()}
        return lambda merged: merged.vector


@pytest.mark.parametrize("merger", [_Sees(1.0), _SeesAround(MagMax(), 1.0)], ids=["stacking", "around"])
def test_no_rule_gets_to_see_them(merger: _Sees | _SeesAround) -> None:
    merger.merge(PRETRAINED, TUNED, running_statistics="average")
    assert merger.seen == {"0.weight", "0.bias", "1.weight", "1.bias", "3.weight", "3.bias"}


@pytest.mark.parametrize("merger", [Fisher(), RegMean()], ids=["fisher", "regmean"])
def test_no_statistic_of_training_is_about_them(merger: Merger) -> None:
    about = {name: {"1.running_var": torch.ones(8)} for name in merger.requires}
    with pytest.raises(ValueError, match=r"'1\.running_var', of shape \(8,\), fit no parameter"):
        merger.merge(PRETRAINED, TUNED[:1], statistics=[about])


@pytest.mark.parametrize(
    "merger", [MagMax(), Last(), Wudi(1.0, 3), Lines(MagMax(1.0), 0.0, None, 1.0)], ids=lambda m: type(m).__name__
)
def test_what_cannot_be_averaged_is_named_and_changes_nothing(merger: Merger) -> None:
    running = RunningMerge(merger, PRETRAINED, running_statistics="average")
    running.add(TUNED[0])
    before = running.merged()
    for value, problem in ((-1.0, "has a negative variance"), (torch.nan, "has a NaN")):
        wrong = TUNED[1] | {"1.running_var": torch.full((8,), value)}
        with pytest.raises(ValueError, match=rf"task 2\): '1\.running_var' {problem}"):
            running.add(wrong)
        with pytest.raises(ValueError, match=rf"task 2\): '1\.running_var' {problem}"):
            merger.merge(PRETRAINED, [TUNED[0], wrong], running_statistics="average")
    assert running.tasks == 1 and all(torch.equal(running.merged()[name], before[name]) for name in before)


def test_another_word_is_refused() -> None:
    with pytest.raises(ValueError, match="running_statistics must be 'pretrained' or 'average', not 'mean'"):
        MagMax().merge(PRETRAINED, TUNED, running_statistics="mean")  # type: ignore[arg-type]
