"""The published experiment without the published files: everything as released but the contents.

ViT-B/16 with random weights in a local file, CIFAR-100's files with a few made-up images, the real command line, all
1,800 prompts through the real text tower.
"""

import json

import open_clip
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from tests.conftest import ROOT
from tests.helpers.releases import CIFAR100, write_cifar100

pytestmark = pytest.mark.slow

ORDER = yaml.safe_load((ROOT / "cl_bench/scenarios/orders.yaml").read_text())["class_order"]["cifar100"]


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    model = open_clip.create_model("ViT-B-16-quickgelu", pretrained=None)
    path = tmp_path_factory.mktemp("weights") / "vit_b_16.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, path)
    return path


def test_cifar100_20_with_magmax_runs_end_to_end(cold_run_py, tmp_path, weights):
    # An image of each task's first class, and one each of two other classes of the first task.
    tested = [*ORDER[::5], *ORDER[1:3]]
    write_cifar100(tmp_path / "data", tested=tested)
    arguments = (
        "scenario=cifar100_20", "merger=magmax", f"backbone.pretrained={weights}", "dataset.checksum=false",
        "optim.epochs=1", "optim.batch_size=1", "lightning.limit_train_batches=1", "lightning=cpu",
        "evaluation=final", "evaluation.batch_size=4", "evaluation.finetuned=false", "hydra.run.dir=run",
    )  # fmt: skip
    run = cold_run_py(*arguments)
    assert run.returncode == 0, run.stderr
    assert "0 of 20 tasks reused" in run.stdout
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert [task["images"] for task in result["tasks"]] == [3] + [1] * 19
    assert result["tasks"][0]["name"] == ", ".join(CIFAR100[label] for label in ORDER[:5])
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
