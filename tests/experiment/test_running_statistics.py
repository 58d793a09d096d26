"""An encoder with normalization layers in whole runs, from an archive as OpenAI's models come in."""

import json

import open_clip
import pytest
import torch
from safetensors.torch import load_file, save_file

from cl_bench.experiment import merged_model
from cl_bench.experiment.parts import build
from cl_bench.experiment.run import run
from cl_bench.mergers import RunningMerge
from cl_bench.mergers.engine.running_statistics import is_running_statistic
from tests.conftest import FEW_STEPS, FEW_TESTED
from tests.helpers.experts import SCENARIO, THREE
from tests.store import clip_files

RESNET = {"image_size": 32, "layers": [1, 1, 1, 1], "width": 8, "head_width": 8, "patch_size": None}


NAME = "bn1.running_var"


def resnet_file(folder):
    """The image tower of a small ResNet, whose statistics are not those of a fresh layer."""
    tower = {name: tensor for name, tensor in torch.load(folder / "resnet.pt").items() if name.startswith("visual.")}
    save_file({name.removeprefix("visual."): tensor for name, tensor in tower.items()}, folder / "tower.safetensors")
    return folder / "tower.safetensors"


@pytest.fixture
def resnet(tmp_path, monkeypatch):
    """The settings of a run with a small ResNet."""
    configuration = {**clip_files.CONFIGURATION, "vision_cfg": RESNET}
    monkeypatch.setattr(clip_files, "CONFIGURATION", configuration)
    clip_files.register(tmp_path, monkeypatch)
    torch.manual_seed(0)
    state = open_clip.create_model("small-quickgelu").state_dict()
    statistics = {
        name: 0.5 + torch.rand(tensor.shape) for name, tensor in state.items() if name.endswith("running_var")
    }
    torch.save(state | statistics, tmp_path / "resnet.pt")
    own = ("backbone.model=small-quickgelu", f"backbone.pretrained={tmp_path / 'resnet.pt'}")
    return "backbone=vit_b_32", "backbone.projection=attnpool.c_proj.weight", *own


def test_they_stay_those_of_the_start_while_tasks_are_learned(resnet, configure, tmp_path):
    config = configure(*resnet, "scenario.tasks=2", FEW_TESTED, *FEW_STEPS, "optim.lr=1e-2", "optim.warmup_steps=0")
    parts = build(config)
    start = parts.pretrained
    assert parts.training["while_learning"] == {"running_statistics": "pretrained"}
    run(config, tmp_path / "run")
    (folder,) = (tmp_path / "store" / "streams").iterdir()
    manifest = json.loads((folder / "manifest.json").read_text())
    for task in manifest["tasks"].values():
        learned = load_file(folder / task["file"])
        assert all(torch.equal(learned[name], start[name]) for name in start if is_running_statistic(name))
        assert not torch.equal(learned["bn1.weight"], start["bn1.weight"])


@pytest.mark.parametrize("how", ["pretrained", "average"])
def test_those_of_experts_are_taken_as_the_run_is_told(how, resnet, configure, tmp_path, monkeypatch):
    merges = []

    def recorded(*given):
        merges.append(RunningMerge(*given))
        return merges[-1]

    monkeypatch.setattr(merged_model, "RunningMerge", recorded)
    three = (*SCENARIO, "trainer=imported", f"trainer.weights={tmp_path}/experts/%s")
    start = load_file(resnet_file(tmp_path))
    for number, name in enumerate(THREE):
        (tmp_path / "experts" / name).mkdir(parents=True)
        save_file({**start, NAME: start[NAME] + number}, tmp_path / "experts" / name / "model.safetensors")
    run(configure(*resnet, *three, f"running_statistics={how}", "merger=last"), tmp_path / "run")
    merged = merges[0].merged()[NAME]  # not the last task's, whatever the merger
    assert torch.equal(merged, start[NAME] + (0 if how == "pretrained" else 1))


def test_they_shape_what_is_trained_only_where_tasks_start_from_the_merged_model(configure):
    configured = [
        build(configure("scenario.tasks=2", FEW_TESTED, f"trainer.starts_from={start}", f"running_statistics={how}"))
        for start in ("previous", "merged")
        for how in ("pretrained", "average")
    ]
    first, second, third, fourth = (parts.training for parts in configured)
    assert "while_learning" not in first  # the embedded encoder has none
    assert first == second and third != fourth
