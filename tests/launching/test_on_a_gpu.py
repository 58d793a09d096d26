"""Two processes on one GPU learn, merge and evaluate what one does there."""

import json
import os
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from cl_bench.backbones import TinyClip
from tests.conftest import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")]

DEVICE = "gpu"
SHORT = ("scenario.tasks=2", "optim.epochs=1", f"lightning={DEVICE}")


def test_two_processes_on_one_gpu_are_one(configure, cold_run_py, tmp_path):
    alone = cold_run_py(*SHORT, "paths.store_dir=alone", "hydra.run.dir=runs/alone")
    assert alone.returncode == 0, alone.stderr
    (tmp_path / "settings.json").write_text(json.dumps(configure(*SHORT, "lightning.nodes=2")))
    (tmp_path / "runs/both").mkdir()
    torchrun = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    both = subprocess.run(
        [*torchrun, "-m", "tests.launching.two_on_one_device", str(tmp_path / "settings.json"), "runs/both"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        cwd=tmp_path, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert both.returncode == 0, both.stderr
    one, two = (json.loads((tmp_path / f"runs/{name}/result.json").read_text()) for name in ("alone", "both"))
    assert (one["devices"]["count"], two["devices"]["count"]) == (1, 2) and one["fingerprint"] == two["fingerprint"]
    assert two["accuracy"]["task_aware"] == pytest.approx(one["accuracy"]["task_aware"], abs=1)
    (expected,), (found,) = ((tmp_path / s).glob("streams/*/task_001.safetensors") for s in ("alone", "store"))
    expected, found, start = load_file(expected), load_file(found), TinyClip().encoder.state_dict()
    apart, moved = (
        sum(float((found[name] - other[name]).double().square().sum()) for name in found) for other in (expected, start)
    )
    assert apart < 0.05 * moved  # AdamW makes much of rounding
