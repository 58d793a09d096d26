import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cl_bench.mergers import LocalizeAndStitch
from cl_bench.runtime.errors import UserError
from cl_bench.runtime.instantiate import instantiate
from tests.mergers.matrix_models import SHAPES, encoders, task_vectors


def stitched(vectors: Tensor, density: float) -> Tensor:
    """Element by element, from the whole model as one vector (T, elements)."""
    keep = max(1, int(density * vectors.shape[1]))
    bounds = [sorted(vector.abs().tolist(), reverse=True)[keep - 1] for vector in vectors]
    result = torch.zeros_like(vectors[0])
    for i in range(vectors.shape[1]):
        there = [float(value) for value, bound in zip(vectors[:, i], bounds, strict=True) if abs(value) > bound]
        result[i] = sum(there) / len(there) if there else 0.0
    return result


def whole(models: list[dict[str, Tensor]]) -> Tensor:
    return torch.cat([task_vectors(models, name).reshape(len(models) - 1, -1) for name in SHAPES], dim=1)


@settings(max_examples=25, deadline=None)
@given(tasks=st.integers(1, 5), seed=st.integers(0, 2**31), density=st.sampled_from([0.001, 0.1, 0.5, 1.0]))
def test_agrees_with_the_rule_over_the_whole_model(tasks: int, seed: int, density: float) -> None:
    start, *finetuned = models = encoders(tasks, seed)
    merged = LocalizeAndStitch(0.7, density).merge(start, finetuned)
    flat = torch.cat([(merged[name] - start[name]).flatten() for name in SHAPES])
    torch.testing.assert_close(flat, 0.7 * stitched(whole(models), density))


@settings(max_examples=25, deadline=None)
@given(tasks=st.integers(1, 4), seed=st.integers(0, 2**31), density=st.sampled_from([0.1, 0.5]))
def test_what_equals_the_bound_is_left_out(tasks: int, seed: int, density: float) -> None:
    """Whole numbers, so that many magnitudes are equal."""
    generator = torch.Generator().manual_seed(seed)
    vectors = torch.randint(-4, 5, (tasks, 40), generator=generator).double()
    start = {"w": torch.zeros(40)}
    merged = LocalizeAndStitch(density=density).merge(start, [{"w": vector.float()} for vector in vectors])["w"]
    torch.testing.assert_close(merged.double(), stitched(vectors, density), rtol=1e-6, atol=1e-6)


def test_one_task_keeps_its_tenth_as_it_is() -> None:
    start, model = encoders(1)
    merged = LocalizeAndStitch().merge(start, [model])
    changed = torch.cat([(merged[name] - start[name]).flatten() for name in SHAPES])
    vector = whole([start, model])[0]
    assert int((changed != 0).sum()) == len(vector) // 10 - 1  # without the k-th largest itself
    torch.testing.assert_close(changed[changed != 0], vector[changed != 0])


def test_copies_are_stitched_to_what_one_of_them_gives() -> None:
    start, model = encoders(1)
    one, three = (LocalizeAndStitch().merge(start, [model] * tasks) for tasks in (1, 3))
    for name in SHAPES:
        torch.testing.assert_close(three[name], one[name])


@pytest.mark.parametrize("density", [0.0, -0.1, 1.5])
def test_an_impossible_density_is_refused(density: float) -> None:
    with pytest.raises(ValueError, match="density must be above 0 and at most 1"):
        LocalizeAndStitch(density=density)
    with pytest.raises(UserError, match=r"merger\.density"):
        instantiate({"_target_": "cl_bench.mergers.LocalizeAndStitch", "density": density}, "merger")
