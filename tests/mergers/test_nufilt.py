from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cl_bench.mergers import NUFILT
from cl_bench.mergers.engine.model_folding import TaskParameter
from cl_bench.mergers.engine.task_blocks import task_generator
from tests.mergers.matrix_models import FULL, FUSED, PARAMETER, SHAPES, WIDTH, encoders, low_rank

PUBLISHED = {name for name in SHAPES if name.endswith(("in_proj_weight", "c_fc.weight"))}


def nufilt(merged: Tensor, vector: Tensor, inner: Tensor, steps: int, learning_rate: float) -> Tensor:
    """With LAPACK's singular vectors, and the loss and gradients as they are written."""
    columns = vector.shape[1]
    kept = 128 if columns >= 768 else columns // 6
    rank = int(torch.linalg.matrix_rank(merged))
    past = torch.linalg.svd(merged)[2][: min(kept, rank)].T
    own = torch.linalg.svd(vector)[2][: min(8, int(torch.linalg.matrix_rank(vector)))].T
    through = torch.eye(columns, dtype=torch.float64) - past @ past.T
    outer, inner = torch.zeros(columns, 64, dtype=torch.float64), inner.clone()
    adam = torch.optim.Adam([outer.requires_grad_(), inner.requires_grad_()], lr=learning_rate)
    for _ in range(steps):
        after = merged + vector @ (through + outer @ inner)
        plastic = (vector @ own - after @ own).square().sum()
        stable = (merged @ past - (after @ past)).square().sum()
        adam.zero_grad()
        (plastic + stable).backward()
        adam.step()
    return (merged + vector @ (through + outer @ inner)).detach()


@settings(max_examples=25, deadline=None)
@given(
    m=st.integers(2, 20),
    n=st.integers(2, 20),
    seed=st.integers(0, 2**31),
    steps=st.integers(0, 6),
)
def test_agrees_with_autograd(m: int, n: int, seed: int, steps: int) -> None:
    merged, vector = (low_rank(min(m, n), m, n, seed + t) for t in range(2))
    parameter = TaskParameter(FULL, vector, 2, {}, task_generator(3, 2, FULL))
    result = NUFILT(steps=steps, learning_rate=0.01).fold_matrix(merged, vector, parameter)
    inner = 0.02 * torch.randn(64, n, generator=task_generator(3, 2, FULL), dtype=torch.float64)
    torch.testing.assert_close(result, nufilt(merged, vector, inner, steps, 0.01), rtol=1e-6, atol=1e-6)


def test_the_filter_lets_nothing_pass_that_the_merged_matrix_reacts_to_and_the_adapter_wins_back_the_new_task() -> None:
    merged, vector = low_rank(4, 30, 24, seed=1), low_rank(4, 30, 24, seed=2)
    past = torch.linalg.svd(merged)[2][:4].T
    own = torch.linalg.svd(vector)[2][:4].T

    def misses(steps: int) -> tuple[float, float]:
        after = NUFILT(steps=steps, learning_rate=0.01).fold_matrix(merged, vector, PARAMETER)
        return float(((after - merged) @ past).norm()), float((after @ own - vector @ own).norm())

    assert misses(0)[0] < 1e-9
    assert misses(300)[0] < 1e-2
    # What M does to the new task's inputs lies outside of what τ · B · A can reach.
    assert misses(300)[1] < 0.9 * misses(0)[1]


def test_as_released_the_first_task_loses_its_first_inputs() -> None:
    models = encoders(1, seed=2)
    wide = [{"a.mlp.c_fc.weight": torch.randn(3, 800), "b.mlp.fc1.weight": torch.randn(3, 13)} for _ in models]
    for first_task, lost in (("published", (128, 2)), ("whole", (0, 0))):
        how: Any = first_task
        merged = NUFILT(first_task=how).merge(wide[0], wide[1:])
        for (name, start), zeros in zip(wide[0].items(), lost, strict=True):
            torch.testing.assert_close(merged[name][:, :zeros], start[:, :zeros])
            torch.testing.assert_close(merged[name][:, zeros:], wide[1][name][:, zeros:])


def test_everything_but_attention_and_the_first_matrix_of_mlps_stays_as_it_was() -> None:
    models = encoders(3, seed=3)
    merged = NUFILT().merge(models[0], models[1:])
    assert {name for name in SHAPES if not torch.equal(merged[name], models[0][name])} == PUBLISHED
    everything = NUFILT(matrices="all").merge(models[0], models[1:])
    assert not torch.equal(everything["proj"], models[0]["proj"])


@pytest.mark.parametrize(
    "names",
    [
        ["attn.in_proj_weight", "attn.out_proj.weight", "mlp.c_fc.weight"],
        ["attn.qkv.weight", "attn.proj.weight", "mlp.fc1.weight"],
        ["self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight", "self_attn.out_proj.weight"],
    ],
    ids=["open_clip", "timm", "Hugging Face"],
)
def test_the_matrices_are_known_in_every_layout(names: list[str]) -> None:
    first, second = ({name: torch.randn(6, 6) for name in [*names, "mlp.fc2.weight"]} for _ in range(2))
    merged = NUFILT(first_task="whole").merge(first, [second])
    assert [name for name in first if not torch.equal(merged[name], first[name])] == names


def test_queries_keys_and_values_are_merged_one_by_one() -> None:
    models = encoders(2, seed=4)
    fused, split = (NUFILT(split_qkv=split).merge(models[0], models[1:])[FUSED] for split in (False, True))
    assert not torch.allclose(fused, split)
    assert fused.shape == (3 * WIDTH, WIDTH)


def test_a_model_without_such_matrices_is_refused() -> None:
    with pytest.raises(ValueError, match="there are none: matrices=all"):
        NUFILT().check_names(["conv.weight", "head"])
    NUFILT().check_names(["conv.weight", "blocks.0.attn.qkv.weight"])
    NUFILT(matrices="all").check_names(["conv.weight"])


@pytest.mark.parametrize("wrong", [{"steps": -1}, {"learning_rate": -1.0}, {"first_task": "none"}, {"matrices": "x"}])
def test_settings_are_checked(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        NUFILT(**wrong)
