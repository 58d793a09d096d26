"""LiNeS around methods of every kind, against the paper's formula."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cl_bench.mergers import TSV, Average, Last, Lines, MagMax, Merger, TaskArithmetic, Ties

SHAPES = {
    "conv1.weight": (3, 2, 2),
    "transformer.resblocks.0.mlp.c_fc.weight": (4, 3),
    "transformer.resblocks.1.mlp.c_fc.weight": (3, 4),
    "transformer.resblocks.2.ln_1.bias": (5,),
    "transformer.resblocks.10.ln_1.bias": (5,),
    "proj": (2, 3),
    "logit_scale": (),
    "empty": (0, 2),
}
DEPTH = dict(zip(SHAPES, (0, 0, 1 / 10, 2 / 10, 1, 0, 0, 0), strict=True))
INNER: list[Merger] = [TaskArithmetic(1.0), Ties(0.55, 0.4, "encoder"), TSV(1.3), MagMax(-0.5)]


def models(tasks: int, seed: int) -> list[dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    return [
        {name: torch.randn(shape, generator=generator, dtype=torch.float64) for name, shape in SHAPES.items()}
        | {"steps": torch.tensor(3)}
        for _ in range(tasks + 1)
    ]


def size(vector: dict[str, Tensor]) -> float:
    return sum(float(part.abs().sum()) for part in vector.values())


@pytest.mark.parametrize("of", INNER, ids=lambda of: type(of).__name__)
@settings(max_examples=15, deadline=None)
@given(
    tasks=st.integers(1, 4),
    seed=st.integers(0, 2**31),
    beta=st.sampled_from([0.0, 0.7, -1.0]),
    alpha=st.sampled_from([None, 0.0, 0.3]),
)
def test_agrees_with_the_formula(of: Merger, tasks: int, seed: int, beta: float, alpha: float | None) -> None:
    start, *finetuned = models(tasks, seed)
    inner = of.merge(start, finetuned)
    merged = {name: inner[name] - start[name] for name in SHAPES}
    total = {name: sum(model[name] - start[name] for model in finetuned) for name in SHAPES}
    first = size(total) / tasks / size(merged) if alpha is None else alpha
    result = Lines(of, beta, alpha, 0.8).merge(start, finetuned)
    for name, depth in DEPTH.items():
        torch.testing.assert_close(
            result[name], start[name] + 0.8 * (first + beta * depth) * merged[name], rtol=1e-9, atol=1e-9
        )
    assert result["steps"] == 3


def test_around_task_arithmetic_alpha_is_one_share() -> None:
    start, *finetuned = models(4, 1)
    average, lines = (merger.merge(start, finetuned) for merger in (Average(1.0), Lines(TaskArithmetic(1.0), 0.5)))
    torch.testing.assert_close(lines["conv1.weight"], average["conv1.weight"])
    deepest = "transformer.resblocks.10.ln_1.bias"
    torch.testing.assert_close(lines[deepest] - start[deepest], (average[deepest] - start[deepest]) * (0.25 + 0.5) * 4)


def test_the_inner_scaling_is_made_up_for_by_alpha_alone() -> None:
    start, *finetuned = models(3, 2)
    one, half = (Lines(TaskArithmetic(scaling), 0.4).merge(start, finetuned) for scaling in (1.0, 0.5))
    torch.testing.assert_close(one["proj"], half["proj"])
    deepest = "transformer.resblocks.10.ln_1.bias"
    assert not torch.allclose(one[deepest], half[deepest])


def test_merged_to_nothing_stays_nothing() -> None:
    start, *finetuned = models(2, 3)
    result = Lines(TaskArithmetic(0.0), 1.0).merge(start, finetuned)
    assert all(torch.equal(result[name], start[name]) for name in start)


def test_a_single_block_is_scaled_by_alpha() -> None:
    start = {"blocks.0.weight": torch.zeros(3)}
    result = Lines(Last(), 5.0, 0.5).merge(start, [{"blocks.0.weight": torch.ones(3)}])
    assert (result["blocks.0.weight"] == 0.5).all()


def test_without_blocks_beta_would_do_nothing_and_is_refused() -> None:
    start = {"weight": torch.zeros(3)}
    with pytest.raises(ValueError, match="no blocks in the names of the parameters, weight"):
        Lines(Last(), 0.5).merge(start, [start])
    assert (Lines(Last(), 0.0, 0.5).merge(start, [{"weight": torch.ones(3)}])["weight"] == 0.5).all()
