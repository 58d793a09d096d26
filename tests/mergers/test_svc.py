"""Singular value calibration around methods of every kind, against the paper's formula."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cl_bench.mergers import SVC, TSV, Average, Last, MagMax, Merger, TaskArithmetic, Ties
from tests.mergers.matrix_models import FULL, FUSED, NO_MATRICES, SHAPES, WIDTH, encoders, low_rank, task_vectors

INNER: list[Merger] = [TaskArithmetic(0.3), MagMax(0.5), Ties(0.55, 0.4, "encoder"), TSV(1.3)]


def calibrated(merged: Tensor, vectors: Tensor, alpha: float) -> Tensor:
    left, values, right = torch.linalg.svd(merged, full_matrices=False)
    result = torch.zeros_like(merged)
    for r, value in enumerate(values):
        response, total = left[:, r] @ merged, 0.0
        for vector in vectors:
            own = left[:, r] @ vector
            total += max(alpha, float(response @ own / (own @ own)))
        result += len(vectors) / total * value * torch.outer(left[:, r], right[r])
    return result


@pytest.mark.parametrize("split", [False, True], ids=["whole", "split"])
@pytest.mark.parametrize("of", INNER, ids=lambda of: type(of).__name__)
@settings(max_examples=8, deadline=None)
@given(
    tasks=st.integers(1, 4),
    seed=st.integers(0, 2**31),
    alpha=st.sampled_from([None, 0.1, 1.0]),
    matrices=st.sampled_from(["all", "no_embeddings", "linear"]),
)
def test_agrees_with_the_formula(
    of: Merger, split: bool, tasks: int, seed: int, alpha: float | None, matrices: Any
) -> None:
    start, *finetuned = models = encoders(tasks, seed)
    inner = of.merge(start, finetuned)
    result = SVC(of, alpha, 0.8, split, matrices).merge(start, finetuned)
    for name, shape in SHAPES.items():
        merged, vectors = inner[name] - start[name], task_vectors(models, name)
        if len(shape) == 2 and 0 not in shape and name not in NO_MATRICES[matrices]:
            parts = range(0, shape[0], WIDTH) if split and name == FUSED else range(0, shape[0], shape[0])
            rows = WIDTH if len(parts) > 1 else shape[0]
            merged = torch.cat(
                [calibrated(merged[i : i + rows], vectors[:, i : i + rows], alpha or 1 / tasks) for i in parts]
            )
        torch.testing.assert_close(result[name], start[name] + 0.8 * merged, rtol=1e-6, atol=1e-6)


def test_what_all_share_is_counted_once() -> None:
    start, model = encoders(1)
    once = SVC(TaskArithmetic(1.0)).merge(start, [model] * 3)
    for name in (FULL, FUSED, "proj"):
        torch.testing.assert_close(once[name], model[name])
    # No matrix, or an embedding: as task arithmetic has it.
    for name in ("ln_pre.weight", "positional_embedding"):
        torch.testing.assert_close(once[name], start[name] + 3 * task_vectors([start, model], name)[0])


def test_one_task_stays_as_it_is() -> None:
    start, model = encoders(1)
    result = SVC(Last()).merge(start, [model])
    for name in SHAPES:
        torch.testing.assert_close(result[name], model[name])


def test_a_stretch_of_everything_changes_nothing_else() -> None:
    start, *finetuned = encoders(3)
    small = [{name: start[name] + (model[name] - start[name]) * 1e-7 for name in SHAPES} for model in finetuned]
    start, finetuned = ({name: start[name] for name in SHAPES}, [{n: m[n] for n in SHAPES} for m in finetuned])
    large, tiny = (SVC(TaskArithmetic(0.3)).merge(start, models) for models in (finetuned, small))
    for name in SHAPES:
        torch.testing.assert_close((tiny[name] - start[name]) * 1e7, large[name] - start[name], rtol=1e-5, atol=1e-6)


def test_directions_in_which_a_task_has_only_rounding_errors() -> None:
    """Two tasks with nothing in common: each direction is one task's own, and the other counts as α."""
    start = {"weight": torch.zeros(12, 8, dtype=torch.float64)}
    one, other = low_rank(2, 12, 8, seed=1), low_rank(2, 12, 8, seed=2)
    basis = torch.linalg.qr(one)[0][:, :2]
    other = other - basis @ (basis.T @ other)
    rows = torch.linalg.qr(one.T)[0][:, :2]
    other = other - other @ rows @ rows.T
    result = SVC(TaskArithmetic(1.0), 0.5).merge(start, [{"weight": one}, {"weight": other}])["weight"]
    torch.testing.assert_close(result, (one + other) * 2 / 1.5)


@pytest.mark.parametrize("merged_to_nothing", [True, False])
def test_zeros(merged_to_nothing: bool) -> None:
    start = {"weight": torch.zeros(3, 4)}
    models = [{"weight": torch.ones(3, 4) * merged_to_nothing}, {"weight": -torch.ones(3, 4) * merged_to_nothing}]
    assert not SVC(Average()).merge(start, models)["weight"].any()


@pytest.mark.parametrize(("settings_", "message"), [({"alpha": 0.0}, "alpha"), ({"matrices": "some"}, "matrices")])
def test_unknown_settings_are_refused(settings_: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SVC(Average(), **settings_)
