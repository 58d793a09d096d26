"""A GPU trains, evaluates and merges what a CPU does, but for rounding; the commands are those that a user types."""

import json

import pytest
import torch
from safetensors.torch import load_file

from cl_bench.backbones import TinyClip

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")]

SHORT = ("scenario.tasks=2", "optim.epochs=1")
TRAINERS = ("ewc", "lwf", "l2sp", "si", "replay", "tangent", "cmm", "lora", "head_only", "independent")


@pytest.fixture
def do(cold_run_py, tmp_path):
    """Does a run, and returns its record and the weights of its last task."""

    def do(name, *overrides):
        done = cold_run_py(*SHORT, *overrides, f"paths.store_dir={name}", f"hydra.run.dir=runs/{name}")
        assert done.returncode == 0, done.stderr
        (weights,) = (tmp_path / name).glob("streams/*/task_001.safetensors")
        return json.loads((tmp_path / "runs" / name / "result.json").read_text()), load_file(weights)

    return do


@pytest.mark.parametrize(
    "ways",
    [
        (),
        ("lightning.matmul_precision=high",),
        ("lightning.precision=bf16-mixed",),
        ("lightning.precision=bf16-mixed", "lightning.compile=true"),
    ],
    ids=["float32", "TF32", "bf16", "compiled"],
)
def test_a_gpu_learns_about_what_a_cpu_learns(do, ways):
    (expected, there), (found, here) = do("cpu", "lightning=cpu"), do("gpu", "lightning=gpu", *ways)
    assert found["devices"]["kind"] == torch.cuda.get_device_name() and "cpu" in expected["devices"]["kind"]
    assert found["accuracy"]["task_aware"] == pytest.approx(expected["accuracy"]["task_aware"], abs=5)
    start = TinyClip().encoder.state_dict()
    apart, moved = (
        sum(float((there[name] - other[name]).double().square().sum()) for name in there) for other in (here, start)
    )
    assert apart < 0.25 * moved  # half as far from each other as from where both began, at most


@pytest.mark.parametrize("trainer", TRAINERS)
def test_every_way_of_learning_works_in_bf16(do, trainer):
    found, weights = do("gpu", "lightning=gpu", "lightning.precision=bf16-mixed", f"trainer={trainer}")
    assert all(bool(tensor.isfinite().all()) for tensor in weights.values())
    assert found["accuracy"]["task_aware"] > 50 / 5


@pytest.mark.parametrize("merger", ["magmax", "ties", "tsv", "opcm", "emr"])
def test_the_same_weights_are_merged_and_evaluated_as_on_a_cpu(do, merger):
    found, _ = do("store", "lightning=gpu", f"merger={merger}")
    expected, _ = do("store", "lightning=cpu", f"merger={merger}")
    assert all(record["reused"] for record in expected["training"])
    for row, other in zip(*(each["matrix"]["task_aware"] for each in (found, expected)), strict=True):
        assert row == pytest.approx(other, abs=1)  # two images of 180


def test_a_run_goes_on_from_tasks_that_a_gpu_has_learned(do, tmp_path):
    _, expected = do("whole", "lightning=gpu")
    do("parts", "lightning=gpu")
    (last,) = (tmp_path / "parts").glob("streams/*/task_001.safetensors")
    last.unlink()
    again, weights = do("parts", "lightning=gpu")
    assert [record["reused"] for record in again["training"]] == [True, False]
    assert all(torch.allclose(tensor, expected[name], atol=1e-3) for name, tensor in weights.items())
