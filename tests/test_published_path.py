"""The published experiment without the published files: everything as released but the contents.

ViT-B/16 with random weights in a local file, CIFAR-100's files with a few made-up images, the real command line. The
head alone takes a minute: 1,800 prompts go through the real text tower.
"""

import json

import open_clip
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.datasets.releases import CIFAR100, write_cifar100

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    model = open_clip.create_model("ViT-B-16-quickgelu", pretrained=None)
    path = tmp_path_factory.mktemp("weights") / "vit_b_16.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, path)
    return path


def test_cifar100_20_with_magmax_runs_end_to_end(cold_run_py, tmp_path, weights):
    write_cifar100(tmp_path / "data", train=200, test=42)  # with fewer, a task would have no test image
    arguments = (
        "scenario=cifar100_20", "merger=magmax", f"backbone.pretrained={weights}", "dataset.checksum=false",
        "optim.epochs=1", "optim.batch_size=1", "lightning.limit_train_batches=1", "lightning=cpu",
        "evaluation=final", "evaluation.batch_size=4", "evaluation.finetuned=false", "hydra.run.dir=run",
    )  # fmt: skip
    run = cold_run_py(*arguments)
    assert run.returncode == 0, run.stderr
    assert "0 of 20 tasks reused" in run.stdout
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    tested = CIFAR100[:42]
    expected = [sum(name in tested for name in task["name"].split(", ")) for task in result["tasks"]]
    assert [task["images"] for task in result["tasks"]] == expected and sum(expected) == 42
    assert [record["steps"] for record in result["training"]] == [1] * 20
    assert len(result["matrix"]["task_agnostic"]) == 21 and result["accuracy"]["task_agnostic"] is not None

    (stream,) = (tmp_path / "store" / "streams").glob("*")
    assert len(list(stream.glob("task_*.safetensors"))) == 20
    trained = load_file(stream / "task_019.safetensors")
    start = {name.removeprefix("visual."): tensor for name, tensor in load_file(weights).items()}
    assert sum(tensor.numel() for tensor in trained.values()) == 86_192_640
    assert any(not torch.equal(trained[name], start[name]) for name in trained)
    # 20 steps of the published warm-up: every learning rate is lr · 1/500, so no weight moves by more than that.
    largest = max(float((trained[name] - start[name]).abs().max()) for name in trained)
    assert 0 < largest <= 20 * 1e-5 / 500 * 1.2
