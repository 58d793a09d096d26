"""t-SNE of one class."""

import numpy as np
import pytest
import torch

from cl_bench.analyses import tsne
from cl_bench.analyses.tsne import embedded


def test_models_with_features_far_apart_are_apart_in_the_picture():
    generator = torch.Generator().manual_seed(0)
    directions = 10 * torch.eye(2, 16)[:, None]
    points = embedded(directions + torch.randn(2, 30, 16, generator=generator), seed=5)
    first, second = points
    assert np.linalg.norm(first.mean(0) - second.mean(0)) > 2 * max(first.std(), second.std())
    assert points.shape == (2, 30, 2)


def test_the_same_seed_gives_the_same_picture():
    features = torch.randn(2, 20, 8, generator=torch.Generator().manual_seed(0))
    assert np.array_equal(embedded(features, 5), embedded(features, 5))


@pytest.mark.slow
def test_a_run_has_a_point_per_image_and_model(opened):
    run = opened("cmm")
    found = tsne.compute(run)
    assert list(found["points"]) == ["pre-trained", "task 1", "task 2", "merged"]
    assert {np.shape(points) for points in found["points"].values()} == {(found["images"], 2)}
    zeros = run.parts.scenario.streams["test"][0].samples.targets.count(0)
    assert found["class"] == "digit 0" and found["images"] == zeros > 5
