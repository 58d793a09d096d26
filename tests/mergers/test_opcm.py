from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cl_bench.mergers import OPCM, RunningMerge
from tests.mergers.matrix_models import FULL, OUTSIDE_LAYERS, PARAMETER, SHAPES, WIDTH, by_hand, encoders, low_rank


def opcm(models: list[dict[str, Tensor]], alpha: float, split: bool, outside_layers: str) -> dict[str, Tensor]:
    """Tang et al. as released: λ_t and the whole model scaled after every task, all of U and V.

    What is outside of layers is in the model from the first task on, and is not touched but by the scaling.
    """
    start, scale = models[0], 1.0
    merged = {name: models[1][name] - start[name] for name in SHAPES}
    lengths = [length(merged)]
    for model in models[2:]:
        new = {name: model[name] - start[name] for name in SHAPES}
        lengths.append(length(new))
        previous = [merged, new]
        cleaned = by_hand(
            [{name: torch.zeros(shape).double() for name, shape in SHAPES.items()}, *previous],
            lambda pair: scale * pair[0] + projected(pair[0], pair[1], alpha),  # noqa: B023
            lambda pair: scale * pair[0] + pair[1],  # noqa: B023
            "linear",
            split,
        )
        if outside_layers == "first":
            cleaned |= {name: merged[name] for name in OUTSIDE_LAYERS}
        scale = length(cleaned) / (sum(lengths) / len(lengths))
        merged = {name: cleaned[name] / scale for name in SHAPES}
    return merged


def projected(merged: Tensor, new: Tensor, alpha: float) -> Tensor:
    left, values, right = torch.linalg.svd(merged, full_matrices=True)
    inside = left.T @ new @ right.T
    leading = int((values.cumsum(0) / values.sum() > alpha).float().argmax())
    inside.diagonal().fill_(0)
    inside[:leading, :leading] = 0
    return left @ inside @ right


def length(vector: dict[str, Tensor]) -> float:
    return sum(float(tensor.square().sum()) for tensor in vector.values()) ** 0.5


@pytest.mark.parametrize("outside_layers", ["first", "merged"])
@pytest.mark.parametrize("split", [False, True])
@settings(max_examples=20, deadline=None)
@given(tasks=st.integers(1, 4), seed=st.integers(0, 2**31), alpha=st.sampled_from([0.0, 0.3, 0.5, 0.9]))
def test_agrees_with_the_running_form(split: bool, outside_layers: Any, tasks: int, seed: int, alpha: float) -> None:
    models = encoders(tasks, seed)
    result = OPCM(0.7, alpha, split, outside_layers=outside_layers).merge(models[0], models[1:])
    expected = opcm(models, alpha, split, outside_layers)
    for name in SHAPES:
        torch.testing.assert_close(result[name], models[0][name] + 0.7 * expected[name], rtol=1e-6, atol=1e-6)


def test_the_class_embedding_stays_the_first_tasks_and_shrinks_as_released() -> None:
    models = encoders(4, seed=8)
    result, expected = OPCM().merge(models[0], models[1:]), opcm(models, 0.5, True, "first")
    merged = OPCM(outside_layers="merged").merge(models[0], models[1:])
    for name in OUTSIDE_LAYERS:
        first, kept = models[1][name] - models[0][name], result[name] - models[0][name]
        torch.testing.assert_close(kept, expected[name], rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(kept / kept.norm(), first / first.norm())
        assert 0 < kept.norm() < first.norm() and not torch.allclose(result[name], merged[name])
    assert not torch.equal(result[FULL], merged[FULL])  # the length of the whole model is another one


def test_the_class_embedding_is_known_in_every_layout_and_models_without_one_are_merged_as_before() -> None:
    models = encoders(3, seed=9)
    visual, hugging_face = (
        [{name.replace("class_embedding", other): tensor for name, tensor in model.items()} for model in models]
        for other in ("visual.class_embedding", "vision_model.embeddings.class_embedding")
    )
    results = [OPCM().merge(some[0], some[1:]) for some in (models, visual, hugging_face)]
    assert all(torch.equal(next(iter(result.values())), results[0]["class_embedding"]) for result in results)
    without = [{name: tensor for name, tensor in m.items() if name not in OUTSIDE_LAYERS} for m in models]
    one, other = (OPCM(outside_layers=how).merge(without[0], without[1:]) for how in ("first", "merged"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_the_merged_vector_is_as_long_as_the_tasks_on_average() -> None:
    models = encoders(3, seed=1)
    vectors = [{name: model[name] - models[0][name] for name in SHAPES} for model in models[1:]]
    result = OPCM().merge(models[0], models[1:])
    merged = {name: result[name] - models[0][name] for name in SHAPES}
    assert length(merged) == pytest.approx(sum(map(length, vectors)) / 3)


def test_what_the_merged_model_has_taken_is_taken_from_new_tasks() -> None:
    first, second = low_rank(WIDTH, 8, WIDTH, seed=2), low_rank(WIDTH, 8, WIDTH, seed=3)
    together = OPCM(alpha=1.0).fold_matrix(first, second, PARAMETER)
    left, _, right = torch.linalg.svd(first, full_matrices=False)
    added = together - first
    assert float((left.T @ added @ right.T).abs().max()) < 1e-9
    torch.testing.assert_close(added, second - left @ left.T @ second)


def test_a_copy_of_the_first_task_adds_nothing_to_its_matrices() -> None:
    vector = low_rank(WIDTH, 8, WIDTH, seed=4)
    torch.testing.assert_close(OPCM(alpha=0.0).fold_matrix(vector, vector, PARAMETER), vector)


def test_one_task_keeps_its_weights() -> None:
    models = encoders(1, seed=5, dtype=torch.float32)
    result = OPCM().merge(*models[:1], models[1:])
    for name in SHAPES:
        torch.testing.assert_close(result[name], models[1][name])


def test_tasks_that_changed_nothing() -> None:
    pretrained, changed = encoders(1, seed=6)
    result = OPCM().merge(pretrained, [pretrained, pretrained])
    assert all(torch.equal(result[name], pretrained[name]) for name in SHAPES)
    # Half of the mean length is nothing; the direction stays.
    result = OPCM(outside_layers="merged").merge(pretrained, [pretrained, changed])
    torch.testing.assert_close(result[FULL], (pretrained[FULL] + changed[FULL]) / 2)


def test_task_by_task_equals_all_at_once() -> None:
    models = encoders(3, seed=7, dtype=torch.float32)
    running = RunningMerge(OPCM(), models[0])
    for t, model in enumerate(models[1:], start=1):
        running.add(model)
        merged, expected = running.merged(), OPCM().merge(models[0], models[1 : t + 1])
        assert all(torch.equal(merged[name], expected[name]) for name in SHAPES)


@pytest.mark.parametrize("wrong", [{"alpha": -0.1}, {"alpha": 1.1}, {"outside_layers": "pretrained"}])
def test_settings_are_checked(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        OPCM(**wrong)
