"""Shares of tasks against what MagMax really merges."""

import numpy as np
import torch

from cl_bench.analyses.task_shares import shares
from cl_bench.analyses.task_vectors import TaskVectors
from cl_bench.mergers import MagMax
from tests.analyses.models import made, oracle


def test_shares_equal_counting_with_ties_to_the_later_task():
    pretrained, *finetuned = made(4)
    whole, won = oracle(pretrained, finetuned), np.zeros(4)
    for column in np.abs(whole).T:
        if column.max() > 0:
            won[max(task for task in range(4) if column[task] == column.max())] += 1
    np.testing.assert_allclose(shares(TaskVectors(pretrained, finetuned)), 100 * won / won.sum(), rtol=1e-12)
    assert np.abs(whole).max(axis=0).min() == 0  # nobody's elements are among them


def test_shares_are_of_the_merger_that_the_project_has():
    generator = torch.Generator().manual_seed(0)
    start = {"w": torch.zeros(1000)}
    finetuned = [{"w": torch.randn(1000, generator=generator) * scale} for scale in (1.0, 1.5, 0.5)]
    merged = MagMax(scaling=1.0).merge(start, finetuned)["w"]
    taken = [100 * float((merged == weights["w"]).double().mean()) for weights in finetuned]
    np.testing.assert_allclose(shares(TaskVectors(start, finetuned)), taken)
