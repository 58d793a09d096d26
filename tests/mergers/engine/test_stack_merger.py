"""What the running merge owes to a method that sees all tasks together, shown with one made up for it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from cl_bench.mergers import RunningMerge
from cl_bench.mergers.engine.blocks import Stack
from cl_bench.mergers.engine.stacking import StackMerger
from cl_bench.mergers.numerics.sums import sum_in_order

PRETRAINED = {"layer.weight": torch.ones(2, 3), "scale": torch.tensor(2.0), "steps": torch.tensor(1)}


class WeightedMedian(StackMerger):
    """The lower median of the task vectors, times the sum of their importance where there is any."""

    requires = frozenset({"importance"})

    def combine_stack(self, stack: Stack) -> Tensor:
        weights = [own["importance"] for own in stack.statistics if own["importance"] is not None]
        return stack.vectors.median(0).values.mul(sum(weight.sum() for weight in weights) or 1)


def model(seed: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        "layer.weight": torch.randn(2, 3, generator=generator),
        "scale": torch.randn((), generator=generator),
        "steps": torch.tensor(seed),
    }


def importance(seed: int) -> dict[str, dict[str, Tensor]]:
    return {"importance": {"layer.weight": torch.full((2, 3), float(seed))}, "not asked for": {}}


def running(tasks: int) -> RunningMerge:
    merge = RunningMerge(WeightedMedian(0.5), PRETRAINED)
    for task in range(1, tasks + 1):
        merge.add(model(task), importance(task))
    return merge


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_the_stack_has_all_tasks_and_their_statistics() -> None:
    vectors = torch.stack([model(task)["layer.weight"] - 1 for task in (1, 2, 3)])
    expected = 1 + 0.5 * vectors.median(0).values * (1 + 2 + 3) * 6
    merged = running(3).merged()
    torch.testing.assert_close(merged["layer.weight"], expected)
    assert merged["steps"] == 1


def test_restored_from_a_file_equals_uninterrupted(tmp_path: Path) -> None:
    stopped = running(2)
    save_file(stopped.state_dict(), tmp_path / "state.safetensors")
    restored = RunningMerge(WeightedMedian(0.5), PRETRAINED)
    restored.load_state_dict(load_file(tmp_path / "state.safetensors"))
    assert restored.tasks == 2
    for merge in (stopped, restored):
        merge.add(model(3), importance(3))
    assert same(restored.merged(), stopped.merged())
    assert same(restored.state_dict(), stopped.state_dict())


def test_the_state_names_task_statistic_and_parameter() -> None:
    assert set(running(1).state_dict()) == {
        "tasks",
        *("1/layer.weight", "1/scale", "1/steps"),
        "1.importance/layer.weight",
    }
    assert set(running(0).state_dict()) == {"tasks"}


def test_another_layout_can_be_saved(tmp_path: Path) -> None:
    merge = RunningMerge(WeightedMedian(0.5), PRETRAINED)
    transposed = model(1)["layer.weight"].t().contiguous().t()
    merge.add(model(1) | {"layer.weight": transposed}, importance(1))
    save_file(merge.state_dict(), tmp_path / "state.safetensors")
    assert torch.equal(load_file(tmp_path / "state.safetensors")["1/layer.weight"], transposed)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"1/scale": None}, r"state_dict \(task 1\) lacks 'scale'"),
        ({"tasks": None}, "lacks 'tasks'"),
        ({"3/scale": torch.tensor(1.0)}, "unknown '3/scale'"),
        ({"2/scale": torch.ones(1)}, r"task 2\): 'scale' has shape"),
        ({"2/scale": torch.tensor(torch.nan)}, r"task 2\): 'scale' has a NaN"),
        ({"2.fisher/scale": torch.tensor(1.0)}, "unknown '2.fisher/scale'"),
        ({"2.importance/scale": torch.ones(2)}, "importance of 'scale'"),
    ],
    ids=lambda value: "/".join(value) if isinstance(value, dict) else "",
)
def test_foreign_state_is_refused_and_changes_nothing(change: dict[str, Tensor | None], message: str) -> None:
    saved = {name: tensor for name, tensor in (running(2).state_dict() | change).items() if tensor is not None}
    merge = running(1)
    with pytest.raises(ValueError, match=message):
        merge.load_state_dict(saved)
    assert merge.tasks == 1 and same(merge.merged(), running(1).merged())


def test_a_stack_has_one_layout() -> None:
    class Layout(StackMerger):
        def combine_stack(self, stack: Stack) -> Tensor:
            assert stack.pretrained.is_contiguous() and stack.vectors.is_contiguous()
            return stack.vectors[-1]

    weights = torch.arange(6.0).view(3, 2).t()
    merged = Layout(1.0).merge({"w": weights + 1}, [{"w": weights}, {"w": 2 * weights}])["w"]
    assert torch.equal(merged, 2 * weights)


def test_an_overview_of_all_parameters_reaches_every_stack() -> None:
    class Centered(StackMerger):
        def look_over(self, stacks: Callable[[], Iterator[Stack]]) -> dict[str, Tensor]:
            names = [stack.name for stack in stacks()]
            assert names == [stack.name for stack in stacks()] == ["layer.weight", "scale"]
            return {"total": torch.stack([stack.vectors.sum() for stack in stacks()]).sum()}

        def combine_stack(self, stack: Stack) -> Tensor:
            return stack.vectors[0] - stack.overview["total"]

    finetuned = {"layer.weight": torch.full((2, 3), 2.0), "scale": torch.tensor(5.0), "steps": torch.tensor(0)}
    merged = Centered(1.0).merge(PRETRAINED, [finetuned])
    assert (merged["layer.weight"] == 2 - 9).all() and merged["scale"] == 5 - 9


def test_a_sum_over_tasks_does_not_depend_on_where_an_element_stands() -> None:
    vectors = torch.randn(40, 203, generator=torch.Generator().manual_seed(0))
    total = sum_in_order(vectors)
    assert all(torch.equal(sum_in_order(vectors[:, start:]), total[start:]) for start in range(1, 203))
    torch.testing.assert_close(total, vectors.sum(0))


def test_refused_weights_change_nothing() -> None:
    merge = running(1)
    with pytest.raises(ValueError, match=r"task 2\): WeightedMedian needs the statistics"):
        merge.add(model(2))
    assert same(merge.state_dict(), running(1).state_dict())
