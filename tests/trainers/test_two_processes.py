"""Two processes (gloo on the CPU) that share every batch learn what one learns, whatever the trainer."""

import os
import subprocess
import sys
from collections import defaultdict

import pytest
from safetensors.torch import load_file

from tests.conftest import ROOT
from tests.trainers.table import CASES
from tests.trainers.two_processes import learned


# One test for all trainers, since a group takes seconds to start, and pytest-xdist would start one per worker.
@pytest.mark.slow
def test_two_processes_learn_what_one_learns(tmp_path):
    torchrun = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    group = subprocess.run(
        [*torchrun, "-m", "tests.trainers.two_processes", str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert group.returncode == 0, group.stderr
    far = {}
    for name, case in CASES.items():
        alone = learned(case)
        for rank in range(2):
            together = load_file(tmp_path / f"{name}.{rank}.safetensors")
            assert together.keys() == alone.keys()
            largest = _largest_distances(together, alone)
            far.update({f"{name}, process {rank}, {kind}": d for kind, d in largest.items() if not d <= 1e-6})
    assert not far, "\n".join(f"{where}: {distance:.1e}" for where, distance in far.items())


def _largest_distances(together, alone):
    """By kind (weights, or which statistic) the largest distance of a parameter: relative, but where it should be 0."""
    distances = defaultdict(list)
    for key, expected in alone.items():
        distances[key.split("/")[1]].append(float((together[key] - expected).norm() / (expected.norm() or 1)))
    return {kind: max(values) for kind, values in distances.items()}
