"""The merged models of a run once more, and how far their features move."""

import numpy as np
import pytest
import torch

from cl_bench.analyses import feature_mismatch
from cl_bench.analyses.feature_extractor import FeatureExtractor
from cl_bench.analyses.feature_mismatch import mismatch
from cl_bench.analyses.merge_path import merge_path
from cl_bench.analyses.score import score


def test_mismatch_is_the_mean_squared_difference():
    random = np.random.default_rng(0).normal(size=(2, 7, 3))
    found = mismatch(torch.tensor(random[0]), torch.tensor(random[1]))
    assert found == pytest.approx(sum((a - b) ** 2 for a, b in zip(*random.reshape(2, -1), strict=True)) / 21)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["cmm", "sequential_magmax"])
def test_the_merged_models_answer_as_those_of_the_run_did(opened, method):
    run = opened(method)
    steps = list(merge_path(run))
    test = run.parts.scenario.streams["test"]
    for row, step in enumerate(steps, start=1):
        for task, experience in enumerate(test):
            features = FeatureExtractor(run.parts).features(step.refined, experience.samples)
            found = score(features, experience.samples.labels, run.parts.head.rows, experience.class_masks[0])
            assert found.accuracy == pytest.approx(run.record["matrix"]["task_aware"][row][task])
    assert all(torch.equal(steps[1].previous[name], tensor) for name, tensor in steps[0].refined.items())


@pytest.mark.slow
def test_learning_moves_features_further_than_merging_and_refinement_brings_them_back(opened):
    found = feature_mismatch.compute(opened("cmm"))
    assert found["task"] == [2]
    assert found["own"][0] > found["merged"][0] > found["refined"][0] > 0
