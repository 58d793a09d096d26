import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cl_bench.mergers import RunningMerge, TallMasks
from tests.mergers.per_task_models import SHAPES, each_tasks, per_element, quarters


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 5), st.integers(0, 2**31), st.sampled_from([1.0, 0.5]), st.sampled_from([0.0, 0.25, 0.5, 1.0]))
def test_a_task_keeps_what_it_changed_more_than_the_others_together(
    tasks: int, seed: int, scaling: float, threshold: float
) -> None:
    def kept(values: list[float], task: int) -> float:
        total = scaling * sum(values)
        return total if abs(values[task]) >= threshold * abs(total - values[task]) else 0.0

    models = quarters(tasks, seed)
    for task, model in enumerate(each_tasks(TallMasks(scaling, threshold), models)):
        for name, shape in SHAPES.items():
            vectors = torch.stack([(each[name] - models[0][name]).flatten() for each in models[1:]])
            expected = models[0][name] + per_element(kept, vectors, task).reshape(shape)
            torch.testing.assert_close(model[name], expected, rtol=0, atol=1e-12)


def test_a_candidate_takes_the_place_of_the_threshold() -> None:
    models = quarters(4, seed=2)
    running = RunningMerge(TallMasks(threshold=0.2), models[0])
    for model in models[1:]:
        running.add(model)
    by_candidate = {each: running.merged_for(3, each)["matrix"] for each in TallMasks.candidates}
    for candidate, matrix in by_candidate.items():
        assert torch.equal(matrix, each_tasks(TallMasks(threshold=candidate), models)[2]["matrix"])
    assert torch.equal(running.merged_for(3)["matrix"], by_candidate[0.2])
    assert not torch.equal(by_candidate[0.2], by_candidate[0.6])


def test_one_task_is_itself_and_the_default_is_the_middle_of_the_candidates() -> None:
    pretrained, first = quarters(1, seed=3)
    (alone,) = each_tasks(TallMasks(), [pretrained, first])
    assert all(torch.equal(alone[name], first[name]) for name in SHAPES)
    assert TallMasks().threshold == TallMasks.candidates[2] == 0.4


@pytest.mark.parametrize("threshold", [-0.1, float("nan")])
def test_a_threshold_that_is_negative_or_no_number_is_refused(threshold: float) -> None:
    with pytest.raises(ValueError, match=f"must be at least 0, but is {threshold}"):
        TallMasks(threshold=threshold)
