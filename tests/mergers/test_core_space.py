"""Core space around elementwise and spectral methods, against LoRA's way through factors."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cl_bench.mergers import TSV, BaseMerger, CoreSpace, IsoC, MagMax, Stack, Ties
from tests.mergers.matrix_models import low_rank
from tests.mergers.test_mergers import magmax, ties
from tests.mergers.test_tsv import tsv

RANK = 2
SIZES = {"layers.0.fc1.weight": (9, 7), "layers.0.fc2.weight": (7, 9), "layers.1.fc1.weight": (12, 8)}


def flat(rule: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    return lambda stack: rule(stack.flatten(1)).view(stack.shape[1:])


INNER: dict[str, tuple[Callable[[], BaseMerger], Callable[[Tensor], Tensor]]] = {
    "ties": (lambda: Ties(1.0, 0.4, "encoder"), flat(ties)),
    "magmax": (lambda: MagMax(1.0), flat(magmax)),
    "tsv": (TSV, tsv),
}


def adapted(tasks: int, seed: int) -> list[dict[str, Tensor]]:
    """θ_0 and models whose matrices differ from it by matrices of rank 2, in float64; a bias differs, too."""
    generator = torch.Generator().manual_seed(seed)
    start = {name: torch.randn(size, generator=generator, dtype=torch.float64) for name, size in SIZES.items()}
    start["layers.0.fc1.bias"] = torch.zeros(9, dtype=torch.float64)
    models = [start]
    for task in range(tasks):
        moved = {name: start[name] + low_rank(RANK, *size, seed + 7 * task) for name, size in SIZES.items()}
        models.append(moved | {"layers.0.fc1.bias": torch.randn(9, generator=generator, dtype=torch.float64)})
    return models


def core(vectors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """U, V and the cores, by way of B_t and A_t with as many columns as the rank."""
    factors = []
    for vector in vectors:
        left, values, right = torch.linalg.svd(vector, full_matrices=False)
        roots = torch.diag(values[:RANK].sqrt())
        factors.append((left[:, :RANK] @ roots, roots @ right[:RANK]))
    left = torch.linalg.svd(torch.cat([b for b, _ in factors], dim=1), full_matrices=False)[0]
    right = torch.linalg.svd(torch.cat([a for _, a in factors]), full_matrices=False)[2].T
    return left, right, torch.stack([left.T @ b @ a @ right for b, a in factors])


def vectors_of(models: list[dict[str, Tensor]], name: str) -> Tensor:
    return torch.stack([model[name] - models[0][name] for model in models[1:]])


@pytest.mark.parametrize("inner", INNER)
@settings(max_examples=12, deadline=None)
@given(tasks=st.integers(1, 3), seed=st.integers(0, 2**31))
def test_agrees_with_the_factors(inner: str, tasks: int, seed: int) -> None:
    make, rule = INNER[inner]
    start, *finetuned = models = adapted(tasks, seed)
    result = CoreSpace(make(), scaling=0.7).merge(start, finetuned)
    for name in SIZES:
        left, right, cores = core(vectors_of(models, name))
        expected = start[name] + 0.7 * left @ rule(cores) @ right.T
        torch.testing.assert_close(result[name], expected, rtol=1e-6, atol=1e-6)


@settings(max_examples=12, deadline=None)
@given(tasks=st.integers(1, 3), seed=st.integers(0, 2**31))
def test_together_a_trim_counts_over_all_matrices(tasks: int, seed: int) -> None:
    start, *finetuned = models = adapted(tasks, seed)
    result = CoreSpace(Ties(1.0, 0.4, "encoder"), per_matrix=False).merge(start, finetuned)
    found = {name: core(vectors_of(models, name)) for name in SIZES}
    merged = ties(torch.cat([cores.flatten(1) for _, _, cores in found.values()], dim=1))
    parts = merged.split([cores[0].numel() for _, _, cores in found.values()])
    for name, part in zip(SIZES, parts, strict=True):
        left, right, cores = found[name]
        expected = start[name] + left @ part.view(cores.shape[1:]) @ right.T
        torch.testing.assert_close(result[name], expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("kept_on", [False, True], ids=["independent", "sequential"])
def test_rounding_the_weights_adds_no_direction(dtype: torch.dtype, kept_on: bool) -> None:
    """Weights of a usual size with LoRA of rank 2; sequential ones have the changes of all tasks before."""
    generator = torch.Generator().manual_seed(3)
    start = (torch.randn(96, 64, generator=generator, dtype=torch.float64) / 8).to(dtype)
    models, weights = [], start
    for task in range(4):
        weights = ((weights if kept_on else start).double() + low_rank(RANK, 96, 64, seed=task) / 60).to(dtype)
        models.append(weights)
    working = start.double() if dtype == torch.float64 else start.float()
    basis = CoreSpace(MagMax(1.0)).basis(Stack("w.weight", working, models, ()))
    assert basis.right is not None
    assert basis.left.shape == (96, 4 * RANK) and basis.right.shape == (64, 4 * RANK)
    for columns in (basis.left, basis.right):
        torch.testing.assert_close(columns.T @ columns, torch.eye(4 * RANK, dtype=torch.float64))


def test_full_rank_task_vectors_have_all_directions() -> None:
    generator = torch.Generator().manual_seed(4)
    start, *finetuned = [{"w.weight": torch.randn(6, 9, generator=generator, dtype=torch.float64)} for _ in range(4)]
    merged = CoreSpace(IsoC()).merge(start, finetuned)
    alone = IsoC().merge(start, finetuned)  # which no rotation changes
    torch.testing.assert_close(merged, alone)
