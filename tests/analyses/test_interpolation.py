"""Paths between models, and their ends on real runs."""

import numpy as np
import pytest
import torch

from cl_bench.analyses import interpolation
from cl_bench.analyses.interpolation import fisher, linear
from tests.analyses.models import SHAPES, made


def test_the_linear_path_is_straight():
    _, begin, end = made(2)
    for share in (0.0, 0.25, 1.0):
        weights = linear(begin, end, share)
        for name in SHAPES:
            expected = (1 - share) * begin[name].numpy() + share * end[name].numpy()
            np.testing.assert_allclose(weights[name], expected, atol=1e-15)
        assert torch.equal(weights["count"], begin["count"])


def test_the_fisher_weighted_path_equals_the_formula():
    _, begin, end = made(2)
    random = np.random.default_rng(2)
    moments = [{name: torch.tensor(random.exponential(size=shape)) for name, shape in SHAPES.items()} for _ in "ab"]
    weights = fisher(begin, end, *moments, 0.3)
    for name in SHAPES:
        old, new = 0.7 * moments[0][name].numpy(), 0.3 * moments[1][name].numpy()
        expected = (old * begin[name].numpy() + new * end[name].numpy()) / (old + new)
        np.testing.assert_allclose(weights[name], expected, rtol=1e-12, atol=1e-14)


def test_without_any_second_moment_it_is_the_plain_average():
    _, begin, end = made(2)
    zeros = {name: torch.zeros(shape, dtype=torch.float64) for name, shape in SHAPES.items() if name != "proj"}
    weights, expected = fisher(begin, end, zeros, zeros, 0.3), linear(begin, end, 0.3)
    assert all(torch.allclose(weights[name], expected[name], atol=1e-14) for name in SHAPES)


@pytest.mark.slow
@pytest.mark.parametrize(("method", "paths"), [("sequential_magmax", {"linear"}), ("cmm", {"linear", "fisher"})])
def test_paths_begin_and_end_where_the_run_was(opened, method, paths):
    run = opened(method)
    found, own = interpolation.compute(run), run.record["finetuned"]["matrix"]["task_aware"]
    assert found["accuracy"].keys() == found["loss"].keys() == paths
    for steps in found["accuracy"].values():
        assert steps[0] == pytest.approx(own[1]) and steps[-1] == pytest.approx(own[2])
    assert all(np.isfinite(steps).all() and np.min(steps) > 0 for steps in found["loss"].values())
