"""Task vectors side by side and as a whole, and where their largest elements begin."""

import numpy as np
import pytest
import torch

from cl_bench.analyses.task_vectors import TaskVectors, thresholds
from cl_bench.mergers.engine import blocks
from tests.analyses.models import made, oracle


@pytest.mark.parametrize("size", [4, 2**19])
def test_blocks_and_wholes_are_the_differences(monkeypatch, size):
    monkeypatch.setattr(blocks, "BLOCK_ELEMENTS", size)
    pretrained, *finetuned = made()
    vectors, expected = TaskVectors(pretrained, finetuned), oracle(pretrained, finetuned)
    assert np.array_equal(torch.cat(list(vectors.blocks()), dim=1).numpy(), expected)
    assert np.array_equal(vectors.whole(2).numpy(), expected[2])
    assert (len(vectors), vectors.elements) == expected.shape


def test_statistics_of_normalization_layers_are_no_part_of_them():
    pretrained, *finetuned = made()
    of_layers = {"bn.running_mean": torch.ones(3), "bn.running_var": torch.ones(3)}
    changed = [own | {name: tensor * 2 for name, tensor in of_layers.items()} for own in finetuned]
    vectors = TaskVectors(pretrained | of_layers, changed)
    assert vectors.elements == TaskVectors(pretrained, finetuned).elements
    assert torch.equal(vectors.applied(vectors.whole(0))["bn.running_var"], torch.ones(3))


def test_a_whole_vector_leads_from_the_pretrained_to_the_tasks_weights():
    pretrained, *finetuned = made()
    vectors = TaskVectors(pretrained, finetuned)
    weights = vectors.applied(vectors.whole(1))
    assert weights.keys() == finetuned[1].keys()
    assert all(torch.equal(weights[name], finetuned[1][name]) for name in weights)


def test_differences_of_half_precision_are_taken_in_single():
    pretrained = {"w": torch.tensor([1.0, 256.0], dtype=torch.bfloat16)}
    finetuned = {"w": torch.tensor([1.0078125, 258.0], dtype=torch.bfloat16)}
    assert TaskVectors(pretrained, [finetuned]).whole(0).tolist() == [0.0078125, 2.0]


def test_thresholds_are_the_kth_largest_magnitudes():
    random = np.random.default_rng(1).normal(size=100)
    found = thresholds(torch.tensor(random), [0.0, 0.01, 0.29, 0.5, 1.0])
    ordered = np.sort(np.abs(random))[::-1]
    assert found == [np.inf, ordered[0], ordered[28], ordered[49], ordered[99]]


def test_of_a_share_too_small_for_one_element_there_is_none():
    assert thresholds(torch.tensor([3.0, -4.0]), [0.1]) == [float("inf")]
