"""Pruning by magnitude, and its two ends on a real run."""

import numpy as np
import pytest
import torch

from cl_bench.analyses import pruning
from cl_bench.analyses.evenly_spaced import evenly_spaced
from cl_bench.analyses.pruning import pruned
from cl_bench.analyses.task_vectors import thresholds


def test_what_is_kept_and_what_is_removed_make_up_the_vector():
    vector = torch.tensor(np.random.default_rng(0).normal(size=200))
    for share, threshold in zip((0.0, 0.05, 0.4, 1.0), thresholds(vector, (0.0, 0.05, 0.4, 1.0)), strict=True):
        kept, removed = pruned(vector, threshold, True), pruned(vector, threshold, False)
        assert torch.equal(kept + removed, vector) and int((kept != 0).sum()) == int(share * 200)
        largest = np.argsort(-np.abs(vector.numpy()))[: int(share * 200)]
        assert set(kept.nonzero().flatten().tolist()) == set(largest.tolist())


def test_tasks_are_spread_evenly_from_the_first_to_the_last():
    assert evenly_spaced(50, 5) == [0, 12, 24, 37, 49]
    assert evenly_spaced(3, 5) == [0, 1, 2] and evenly_spaced(1, 5) == [0]


@pytest.mark.slow
def test_nothing_kept_is_zero_shot_and_everything_is_the_tasks_own_model(opened):
    run = opened("independent_magmax")
    found, own = pruning.compute(run), run.record["finetuned"]["matrix"]["task_aware"]
    assert found["task"] == [1, 2] and found["share"][0] == 0 and found["share"][-1] == 100
    for task in (0, 1):
        zero_shot, learned = pytest.approx(own[0][task]), pytest.approx(own[task + 1][task])
        assert found["kept"][task][0] == zero_shot and found["removed"][task][-1] == zero_shot
        assert found["kept"][task][-1] == learned and found["removed"][task][0] == learned
