"""Fisher merging with statistics; what every merger owes is tested without them in test_mergers.py."""

from unittest import mock

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cl_bench.mergers import Fisher
from cl_bench.mergers.engine import blocks
from tests.mergers.diagonals import drawn


def oracle(finetuned, fishers, floor, normalize):
    norms = [torch.cat([f.flatten() for f in of_task.values()]).norm() if normalize else 1 for of_task in fishers]
    weights = [
        {name: f.clamp(min=floor) / norm for name, f in of_task.items()}
        for of_task, norm in zip(fishers, norms, strict=True)
    ]
    return {
        name: sum(w[name] * model[name] for w, model in zip(weights, finetuned, strict=True))
        / sum(w[name] for w in weights)
        for name in finetuned[0]
    }


def merged_with(merger, pretrained, finetuned, fishers):
    return merger.merge(pretrained, finetuned, statistics=[{"fisher_diagonal": of_task} for of_task in fishers])


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 6), st.integers(0, 2**31), st.sampled_from([1e-12, 1e-6, 1.0]), st.booleans())
def test_agrees_with_oracle(tasks, seed, floor, normalize):
    pretrained, finetuned, fishers = drawn(tasks, seed, zeros=0.3)
    expected = oracle(finetuned, fishers, floor, normalize)
    for name, tensor in merged_with(Fisher(1.0, floor, normalize), pretrained, finetuned, fishers).items():
        torch.testing.assert_close(tensor, expected[name], rtol=1e-11, atol=1e-11)


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(4)), st.integers(0, 2**31))
def test_the_order_of_tasks_does_not_matter(order, seed):
    pretrained, finetuned, fishers = drawn(4, seed)
    one = merged_with(Fisher(), pretrained, finetuned, fishers)
    other = merged_with(Fisher(), pretrained, [finetuned[t] for t in order], [fishers[t] for t in order])
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=1e-11, atol=1e-11)


def test_a_single_model_and_copies_of_it_come_out_bit_for_bit_and_scaling_goes_along_the_task_vector():
    pretrained, (model,), _ = drawn(1, seed=1)
    fishers = drawn(3, seed=2)[2]
    for tasks in (1, 3):
        merged = merged_with(Fisher(), pretrained, [model] * tasks, fishers[:tasks])
        assert all(torch.equal(merged[name], model[name]) for name in model)
    assert all(
        torch.equal(tensor, pretrained[name])
        for name, tensor in merged_with(Fisher(0.0), pretrained, [model], fishers[:1]).items()
    )


def test_larger_gradients_everywhere_count_only_without_norm():
    pretrained, finetuned, fishers = drawn(2, seed=3, zeros=0)
    louder = [fishers[0], {name: 1e6 * f for name, f in fishers[1].items()}]
    tiny = 1e-30
    quiet = merged_with(Fisher(1.0, tiny), pretrained, finetuned, fishers)
    loud = merged_with(Fisher(1.0, tiny), pretrained, finetuned, louder)
    plain = merged_with(Fisher(1.0, tiny, normalize=False), pretrained, finetuned, louder)
    torch.testing.assert_close(loud["matrix"], quiet["matrix"], rtol=1e-11, atol=1e-11)
    assert (plain["matrix"] - finetuned[1]["matrix"]).abs().max() < (
        loud["matrix"] - finetuned[1]["matrix"]
    ).abs().max()


def test_a_parameter_that_one_task_did_not_train_is_the_other_tasks_and_one_that_none_did_is_averaged():
    pretrained = {"w": torch.zeros(2), "frozen": torch.zeros(2)}
    finetuned = [{name: torch.full((2,), t) for name in pretrained} for t in (0.0, 1.0)]
    merged = merged_with(Fisher(1.0, 1e-6, normalize=False), pretrained, finetuned, [{}, {"w": torch.ones(2)}])
    torch.testing.assert_close(merged["w"], torch.ones(2), rtol=0, atol=2e-6)
    assert merged["frozen"].tolist() == [0.5, 0.5]
    merged_with(Fisher(), pretrained, finetuned, [{}, {"w": torch.zeros(2)}])  # a norm of zero is no reason to fail


def test_neither_block_size_nor_threads_change_a_bit():
    generator = torch.Generator().manual_seed(0)
    pretrained, *finetuned = [{"w": torch.randn(100_001, generator=generator)} for _ in range(4)]
    fishers = [{"w": torch.rand(100_001, generator=generator) ** 8} for _ in range(3)]
    threads, results = torch.get_num_threads(), []
    for size, number in ((2**19, 1), (2**19, 3), (1000, 1)):
        torch.set_num_threads(number)
        with mock.patch.object(blocks, "BLOCK_ELEMENTS", size):
            results.append(merged_with(Fisher(0.7), pretrained, finetuned, fishers)["w"])
    torch.set_num_threads(threads)
    assert all(torch.equal(result, results[0]) for result in results)


def test_the_floor_is_above_zero():
    with pytest.raises(ValueError, match="floor"):
        Fisher(floor=0.0)
