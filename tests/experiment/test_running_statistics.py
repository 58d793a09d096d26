"""An encoder with normalization layers in whole runs, from an archive as OpenAI's models come in."""

import json

import open_clip
import pytest
import torch
from safetensors.torch import load_file

from cl_bench.experiment import merged_model
from cl_bench.experiment.parts import build
from cl_bench.experiment.run import run
from cl_bench.mergers import RunningMerge
from tests.conftest import FEW_STEPS, FEW_TESTED
from tests.store import clip_files

RESNET = {"image_size": 32, "layers": [1, 1, 1, 1], "width": 8, "head_width": 8, "patch_size": None}


@pytest.fixture
def arguments(tmp_path, monkeypatch):
    """The settings of a run with a small ResNet."""
    configuration = {**clip_files.CONFIGURATION, "vision_cfg": RESNET}
    monkeypatch.setattr(clip_files, "CONFIGURATION", configuration)
    clip_files.register(tmp_path, monkeypatch)
    torch.manual_seed(0)
    torch.save(open_clip.create_model("small-quickgelu").state_dict(), tmp_path / "resnet.pt")
    own = ("backbone.model=small-quickgelu", f"backbone.pretrained={tmp_path / 'resnet.pt'}")
    resnet = ("backbone=vit_b_32", "backbone.projection=attnpool.c_proj.weight")
    return *resnet, *own, "scenario.tasks=2", FEW_TESTED, *FEW_STEPS


@pytest.mark.parametrize("how", ["pretrained", "average"])
def test_a_run_takes_them_as_it_is_told(how, arguments, configure, tmp_path, monkeypatch):
    merges, starts = [], []

    def recorded(merger, pretrained, *given):
        starts.append(pretrained)
        merges.append(RunningMerge(merger, pretrained, *given))
        return merges[-1]

    monkeypatch.setattr(merged_model, "RunningMerge", recorded)
    own = (f"running_statistics={how}", "merger=last", "evaluation.finetuned=true")
    result = run(configure(*arguments, *own), tmp_path / "run")
    assert result["finetuned"] is not None  # the merged model is not the last task's, whatever the merger
    (folder,) = (tmp_path / "store" / "streams").iterdir()
    manifest = json.loads((folder / "manifest.json").read_text())
    tuned = [load_file(folder / task["file"]) for task in manifest["tasks"].values()]
    name = "bn1.running_var"
    start = starts[0][name]
    expected = start if how == "pretrained" else (tuned[0][name].double() + tuned[1][name].double()).div(2).float()
    assert not torch.equal(tuned[0][name], start) and torch.equal(merges[0].merged()[name], expected)


def test_they_shape_what_is_trained_only_where_tasks_start_from_the_merged_model(configure):
    configured = [
        build(configure("scenario.tasks=2", FEW_TESTED, f"trainer.starts_from={start}", f"running_statistics={how}"))
        for start in ("previous", "merged")
        for how in ("pretrained", "average")
    ]
    first, second, third, fourth = (parts.training for parts in configured)
    assert first == second and third != fourth
