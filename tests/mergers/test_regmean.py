"""RegMean with Gram matrices; what every merger owes is tested without them in test_mergers.py."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cl_bench.mergers import RegMean, RunningMerge

SHAPES = {"layer.weight": (5, 3), "layer.bias": (5,), "table": (4, 4), "number": (), "empty": (0, 2)}


def drawn(tasks, seed, dtype=torch.float64, rows=7):
    """θ_0, θ_1 to θ_T, and what the layer reads of each task."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(shape, generator=generator, dtype=dtype)

    models = [{name: normal(*shape) for name, shape in SHAPES.items()} for _ in range(tasks + 1)]
    return models[0], models[1:], [normal(rows, 3) for _ in range(tasks)]


def merged_with(merger, pretrained, finetuned, read):
    return merger.merge(pretrained, finetuned, statistics=[{"grams": {"layer.weight": x.T @ x}} for x in read])


def oracle(finetuned, read, reduction):
    grams = [x.T @ x for x in read]
    grams = [reduction * g + (1 - reduction) * torch.diag(g.diagonal()) for g in grams]
    product = sum(g @ model["layer.weight"].T for g, model in zip(grams, finetuned, strict=True))
    mean = {name: torch.stack([model[name] for model in finetuned]).mean(0) for name in SHAPES}
    return mean | {"layer.weight": (torch.inverse(sum(grams)) @ product).T}


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 6), st.integers(0, 2**31), st.sampled_from([0.0, 0.1, 0.9, 1.0]))
def test_agrees_with_oracle(tasks, seed, reduction):
    pretrained, finetuned, read = drawn(tasks, seed)
    merged = merged_with(RegMean(1.0, reduction), pretrained, finetuned, read)
    for name, expected in oracle(finetuned, read, reduction).items():
        torch.testing.assert_close(merged[name], expected, rtol=1e-8, atol=1e-8)


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 5), st.integers(0, 2**31))
def test_without_reduction_no_layer_comes_closer_to_what_the_tasks_layers_give(tasks, seed):
    pretrained, finetuned, read = drawn(tasks, seed)
    merged = merged_with(RegMean(1.0, 1.0), pretrained, finetuned, read)["layer.weight"]
    stacked = torch.cat(read)
    given_by_own = torch.cat([x @ model["layer.weight"].T for x, model in zip(read, finetuned, strict=True)])
    expected = torch.linalg.lstsq(stacked, given_by_own).solution.T
    torch.testing.assert_close(merged, expected, rtol=1e-8, atol=1e-8)


def test_in_single_precision_the_order_of_tasks_hardly_matters():
    pretrained, finetuned, read = drawn(4, seed=1, dtype=torch.float32)
    one = merged_with(RegMean(), pretrained, finetuned, read)
    other = merged_with(RegMean(), pretrained, finetuned[::-1], read[::-1])
    for name, tensor in one.items():
        assert tensor.dtype == torch.float32
        torch.testing.assert_close(tensor, other[name], rtol=1e-6, atol=1e-6)


def test_one_task_and_copies_of_it_keep_their_weights_and_scaling_zero_gives_pretrained():
    pretrained, (model,), _ = drawn(1, seed=2)
    read = drawn(3, seed=3)[2]
    for tasks in (1, 3):
        merged = merged_with(RegMean(), pretrained, [model] * tasks, read[:tasks])
        for name in model:
            torch.testing.assert_close(merged[name], model[name], rtol=1e-10, atol=1e-10)
    merged = merged_with(RegMean(0.0), pretrained, [model], read[:1])
    assert all(torch.equal(merged[name], pretrained[name]) for name in pretrained)


def test_where_nothing_is_read_columns_are_averaged():
    pretrained, finetuned, read = drawn(3, seed=4)
    for x in read:
        x[:, 1] = 0
    merged = merged_with(RegMean(), pretrained, finetuned, read)["layer.weight"]
    mean = torch.stack([model["layer.weight"] for model in finetuned]).mean(0)
    torch.testing.assert_close(merged[:, 1], mean[:, 1], rtol=1e-12, atol=1e-12)
    others = [{**model, "layer.weight": model["layer.weight"][:, [0, 2]]} for model in finetuned]
    expected = oracle(others, [x[:, [0, 2]] for x in read], 0.9)["layer.weight"]
    torch.testing.assert_close(merged[:, [0, 2]], expected, rtol=1e-8, atol=1e-8)


def test_a_layer_that_one_task_has_no_matrix_of_is_averaged():
    pretrained, finetuned, read = drawn(2, seed=5)
    statistics = [{"grams": {"layer.weight": read[0].T @ read[0]}}, {"grams": {}}]
    merged = RegMean().merge(pretrained, finetuned, statistics=statistics)["layer.weight"]
    mean = (finetuned[0]["layer.weight"] + finetuned[1]["layer.weight"]) / 2
    torch.testing.assert_close(merged, mean, rtol=1e-12, atol=1e-12)


def test_linearly_dependent_inputs_are_told_where_they_are_not_reduced():
    pretrained, finetuned, _ = drawn(1, seed=6)
    read = [torch.ones(4, 3, dtype=torch.float64)]
    with pytest.raises(ValueError, match=r"'layer\.weight' reads is linearly dependent; choose a reduction below 1"):
        merged_with(RegMean(1.0, 1.0), pretrained, finetuned, read)
    merged_with(RegMean(), pretrained, finetuned, read)


@pytest.mark.parametrize(
    "grams",
    [{"layer.weight": torch.eye(5)}, {"layer.bias": torch.eye(5)}, {"other": torch.eye(3)}],
    ids=["of what it gives", "of a bias", "unknown"],
)
def test_matrices_that_fit_no_layer_are_refused(grams):
    pretrained, finetuned, _ = drawn(1, seed=7)
    running = RunningMerge(RegMean(), pretrained)
    with pytest.raises(ValueError, match=r"task 1\): grams of '.*', of shape .*, fit no parameter"):
        running.add(finetuned[0], {"grams": grams})
    assert running.tasks == 0


def test_threads_change_no_bit():
    generator = torch.Generator().manual_seed(0)
    shape, options = (200, 300), {"generator": generator, "dtype": torch.float64}  # rounding to float32 would hide it
    pretrained, *finetuned = [{"w": torch.randn(shape, **options)} for _ in range(6)]
    read = [torch.randn(400, 300, **options) for _ in range(5)]
    statistics = [{"grams": {"w": x.T @ x}} for x in read]
    threads, results = torch.get_num_threads(), []
    for number in (1, 3):
        torch.set_num_threads(number)
        results.append(RegMean().merge(pretrained, finetuned, statistics=statistics)["w"])
    torch.set_num_threads(threads)
    assert torch.equal(*results)


def test_the_reduction_is_a_share():
    with pytest.raises(ValueError, match="reduction"):
        RegMean(reduction=1.1)
