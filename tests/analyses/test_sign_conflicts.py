"""Sign conflicts against counting element by element."""

import numpy as np
import pytest
import torch

from cl_bench.analyses.sign_conflicts import sign_conflicts
from cl_bench.analyses.task_vectors import TaskVectors
from tests.analyses.models import made, oracle


def _counted(vectors, trimmed):
    conflicts = shared = 0
    thresholds = [np.sort(np.abs(vector))[::-1][max(0, round((1 - trimmed) * len(vector)) - 1)] for vector in vectors]
    for element in range(vectors.shape[1]):
        pairs = zip(vectors[:, element], thresholds, strict=True)
        kept = [value for value, threshold in pairs if abs(value) >= threshold and value != 0]
        shared += len(kept) >= 2
        conflicts += any(value > 0 for value in kept) and any(value < 0 for value in kept)
    return 100 * conflicts / shared


@pytest.mark.parametrize("tasks", [2, 5])
def test_every_trimming_and_every_number_of_tasks_equals_counting(tasks):
    pretrained, *finetuned = made(tasks)
    trimmed = [0.0, 0.5, 0.8]  # of 50 elements
    found = sign_conflicts(TaskVectors(pretrained, finetuned), trimmed)
    whole = oracle(pretrained, finetuned)
    expected = [[_counted(whole[:number], share) for number in range(2, tasks + 1)] for share in trimmed]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert np.ptp(expected) > 10


def test_opposite_vectors_always_conflict_and_equal_ones_never():
    start, move = {"w": torch.zeros(50)}, torch.linspace(1, 2, 50)
    opposite = sign_conflicts(TaskVectors(start, [{"w": move}, {"w": -move}]), [0.0, 0.9])
    equal = sign_conflicts(TaskVectors(start, [{"w": move}, {"w": 3 * move}]), [0.0, 0.9])
    assert opposite.tolist() == [[100.0], [100.0]] and equal.tolist() == [[0.0], [0.0]]


def test_where_nothing_is_shared_there_is_no_share():
    start = {"w": torch.zeros(4)}
    apart = [{"w": torch.tensor([1.0, 0, 0, 0])}, {"w": torch.tensor([0, 1.0, 0, 0])}]
    assert sign_conflicts(TaskVectors(start, apart), [0.0]).isnan().all()
