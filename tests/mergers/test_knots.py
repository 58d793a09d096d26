"""KnOTS around elementwise methods, against a decomposition of all task vectors side by side by LAPACK."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cl_bench.mergers import BaseMerger, KnOTS, MagMax, Ties
from tests.mergers.matrix_models import FULL, FUSED, SHAPES, WIDE, WIDTH, encoders, task_vectors
from tests.mergers.test_mergers import magmax, ties

INNER: dict[str, tuple[Callable[[], BaseMerger], Callable[[Tensor], Tensor]]] = {
    "ties": (lambda: Ties(1.0, 0.4, "encoder"), ties),
    "magmax": (lambda: MagMax(1.0), magmax),
}


def merged_together(stacks: list[Tensor], inner: Callable[[Tensor], Tensor]) -> list[Tensor]:
    """Merges stacks (T, …) as one long vector of each task."""
    merged = inner(torch.cat([stack.flatten(1) for stack in stacks], dim=1))
    sizes = [stack[0].numel() for stack in stacks]
    return [part.view(stack.shape[1:]) for part, stack in zip(merged.split(sizes), stacks, strict=True)]


def knots(matrices: list[Tensor], inner: Callable[[Tensor], Tensor], per_matrix: bool) -> list[Tensor]:
    """From task vectors (T, m, n) of each matrix."""
    bases, shares = [], []
    for vectors in matrices:
        left, values, right = torch.linalg.svd(torch.cat(list(vectors), dim=1), full_matrices=False)
        left, values, right = left[:, values > 1e-5], values[values > 1e-5], right[values > 1e-5]
        parts = torch.stack(right.split(vectors.shape[2], dim=1))
        bases.append(left @ torch.diag(values) if per_matrix else left)
        shares.append(parts if per_matrix else torch.diag(values) @ parts)
    if per_matrix:
        merged = [merged_together([share], inner)[0] for share in shares]
    else:
        merged = merged_together(shares, inner)
    return [basis @ one for basis, one in zip(bases, merged, strict=True)]


@pytest.mark.parametrize("inner", INNER)
@pytest.mark.parametrize("variant", ["released", "per_matrix"])
@pytest.mark.parametrize("split", [True, False], ids=["split", "whole"])
@settings(max_examples=8, deadline=None)
@given(tasks=st.integers(1, 4), seed=st.integers(0, 2**31))
def test_agrees_with_the_decomposition(inner: str, variant: str, split: bool, tasks: int, seed: int) -> None:
    make, rule = INNER[inner]
    start, *finetuned = models = encoders(tasks, seed)
    result = KnOTS(make(), variant, 0.7, split).merge(start, finetuned)  # type: ignore[arg-type]
    fused = task_vectors(models, FUSED).split(WIDTH if split else 3 * WIDTH, dim=1)
    matrices = [*fused, task_vectors(models, FULL), task_vectors(models, WIDE)]
    *parts, full, wide = knots(matrices, rule, variant == "per_matrix")
    expected = {FUSED: torch.cat(parts), FULL: full, WIDE: wide}
    rest = [name for name in SHAPES if name not in expected]
    flat = [task_vectors(models, name).reshape(tasks, -1) for name in rest]
    expected |= dict(zip(rest, merged_together(flat, rule), strict=True))
    for name, shape in SHAPES.items():
        torch.testing.assert_close(result[name], start[name] + 0.7 * expected[name].view(shape), rtol=1e-6, atol=1e-6)


def test_singular_values_count_in_units_of_the_weights() -> None:
    """The bound of 1e-5 is absolute: a change that small in all directions disappears."""
    start, model = encoders(1)
    small = {name: start[name] + (model[name] - start[name]) * 1e-7 for name in SHAPES} | {"steps": start["steps"]}
    merged = KnOTS(MagMax(1.0)).merge(start, [small])
    assert torch.equal(merged[FULL], start[FULL])
    assert not torch.equal(merged["proj"], start["proj"])  # merged as it is
