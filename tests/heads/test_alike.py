"""Classes whose rows are the same, against a loop over all pairs."""

import itertools

import pytest
import torch
from torch.nn import functional

from cl_bench.heads.alike import CLOSE, SAME, Pair, close_pairs, clusters


def everyone(rows):
    return torch.ones(1, len(rows), dtype=torch.bool)


def near(row, distance):
    """A unit row at that distance of another one."""
    generator = torch.Generator().manual_seed(0)
    across = torch.randn(len(row), generator=generator)
    across = functional.normalize(across - (across @ row) * row, dim=0)
    return functional.normalize(row + distance * across, dim=0)


@pytest.fixture
def rows():
    return functional.normalize(torch.randn(700, 32, generator=torch.Generator().manual_seed(1)), dim=1)


@pytest.mark.parametrize("distance", [0.0, 0.9 * SAME, 1.1 * SAME, 0.95 * CLOSE, 1.05 * CLOSE])
def test_distances_around_both_thresholds_are_exact(rows, distance):
    rows[650] = near(rows[3], distance)  # in another block than its neighbor
    found = close_pairs(rows, everyone(rows))
    assert [pair[:2] for pair in found] == ([(3, 650)] if distance < CLOSE else [])
    assert all(pair.distance == pytest.approx(distance, abs=2e-6) for pair in found)


def test_pairs_are_those_that_a_loop_finds(rows):
    for i, j in ((0, 1), (1, 2), (5, 600), (511, 512), (20, 699)):
        rows[j] = near(rows[i], SAME / 3)
    groups = torch.rand(4, 700, generator=torch.Generator().manual_seed(2)) < 0.6
    groups[0, [0, 1, 2]] = True
    expected = [
        (i, j)
        for i, j in itertools.combinations(range(700), 2)
        if float((rows[i] - rows[j]).norm()) < CLOSE and bool((groups[:, i] & groups[:, j]).any())
    ]
    assert [pair[:2] for pair in close_pairs(rows, groups)] == expected and len(expected) > 2


def test_classes_that_never_meet_do_not_count(rows):
    rows[1] = rows[0]
    apart = torch.eye(700, dtype=torch.bool)
    assert close_pairs(rows, apart) == [] != close_pairs(rows, everyone(rows))


def test_all_equal_rows_are_one_cluster_of_a_thousand():
    rows = torch.eye(1, 16).expand(1000, 16)
    assert clusters(close_pairs(rows, everyone(rows))) == [list(range(1000))]


def test_links_make_clusters():
    pairs = [Pair(0, 4, 0.0), Pair(1, 2, 0.0), Pair(4, 7, 0.0), Pair(5, 6, 0.0), Pair(6, 7, 0.0)]
    assert clusters(pairs) == [[0, 4, 5, 6, 7], [1, 2]]
