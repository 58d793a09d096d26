"""Cosines against numpy."""

import numpy as np
import torch

from cl_bench.analyses.cosine_similarity import cosine_similarity
from cl_bench.analyses.task_vectors import TaskVectors
from tests.analyses.models import made, oracle


def test_cosines_equal_those_of_the_whole_vectors():
    pretrained, *finetuned = made(5)
    whole = oracle(pretrained, finetuned)
    expected = [[a @ b / np.linalg.norm(a) / np.linalg.norm(b) for b in whole] for a in whole]
    np.testing.assert_allclose(cosine_similarity(TaskVectors(pretrained, finetuned)), expected, atol=1e-12)


def test_a_task_that_changed_nothing_has_none():
    start = {"w": torch.zeros(4)}
    cosines = cosine_similarity(TaskVectors(start, [{"w": torch.ones(4)}, {"w": torch.zeros(4)}]))
    assert cosines[0, 0] == 1 and cosines[1].isnan().all()
