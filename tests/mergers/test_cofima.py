"""CoFiMA's rule with statistics; what every merger owes is tested without them in test_mergers.py."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cl_bench.mergers import CoFiMA, RunningMerge
from tests.mergers.diagonals import drawn


def oracle(finetuned, squares, alpha, largest):
    theta = dict(finetuned[0])
    limited = [{name: f.clamp(max=largest) for name, f in of_task.items()} for of_task in squares]
    for t in range(1, len(finetuned)):
        for name in theta:
            old, new = (1 - alpha) * limited[t - 1][name], alpha * limited[t][name]
            weighted = (old * theta[name] + new * finetuned[t][name]) / (old + new)
            plain = (1 - alpha) * theta[name] + alpha * finetuned[t][name]
            theta[name] = torch.where(old + new == 0, plain, weighted)
    return theta


def left_behind(squares):
    return [{"squared_gradients": of_task} for of_task in squares]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 6), st.integers(0, 2**31), st.sampled_from([0.0, 0.3, 0.4, 1.0]), st.sampled_from([1e-6, 1e-4, 1e9])
)
def test_agrees_with_oracle(tasks, seed, alpha, largest):
    pretrained, finetuned, squares = drawn(tasks, seed)
    merged = CoFiMA(alpha, largest).merge(pretrained, finetuned, statistics=left_behind(squares))
    for name, expected in oracle(finetuned, squares, alpha, largest).items():
        torch.testing.assert_close(merged[name], expected, rtol=1e-12, atol=1e-12)


def test_a_single_model_comes_out_bit_for_bit_and_scaling_zero_gives_pretrained():
    pretrained, finetuned, squares = drawn(1, seed=1)
    merged = CoFiMA().merge(pretrained, finetuned, statistics=left_behind(squares))
    assert all(torch.equal(merged[name], tensor) for name, tensor in finetuned[0].items())
    merged = CoFiMA(scaling=0.0).merge(pretrained, finetuned, statistics=left_behind(squares))
    assert all(torch.equal(merged[name], tensor) for name, tensor in pretrained.items())


def test_it_goes_on_from_other_weights_and_from_a_saved_state():
    pretrained, finetuned, squares = drawn(3, seed=2)
    running = RunningMerge(CoFiMA(), pretrained)
    for weights, statistics in zip(finetuned[:2], left_behind(squares[:2]), strict=True):
        running.add(weights, statistics)
    refined = {name: tensor + 0.1 for name, tensor in running.merged().items()}
    running.restart(refined)
    restored = RunningMerge(CoFiMA(), pretrained)
    restored.load_state_dict(running.state_dict())
    restored.add(finetuned[2], left_behind(squares)[2])
    expected = oracle([refined, finetuned[2]], squares[1:], 0.4, 1e-4)
    for name, tensor in restored.merged().items():
        torch.testing.assert_close(tensor, expected[name], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("options", "message"), [({"alpha": 1.5}, "alpha"), ({"fisher_max": 0.0}, "fisher_max")])
def test_settings_have_a_range(options, message):
    with pytest.raises(ValueError, match=message):
        CoFiMA(**options)
