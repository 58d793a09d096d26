"""Workers that claim a device each."""

import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT

_WORKER = """
import os, sys
from pathlib import Path
from types import SimpleNamespace
from cl_bench.launching import gpu_claim
count = lambda: len(os.environ.get("CUDA_VISIBLE_DEVICES", "0,1").split(","))
sys.modules["torch"] = SimpleNamespace(cuda=SimpleNamespace(device_count=count))  # two GPUs, whatever the machine has
gpu_claim.claim(Path(sys.argv[1]))
gpu_claim.claim(Path(sys.argv[1]))
print(os.environ.get("CUDA_VISIBLE_DEVICES"), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def worker(tmp_path):
    """Starts a worker that lives until its input is closed; returns it and the devices it sees."""
    started = []

    def worker(**environment):
        process = subprocess.Popen(
            [sys.executable, "-c", _WORKER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        )  # fmt: skip
        started.append(process)
        return process, process.stdout.readline().strip()

    yield worker
    for process in started:
        process.kill()
        process.communicate()


def test_each_worker_has_a_device_of_its_own_and_only_too_many_share(worker):
    first, its_device = worker()
    assert [its_device, worker()[1], worker()[1]] == ["0", "1", "0"]
    first.kill()
    first.wait()
    assert worker()[1] == "0"


def test_only_visible_devices_are_claimed(worker):
    assert [worker(CUDA_VISIBLE_DEVICES="3,GPU-7f")[1] for _ in range(3)] == ["3", "GPU-7f", "3"]


def test_without_a_gpu_nothing_is_claimed(monkeypatch, tmp_path):
    import torch

    from cl_bench.launching import gpu_claim

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    gpu_claim.claim(tmp_path)
    assert "CUDA_VISIBLE_DEVICES" not in os.environ and not list(tmp_path.iterdir())
