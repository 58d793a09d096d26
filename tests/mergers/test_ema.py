import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cl_bench.mergers import EMA, Average, RunningMerge
from cl_bench.runtime.errors import UserError
from cl_bench.runtime.instantiate import instantiate


def models(tasks: int, seed: int) -> list[dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    return [{"w": torch.randn(7, generator=generator, dtype=torch.float64)} for _ in range(tasks + 1)]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 6), st.integers(0, 2**31), st.sampled_from([0.0, 0.25, 0.4, 1.0]))
def test_every_share_shrinks_with_each_later_task(tasks: int, seed: int, alpha: float) -> None:
    pretrained, *finetuned = models(tasks, seed)
    shares = [(1.0 if t == 0 else alpha) * (1 - alpha) ** (tasks - 1 - t) for t in range(tasks)]
    expected = sum(share * model["w"] for share, model in zip(shares, finetuned, strict=True))
    torch.testing.assert_close(EMA(alpha).merge(pretrained, finetuned)["w"], expected, rtol=1e-12, atol=1e-12)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 6), st.integers(0, 2**31), st.permutations(range(6)))
def test_the_cumulative_average_is_the_average_in_any_order(tasks: int, seed: int, order: list[int]) -> None:
    pretrained, *finetuned = models(tasks, seed)
    shuffled = [finetuned[t] for t in order if t < tasks]
    merged = EMA("cumulative").merge(pretrained, shuffled)["w"]
    torch.testing.assert_close(merged, Average().merge(pretrained, finetuned)["w"], rtol=1e-12, atol=1e-12)


def test_tasks_go_on_from_other_weights() -> None:
    pretrained, first, other, second = models(3, seed=0)
    running = RunningMerge(EMA(0.3), pretrained)
    running.add(first)
    running.restart(other)
    assert torch.equal(running.merged()["w"], other["w"])
    running.add(second)
    torch.testing.assert_close(running.merged()["w"], 0.7 * other["w"] + 0.3 * second["w"], rtol=1e-12, atol=0)
    with pytest.raises(ValueError, match="cannot go on"):
        RunningMerge(EMA(scaling=0.5), pretrained).restart(first)


def test_one_task_is_itself_bit_for_bit_and_so_is_what_all_share() -> None:
    pretrained, finetuned = models(1, seed=1)
    assert torch.equal(EMA().merge(pretrained, [finetuned] * 3)["w"], finetuned["w"])


@pytest.mark.parametrize("alpha", [-0.1, 1.1, "mean"])
def test_alpha_is_a_share_or_cumulative(alpha: float | str) -> None:
    with pytest.raises(ValueError, match="alpha"):
        EMA(alpha)  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"merger\.alpha"):
        instantiate({"_target_": "cl_bench.mergers.EMA", "alpha": alpha}, "merger")
    made = instantiate({"_target_": "cl_bench.mergers.EMA", "alpha": "cumulative"}, "merger")
    assert isinstance(made, EMA)
