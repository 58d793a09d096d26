"""What `make bench-gpu` starts, on the CPU with the embedded model; and what the page says of what it found."""

import pytest
import torch
from torch import nn

from benchmarks import gpu_accuracy, gpu_models
from benchmarks.gpu_page import Measured, paid_back, write, write_accuracy
from benchmarks.gpu_training import Clock, Pace
from cl_bench.runtime.errors import UserError
from cl_bench.store import write_result
from tests.reports.small_records import record

SMALL = ("--device", "cpu", "--models", "tiny_clip", "--ways", "float32", "bf16")
SMALL += ("--batch", "16", "--images", "40", "--seconds", "0")


@pytest.mark.slow
def test_on_a_cpu_every_cell_is_measured(command, tmp_path):
    done = command("-m", "benchmarks.gpu", "page.md", *SMALL, cwd=tmp_path)
    assert done.returncode == 0 and "failed" not in done.stderr, done.stderr
    page = (tmp_path / "page.md").read_text()
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| tiny_clip")]
    assert [row[0].removeprefix("tiny_clip, ") for row in rows] == [
        "float32", "bf16", "`sequential`", "`ewc`", "`lwf`", "`tangent`", "published loop, float32", "float32", "bf16"
    ]  # fmt: skip
    assert all(float(row[1].replace(",", "")) > 0 for row in rows) and "nan" not in page and "failed" not in page
    assert "threads of a CPU" in page and "TFLOP/s" in page and "images per second, which are" in page


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_the_message_says_what_works(command, tmp_path):
    done = command("-m", "benchmarks.gpu", "page.md", cwd=tmp_path)
    assert done.returncode == 2 and "--device cpu --models tiny_clip" in done.stderr


def test_a_model_that_does_not_exist_is_named(command, tmp_path):
    done = command("-m", "benchmarks.gpu", "page.md", "--device", "cpu", "--models", "ViT-Z", cwd=tmp_path)
    assert done.returncode == 2 and "ViT-Z" in done.stderr


def test_operations_are_those_of_the_products():
    """Of tiny_clip's forward pass by hand; and both products of a layer's backward pass, but none to the images."""
    encoder = gpu_models.backbone("tiny_clip").encoder
    weights = {name: module for name, module in encoder.named_modules() if isinstance(module, nn.Linear)}
    blocks, width = len(encoder.transformer.resblocks), encoder.conv1.out_channels
    patches = (encoder.image_size[0] // encoder.patch_size[0]) ** 2
    tokens, hidden = patches + 1, next(m.out_features for n, m in weights.items() if n.endswith("c_fc"))
    block = 2 * tokens * width * (4 * width + 2 * hidden) + 4 * tokens**2 * width
    embedding = 2 * patches * width * encoder.conv1.weight[0].numel()
    forward = blocks * block + embedding + 2 * width * encoder.proj.shape[1]
    assert gpu_models.operations("tiny_clip", False) == forward
    assert gpu_models.operations("tiny_clip", True) == 3 * forward - embedding


def test_chunks_leave_the_first_steps_out(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("benchmarks.gpu_training.time.perf_counter", lambda: now[0])
    clock, done = Clock(torch.device("cpu"), warm=2, seconds=1.0), []
    for seconds in (7.0, 3.0, *[0.25] * 8):
        now[0] += seconds
        done.append(clock.tick(10))
    assert clock.pace() == Pace(images=40.0, step=0.25, warm_up=9.5)
    assert done == [*[False] * 7, True, False, True]


def test_compiling_is_paid_back_by_the_steps_that_are_faster():
    assert paid_back(Pace(0, 0.05, 60.0), Pace(0, 0.08, 0.0)) == "2,000"
    assert paid_back(Pace(0, 0.08, 60.0), Pace(0, 0.08, 0.0)) == "never"


def test_each_half_of_the_page_leaves_the_other_one(tmp_path):
    page = tmp_path / "page.md"
    write_accuracy(page, "\nmeasured accuracy\n")
    assert "Speed was not measured" in page.read_text()
    found = Measured(torch.device("cpu"), 128, 2500, 1e12, {"a": (1e9, 5e8)})
    found.training = {("a", "float32"): Pace(100, 1.0, 0.5), ("a", "bf16, compiled"): "out of memory"}
    write(page, found)
    text = page.read_text()
    assert "measured accuracy" in text and "| a, float32 | 100 | 1000.0 | 10.0 % | 1.00 | 0.5 |  |" in text
    assert "| a, bf16, compiled | out of memory |" in text and "Speed was not measured" not in text
    write_accuracy(page, "\nother\n")
    assert "| a, float32 | 100 |" in page.read_text() and "measured accuracy" not in page.read_text()


def write_results(folder, kind="cuda"):
    lightning = {"precision": "32-true", "matmul_precision": "highest", "compile": False}
    for way, gain in (("float32", 0.0), ("TF32", 1.0), ("bf16", -2.0), ("bf16, compiled", -3.0)):
        for seed, value in ((1, 60.0), (2, 70.0)):
            made = record(seed=seed, headline={"name": "x", "value": value + gain * seed}, fingerprint=f"{way}{seed}")
            config = {**made["config"], "lightning": {**lightning, **gpu_models.WAYS[way]}}
            result = {**made, "config": config, "devices": {"kind": kind, "count": 1}}
            write_result(folder / f"{way}/{seed}/result.json", result)


def test_accuracy_is_compared_seed_by_seed(tmp_path):
    write_results(tmp_path / "runs")
    gpu_accuracy.write(tmp_path / "runs", tmp_path / "page.md")
    page = (tmp_path / "page.md").read_text()
    assert "| float32 | 65.0 ± 7.1 |" in page and "| bf16 | 62.0 ± 5.7 |" in page
    assert "| TF32 | 1.5 ± 0.7 |" in page and "| bf16, compiled | -4.5 ± 2.1 |" in page and "8 runs, seeds 1, 2" in page


def test_accuracy_of_a_cpu_or_without_float32_is_refused(tmp_path):
    write_results(tmp_path / "cpu", kind="cpu (x86_64)")
    with pytest.raises(UserError, match="results of a CPU"):
        gpu_accuracy.write(tmp_path / "cpu", tmp_path / "page.md")
    write_results(tmp_path / "gpu")
    (tmp_path / "gpu/float32/2/result.json").unlink()
    with pytest.raises(UserError, match="no result in float32 with seed 2"):
        gpu_accuracy.write(tmp_path / "gpu", tmp_path / "page.md")


def test_the_sweep_keeps_weights_of_compiled_runs_apart(run_py):
    stores = set()
    for compiled in ("false", "true"):
        said = run_py("+sweep=gpu_accuracy", f"lightning.compile={compiled}", "seed=1", "--cfg", "job", "--resolve")
        assert said.returncode == 0 and "accelerator: gpu" in said.stdout and "task_order: 1" in said.stdout
        stores |= {line for line in said.stdout.splitlines() if "store_dir: multirun/gpu_accuracy/store/" in line}
    assert len(stores) == 2
