"""CMM's rule with second moments; what every merger owes is tested with `second_moments=False` in test_mergers.py."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cl_bench.mergers import CMM, Last, RunningMerge

SHAPES = {"matrix": (3, 4), "number": (), "empty": (0,)}


def drawn(tasks, seed, zeros=0.3):
    """θ_0, θ_1 to θ_T, and F_1 to F_T with some zeros, over many orders of magnitude."""
    generator = torch.Generator().manual_seed(seed)

    def normal(shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    models = [{name: normal(shape) for name, shape in SHAPES.items()} for _ in range(tasks + 1)]
    moments = []
    for _ in range(tasks):
        # Not below 1e-16, where the ε of 1e-30, which the publication does not have, would count in the 13th digit.
        values = {name: 10 ** (3 * normal(shape) - 9).clamp(min=-16) for name, shape in SHAPES.items()}
        kept = {name: torch.rand(shape, generator=generator) >= zeros for name, shape in SHAPES.items()}
        moments.append({name: value * kept[name] for name, value in values.items()})
    return models[0], models[1:], moments


def oracle(finetuned, moments, alpha):
    theta, fisher = dict(finetuned[0]), dict(moments[0])
    for weights, of_task in zip(finetuned[1:], moments[1:], strict=True):
        for name in theta:
            old, new = (1 - alpha) * fisher[name], alpha * of_task[name]
            weighted = (old * theta[name] + new * weights[name]) / (old + new)
            plain = (1 - alpha) * theta[name] + alpha * weights[name]
            theta[name] = torch.where(old + new == 0, plain, weighted)
            fisher[name] = old + new
    return theta


def statistics(moments):
    return [{"second_moments": of_task} for of_task in moments]


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 6), st.integers(0, 2**31), st.sampled_from([0.0, 0.3, 0.4, 0.6, 1.0]))
def test_agrees_with_oracle(tasks, seed, alpha):
    pretrained, finetuned, moments = drawn(tasks, seed)
    merged = CMM(alpha).merge(pretrained, finetuned, statistics=statistics(moments))
    for name, expected in oracle(finetuned, moments, alpha).items():
        torch.testing.assert_close(merged[name], expected, rtol=1e-12, atol=1e-12)


def test_the_same_rule_in_single_precision():
    pretrained, finetuned, moments = drawn(4, seed=1)
    single = [{name: tensor.float() for name, tensor in model.items()} for model in (pretrained, *finetuned, *moments)]
    merged = CMM().merge(single[0], single[1:5], statistics=statistics(single[5:]))
    for name, expected in oracle(finetuned, moments, 0.4).items():
        torch.testing.assert_close(merged[name].double(), expected, rtol=1e-5, atol=1e-6)


def test_gradients_of_an_ordinary_size_are_not_lost_in_epsilon():
    moments = [{"w": torch.tensor([1e-20])}, {"w": torch.tensor([3e-20])}]
    merged = CMM(0.5).merge(
        {"w": torch.zeros(1)}, [{"w": torch.zeros(1)}, {"w": torch.ones(1)}], statistics=statistics(moments)
    )
    assert merged["w"].item() == pytest.approx(0.75, rel=1e-6)


def test_a_parameter_without_moments_was_not_trained_and_is_averaged():
    pretrained = {"w": torch.zeros(2), "frozen": torch.zeros(2)}
    finetuned = [{"w": torch.full((2,), t), "frozen": torch.full((2,), t)} for t in (0.0, 1.0)]
    moments = [{"w": torch.ones(2)}, {"w": torch.full((2,), 3.0)}]
    merged = CMM(0.5).merge(pretrained, finetuned, statistics=statistics(moments))
    assert merged["w"].tolist() == [0.75, 0.75] and merged["frozen"].tolist() == [0.5, 0.5]


def test_refined_weights_take_the_place_of_the_merged_ones():
    pretrained, finetuned, moments = drawn(3, seed=2)
    running = RunningMerge(CMM(), pretrained)
    for weights, left_behind in zip(finetuned[:2], statistics(moments), strict=False):
        running.add(weights, left_behind)
    refined = {name: tensor + 0.1 for name, tensor in running.merged().items()}
    running.restart(refined)
    assert all(torch.equal(running.merged()[name], refined[name]) for name in refined)
    running.add(finetuned[2], statistics(moments)[2])
    fisher = {name: 0.6 * moments[0][name] + 0.4 * moments[1][name] for name in SHAPES}
    expected = oracle([refined, finetuned[2]], [fisher, moments[2]], 0.4)
    for name, tensor in running.merged().items():
        torch.testing.assert_close(tensor, expected[name], rtol=1e-12, atol=1e-12)


def test_a_method_that_cannot_go_on_from_other_weights_says_so():
    pretrained, (weights,), _ = drawn(1, seed=3)
    for merger in (Last(), CMM(scaling=0.5)):
        with pytest.raises(ValueError, match="cannot go on from other weights"):
            RunningMerge(merger, pretrained).restart(weights)


@pytest.mark.parametrize(
    ("left_behind", "message"),
    [
        ({}, r"task 2\): CMM needs the statistics 'second_moments'"),
        ({"second_moments": {"w": torch.ones(3)}}, r"task 2\): second_moments of 'w', of shape \(3,\)"),
        ({"second_moments": {"v": torch.ones(2)}}, "second_moments of 'v'"),
        ({"second_moments": {"w": torch.tensor([1, torch.nan])}}, "second_moments: 'w' has a NaN"),
    ],
    ids=["missing", "shape", "unknown", "nan"],
)
def test_moments_that_do_not_fit_are_named_and_change_nothing(left_behind, message):
    running = RunningMerge(CMM(), {"w": torch.zeros(2)})
    running.add({"w": torch.ones(2)}, {"second_moments": {"w": torch.ones(2)}})
    before = running.state_dict()
    with pytest.raises(ValueError, match=message):
        running.add({"w": torch.ones(2)}, left_behind)
    assert all(torch.equal(running.state_dict()[name], before[name]) for name in before)


def test_alpha_is_a_share():
    with pytest.raises(ValueError, match="alpha"):
        CMM(1.5)
