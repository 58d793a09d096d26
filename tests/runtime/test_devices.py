"""Devices that are there, and those that are not."""

import pytest
import torch

from cl_bench.launching import launch
from cl_bench.runtime.devices import Devices
from cl_bench.runtime.errors import UserError


@pytest.fixture
def gpus(monkeypatch):
    def pretend(count):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)

    return pretend


def test_auto_takes_a_gpu_where_there_is_one(gpus, monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    gpus(0)
    assert (Devices().kind, Devices(devices="auto").count) == ("cpu", 1)
    gpus(4)
    assert (Devices().kind, Devices().count, Devices(devices="auto").count) == ("cuda", 1, 4)


def test_more_devices_than_there_are_is_refused(gpus):
    gpus(2)
    with pytest.raises(UserError, match=r"lightning\.devices=3: this machine has 2"):
        _ = Devices(accelerator="gpu", devices=3).count
    gpus(0)
    with pytest.raises(UserError, match=r"lightning\.accelerator=gpu: this machine has none"):
        _ = Devices(accelerator="gpu").kind


def test_a_cpu_runs_as_many_processes_as_asked_for():
    assert Devices(accelerator="cpu", devices=7).count == 7


def test_mixed_precision_is_used_for_evaluation_too():
    product = torch.ones(2, 2) @ torch.ones(2, 2)
    with Devices(accelerator="cpu", precision="bf16-mixed").autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16
    with Devices(accelerator="cpu").autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == product.dtype == torch.float32


def test_tf32_is_for_the_block_alone():
    before = torch.get_float32_matmul_precision()
    fast = Devices(accelerator="cpu", matmul_precision="high")
    for block in (fast.autocast, fast.products):
        with pytest.raises(ZeroDivisionError), block():
            assert torch.get_float32_matmul_precision() == "high"
            _ = 1 / 0
        assert torch.get_float32_matmul_precision() == before
    with fast.products(), Devices(accelerator="cpu").autocast():
        assert torch.get_float32_matmul_precision() == "highest"


def test_nodes_multiply_the_processes():
    assert Devices(accelerator="cpu", devices=3, nodes=2).world_size == 6
    assert Devices(accelerator="cpu", devices=3, nodes=2).count == 3


@pytest.mark.parametrize(
    ("devices", "jobs", "told"), [(3, 1, "lightning.devices=2 at most"), (1, 3, "n_jobs=2"), (2, 2, "n_jobs=1")]
)
def test_more_processes_than_cores_are_refused_on_a_cpu(monkeypatch, devices, jobs, told):
    monkeypatch.setattr(launch, "available_cores", lambda: 2)
    with pytest.raises(UserError, match=told):
        launch.check_cores(Devices(accelerator="cpu", devices=devices), jobs)
    launch.check_cores(Devices(accelerator="cpu", devices=2), 1)


def test_folders_that_cannot_be_written_are_one_line(run_py, tmp_path):
    (tmp_path / "file").write_text("")
    for folder in ("/proc/none", "file/run"):
        refused = run_py("lightning=cpu", f"hydra.run.dir={folder}")
        assert refused.returncode == 2 and refused.stderr.count("\n") == 1
        assert refused.stderr.startswith(f"Error: {folder}") and "hydra.run.dir=" in refused.stderr
