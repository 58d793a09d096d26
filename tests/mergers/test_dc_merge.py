from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cl_bench.mergers import SVC, Average, ByName, CoreSpace, DCMerge, RunningMerge
from cl_bench.mergers.by_name import Rule
from cl_bench.runtime.errors import UserError
from cl_bench.runtime.instantiate import instantiate
from tests.mergers.matrix_models import SHAPES, WIDTH, by_hand, encoders, low_rank, partial_isometry

stacks = st.tuples(st.integers(1, 4), st.integers(4, 9), st.integers(4, 9), st.integers(0, 2**31))
densities = st.sampled_from([0.001, 0.1, 0.5, 1.0])


def dc_merge(vectors: Tensor, density: float = 0.1) -> Tensor:
    """Element by element, from whole decompositions."""
    tasks, m, n = vectors.shape
    k = min(m, n) // tasks
    parts = [torch.linalg.svd(vector, full_matrices=False) for vector in vectors]
    left = partial_isometry(torch.cat([u[:, :k] for u, _, _ in parts], dim=1))
    right = partial_isometry(torch.cat([vh[:k].T for _, _, vh in parts], dim=1))
    seen = []
    for u, s, vh in parts:
        coordinates = left.T @ (u[:, :k] @ torch.diag(s[:k]) @ vh[:k]) @ right
        ordered = sorted(coordinates.abs().flatten().tolist(), reverse=True)
        least = ordered[min(len(ordered), max(1, int(density * min(m, n) ** 2))) - 1]
        seen.append(torch.where(coordinates.abs() >= least, coordinates, 0.0))
    merged = torch.zeros(k * tasks, k * tasks, dtype=torch.float64)
    for row in range(k * tasks):
        for column in range(k * tasks):
            values = [float(one[row, column]) for one in seen]
            agreeing = [value for value in values if value * sum(values) > 0]
            if row // k == column // k and agreeing:
                merged[row, column] = sum(agreeing) / len(agreeing)
    return left @ merged @ right.T


def matrices(tasks: int, m: int, n: int, seed: int) -> Tensor:
    return torch.stack([low_rank(min(m, n), m, n, seed + t) for t in range(tasks)])


@settings(max_examples=60, deadline=None)
@given(stacks, densities)
def test_agrees_with_the_five_steps(stack: tuple[int, int, int, int], density: float) -> None:
    vectors = matrices(*stack)
    merged = DCMerge(density=density).combine_matrices(vectors)
    torch.testing.assert_close(merged, dc_merge(vectors, density), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("split", [False, True])
def test_agrees_on_a_whole_model(split: bool) -> None:
    models = encoders(2, seed=1)
    result = DCMerge(0.7, 0.1, split).merge(models[0], models[1:])
    expected = by_hand(models, dc_merge, lambda vectors: vectors.mean(0), "all", split)
    for name in SHAPES:
        torch.testing.assert_close(result[name], models[0][name] + 0.7 * expected[name])


@settings(max_examples=20, deadline=None)
@given(stacks, densities, st.randoms(use_true_random=False))
def test_order_of_the_tasks_does_not_matter(stack: tuple[int, int, int, int], density: float, random: Any) -> None:
    vectors = matrices(*stack)
    order = list(range(len(vectors)))
    random.shuffle(order)
    one, other = (DCMerge(density=density).combine_matrices(each) for each in (vectors, vectors[order]))
    torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)


def test_one_task_with_all_elements_keeps_its_vector() -> None:
    vector = low_rank(4, 6, 4, seed=0)
    torch.testing.assert_close(DCMerge(density=1.0).combine_matrices(vector[None]), vector)


def test_one_element_is_the_leading_direction() -> None:
    vector = low_rank(4, 6, 4, seed=3)
    left, values, right = torch.linalg.svd(vector)
    merged = DCMerge().combine_matrices(vector[None])
    torch.testing.assert_close(merged, values[0] * torch.outer(left[:, 0], right[0]))


def test_tasks_with_nothing_in_common_are_added() -> None:
    vectors = torch.zeros(2, 6, 4, dtype=torch.float64)
    vectors[0, :3, :2], vectors[1, 3:, 2:] = low_rank(2, 3, 2, seed=4), low_rank(2, 3, 2, seed=5)
    torch.testing.assert_close(DCMerge(density=1.0).combine_matrices(vectors), vectors.sum(0))


def test_tasks_that_changed_nothing() -> None:
    vector = low_rank(2, 6, 6, seed=6)
    kept = DCMerge(density=1.0).combine_matrices(torch.stack([torch.zeros_like(vector), vector]))
    torch.testing.assert_close(kept, vector)
    assert not DCMerge().combine_matrices(torch.zeros(3, 4, 5)).any()


def test_copies_of_a_task_lead_nowhere_else() -> None:
    """Tasks that share all directions leave half of U's and V's columns free; nothing may be made up in these."""
    vector = low_rank(6, 9, 6, seed=2)
    left, values, _ = torch.linalg.svd(vector, full_matrices=False)
    merged = DCMerge(density=1.0).combine_matrices(torch.stack([vector] * 2))
    span = left[:, :3]
    torch.testing.assert_close(merged, span @ (span.T @ merged))
    assert merged.norm() <= values[:3].norm() * (1 + 1e-9)


@pytest.mark.parametrize("split", [False, True])
def test_more_tasks_than_directions_are_refused_by_name(split: bool) -> None:
    start, *finetuned = encoders(WIDTH)
    merge = RunningMerge(DCMerge(split_qkv=split), start)
    for model in finetuned[: WIDTH - 1]:
        merge.add(model)
    merge.merged()
    merge.add(finetuned[-1])
    with pytest.raises(ValueError, match=r"'proj' has 3 directions, and DC-Merge needs one for each of 4 tasks"):
        merge.merged()
    assert DCMerge(matrices="linear").merge(start, finetuned)["proj"].shape == SHAPES["proj"]


def test_the_rows_of_one_projection_count() -> None:
    name = "attn.in_proj_weight"
    models = [{name: torch.randn(9, 8, generator=torch.Generator().manual_seed(task))} for task in range(5)]
    assert DCMerge().merge(models[0], models[1:])[name].shape == (9, 8)
    with pytest.raises(ValueError, match=r"'attn\.in_proj_weight' has 3 directions"):
        DCMerge(split_qkv=True).merge(models[0], models[1:])


def test_too_many_tasks_are_refused_before_training(run_py: Callable[..., Any]) -> None:
    run = run_py("merger=svc", "merger@merger.of=dc_merge", "scenario=glyphs_10", "scenario.tasks=18", "lightning=cpu")
    assert run.returncode == 2
    assert "has 17 directions, and DC-Merge needs one for each of 18 tasks" in run.stderr


def test_where_another_rule_has_the_small_matrices_more_tasks_are_welcome() -> None:
    start, *_ = encoders(1)
    parameters = {name: start[name] for name in SHAPES}
    DCMerge().check_tasks(parameters, 3)
    rules = [Rule("proj", Average())]
    ByName(DCMerge(), rules).check_tasks(parameters, WIDTH)
    CoreSpace(DCMerge()).check_tasks(parameters, WIDTH)
    for merger in (SVC(DCMerge()), ByName(Average(), [Rule("proj", DCMerge())]), ByName(DCMerge(), rules)):
        with pytest.raises(ValueError, match="needs one for each of 5 tasks"):
            merger.check_tasks(parameters, WIDTH + 1)


@pytest.mark.parametrize("density", [0.0, 1.5])
def test_an_impossible_density_is_refused(density: float) -> None:
    with pytest.raises(ValueError, match="density must be above 0 and at most 1"):
        DCMerge(density=density)
    with pytest.raises(UserError, match=r"merger\.density"):
        instantiate({"_target_": "cl_bench.mergers.DCMerge", "density": density}, "merger")


@pytest.mark.parametrize("seed", range(8))
def test_what_rounding_tells_apart_is_equal(seed: int) -> None:
    matrix = torch.randn(6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    merger = DCMerge()
    once, thrice, turned = (
        merger.combine_matrices(torch.stack([one, one])) for one in (matrix, 3 * matrix, matrix.T.contiguous())
    )
    torch.testing.assert_close(thrice / 3, once)
    torch.testing.assert_close(turned.T, once)
    assert once.any()
