import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cl_bench.mergers import EMR, Lines, RunningMerge
from tests.mergers.per_task_models import SHAPES, each_tasks, per_element, quarters

streams = st.tuples(st.integers(1, 5), st.integers(0, 2**31), st.sampled_from([1.0, 0.5]))


def elected_and_masked(values: list[float], task: int) -> float:
    sign = 1 if sum(values) > 0 else -1
    largest = max([abs(value) for value in values if value * sign > 0], default=0.0)
    return sign * largest if values[task] * sign > 0 else 0.0


def oracle(models: list[dict[str, Tensor]], task: int, whole_model: bool) -> dict[str, Tensor]:
    vectors = {name: torch.stack([(m[name] - models[0][name]).flatten() for m in models[1:]]) for name in SHAPES}
    masked = {name: per_element(elected_and_masked, vector, task) for name, vector in vectors.items()}

    def size(of: dict[str, Tensor]) -> float:
        sizes = [(float(of[name].abs().sum()), of[name].numel()) for name in of if of[name].numel()]
        return sum(total if whole_model else total / elements for total, elements in sizes)

    left = size(masked)
    scale = size({name: vector[task] for name, vector in vectors.items()}) / left if left else 0.0
    return {name: scale * masked[name].reshape(shape) for name, shape in SHAPES.items()}


@pytest.mark.parametrize("rescale", ["parameter_means", "whole_model"])
@settings(max_examples=40, deadline=None)
@given(streams)
def test_each_tasks_model_is_elected_masked_and_rescaled(rescale: str, stream: tuple[int, int, float]) -> None:
    tasks, seed, scaling = stream
    models = quarters(tasks, seed)
    for task, model in enumerate(each_tasks(EMR(scaling, rescale), models)):
        expected = oracle(models, task, rescale == "whole_model")
        for name in SHAPES:
            torch.testing.assert_close(model[name], models[0][name] + scaling * expected[name], rtol=0, atol=1e-12)


def test_one_task_and_copies_of_one_model_come_back_and_a_task_that_changed_nothing_is_the_pretrained_model() -> None:
    pretrained, first, second = quarters(2, seed=1)
    for models in ([first], [first] * 3):
        for model in each_tasks(EMR(), [pretrained, *models]):
            assert all(torch.allclose(model[name], first[name], rtol=0, atol=1e-12) for name in SHAPES)
    unchanged = each_tasks(EMR(), [pretrained, first, pretrained, second])[1]
    assert all(torch.equal(unchanged[name], pretrained[name]) for name in SHAPES)


def test_a_sum_of_zero_elects_the_negative_sign() -> None:
    start = {"w": torch.zeros(2, dtype=torch.float64)}
    first, second = each_tasks(EMR(), [start, {"w": torch.tensor([1.0, 2.0])}, {"w": torch.tensor([-1.0, 2.0])}])
    assert first["w"].tolist() == [0.0, 3.0]  # its mean was 1.5, and 1 after the mask
    assert second["w"].tolist() == [-1.0, 2.0]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.permutations(range(4)))
def test_the_order_of_tasks_does_not_matter(seed: int, order: list[int]) -> None:
    pretrained, *finetuned = quarters(4, seed)
    usual = each_tasks(EMR(), [pretrained, *finetuned])
    for model, task in zip(each_tasks(EMR(), [pretrained, *(finetuned[t] for t in order)]), order, strict=True):
        assert all(torch.equal(model[name], usual[task][name]) for name in SHAPES)


def test_a_task_that_arrives_later_changes_the_models_of_all_tasks_and_a_resumed_merge_knows_it() -> None:
    models = quarters(3, seed=4)
    running, resumed = RunningMerge(EMR(), models[0]), RunningMerge(EMR(), models[0])
    for model in models[1:3]:
        running.add(model)
    early = running.merged_for(1)
    resumed.add(models[3])
    resumed.merged_for(1)
    resumed.load_state_dict(running.state_dict())
    assert all(torch.equal(resumed.merged_for(1)[name], early[name]) for name in SHAPES)
    running.add(models[3])
    late, expected = running.merged_for(1), each_tasks(EMR(), models)[0]
    assert not torch.equal(late["matrix"], early["matrix"])
    assert all(torch.equal(late[name], expected[name]) for name in SHAPES)


def test_there_is_no_single_model_and_none_of_a_task_that_was_not_merged() -> None:
    models = quarters(2, seed=5)
    running = RunningMerge(EMR(), models[0])
    assert all(torch.equal(running.merged()[name], models[0][name]) for name in SHAPES)
    running.add(models[1])
    for ask in (
        running.merged,
        running.finish,
        lambda: next(running.merged_with_each([1.0])),
        lambda: EMR().merge(models[0], models[1:]),
        lambda: EMR().merge(models[0], iter(models[1:])),
    ):
        with pytest.raises(ValueError, match="EMR makes a model for each task, not one for all"):
            ask()
    for task in (0, 2):
        with pytest.raises(ValueError, match=f"there is no model for task {task}: tasks 1 to 1 are merged"):
            running.merged_for(task)
    with pytest.raises(ValueError, match="EMR makes one for each"):
        Lines(EMR(), 0.5)
    with pytest.raises(ValueError, match="rescale must be"):
        EMR(rescale="median")  # type: ignore[arg-type]
