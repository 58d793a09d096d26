"""`lightning.compile=true` on a CPU: what is learned is the same but for rounding."""

import os
import shutil
import subprocess
import sys

import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file

from cl_bench.runtime import distributed
from tests.conftest import ROOT, SHORT

pytestmark = pytest.mark.slow


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
@pytest.mark.parametrize("trainer", ["ewc", "lwf"])  # one that reads gradients itself, and one with a teacher
def test_a_compiled_encoder_learns_the_same(cold_run_py, tmp_path, trainer):
    for way in ("true", "false"):
        done = cold_run_py(*SHORT, f"trainer={trainer}", f"lightning.compile={way}", f"paths.store_dir=compile_{way}")
        assert done.returncode == 0, done.stderr
    files = sorted((tmp_path / "compile_false").glob("streams/*/task_*.safetensors"))
    assert {"task_000.safetensors", "task_001.safetensors"} <= {file.name for file in files}
    for file in files:
        plain, (twin,) = load_file(file), (tmp_path / "compile_true").glob(f"streams/*/{file.name}")
        compiled = load_file(twin)
        far = sum(float((compiled[name] - plain[name]).double().square().sum()) for name in plain)
        assert far <= 1e-8 * sum(float(tensor.double().square().sum()) for tensor in plain.values()), file.name


def test_without_a_compiler_it_is_refused(tmp_path):
    refused = subprocess.run(
        [sys.executable, str(ROOT / "run.py"), *SHORT, "lightning.compile=true"],
        env={**os.environ, "CXX": "no_such_compiler", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")},
        cwd=tmp_path, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert refused.returncode == 2 and "Traceback" not in refused.stderr
    assert "Error: lightning.compile=true: torch.compile fails on this machine: InvalidCxxCompiler" in refused.stderr


def test_gradients_that_are_transposed_are_averaged(monkeypatch):
    def as_nccl_does(tensor):
        assert tensor.is_contiguous()
        tensor.mul_(2)

    monkeypatch.setattr(dist, "is_initialized", lambda: True)
    monkeypatch.setattr(dist, "get_world_size", lambda: 2)
    monkeypatch.setattr(dist, "all_reduce", as_nccl_does)
    gradient = torch.arange(6.0).view(2, 3).T
    distributed.average(gradient)
    assert torch.equal(gradient, torch.arange(6.0).view(2, 3).T)
