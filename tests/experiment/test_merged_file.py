"""`save_merged=true`: the merged model that a run leaves beside its result."""

import hashlib
import json
import re

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import cl_bench
from cl_bench.backbones import TinyClip
from cl_bench.experiment.parts import build_here
from cl_bench.experiment.settings import read_settings
from cl_bench.runtime.errors import UserError
from tests.conftest import ROOT, SHORT

pytestmark = pytest.mark.slow


def result(folder):
    return json.loads((folder / "result.json").read_text())


def accuracy(record, weights, split):
    counts = build_here(record["config"]).evaluator(split)(weights)
    return counts.pooled("task_agnostic")


def test_the_file_has_the_model_whose_numbers_are_reported(run_py, tmp_path, monkeypatch):
    grid = ("merger.scaling=[0.1,1.5,0.6]", "scenario.validation_share=0.2")
    done = run_py(*SHORT, *grid, "save_merged=true", "hydra.run.dir=run")
    assert done.returncode == 0, done.stderr
    assert "merged.safetensors" in done.stdout
    monkeypatch.chdir(tmp_path)
    record, path = result(tmp_path / "run"), tmp_path / "run/merged.safetensors"
    assert record["scaling"] != 0.1  # the first, which would be there without looking
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    assert record["merged_model"] == {"file": "merged.safetensors", "sha256": sha256}
    with safe_open(path, "pt") as file:
        header = file.metadata()
    assert header["fingerprint"] == record["fingerprint"] and float(header["scaling"]) == record["scaling"]
    assert (header["backbone"], header["merger"], header["format"]) == ("tiny_clip", "magmax", "pt")
    assert accuracy(record, load_file(path), "test") == record["accuracy"]["task_agnostic"]


def test_a_type_may_be_asked_for_and_a_sweep_writes_the_file_again_in_another(run_py, command, configure, tmp_path):
    sweep = ("-m", *SHORT, "merger=average", "evaluation=final", "hydra.sweep.dir=sweep", "hydra.sweep.subdir=run")
    path = tmp_path / "sweep/run/merged.safetensors"
    assert run_py(*sweep, "save_merged=true").returncode == 0
    exact = load_file(path)
    assert run_py(*sweep, "save_merged=bfloat16").returncode == 0
    rounded = load_file(path)
    assert all(torch.equal(rounded[name], tensor.bfloat16()) for name, tensor in exact.items())
    assert not path.with_name("result_1.json").exists()  # the numbers are the same
    assert "skipped, its result is there" in run_py(*sweep, "save_merged=bfloat16").stdout
    done = command("-m", "cl_bench.export", "sweep/run", "exported", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    merged, task = (
        json.loads((tmp_path / f"exported/{name}/config.json").read_text()) for name in ("merged", "task_01")
    )
    assert (merged["torch_dtype"], task["torch_dtype"]) == ("bfloat16", "float32")
    with pytest.raises(UserError, match="save_merged='float8' does not fit: input should be False, True, 'f"):
        read_settings(configure(*SHORT, "save_merged=float8"))
    too_large = run_py(*SHORT, "merger=average", "merger.scaling=1e9", "save_merged=float16", "hydra.run.dir=large")
    assert too_large.returncode == 2 and "save_merged=float16: merged: " in too_large.stderr


def test_nothing_is_written_unless_it_is_asked_for_and_a_sweep_writes_what_is_missing(run_py, tmp_path):
    sweep = ("-m", *SHORT, "merger=last,average", "hydra.sweep.dir=sweep", "hydra.sweep.subdir=${hydra:job.num}")
    assert run_py(*sweep).returncode == 0
    assert not list(tmp_path.glob("sweep/*/merged*")) and result(tmp_path / "sweep/0")["merged_model"] is None
    before = result(tmp_path / "sweep/1")
    assert run_py(*sweep, "save_merged=true").returncode == 0
    assert len(list(tmp_path.glob("sweep/*/merged.safetensors"))) == 2
    after = result(tmp_path / "sweep/1")
    assert after["matrix"] == before["matrix"] and not (tmp_path / "sweep/1/result_1.json").exists()
    assert run_py(*sweep, "save_merged=true").stdout.count("skipped, its result is there") == 2
    # Another configuration: the result that lies there is kept, and so is its model.
    one = ("hydra.run.dir=sweep/1", "save_merged=true")
    assert run_py(*SHORT, "merger=ema", *one).returncode == 0
    kept = hashlib.sha256((tmp_path / "sweep/1/merged_1.safetensors").read_bytes()).hexdigest()
    assert kept == after["merged_model"]["sha256"] != result(tmp_path / "sweep/1")["merged_model"]["sha256"]
    assert json.loads((tmp_path / "sweep/1/result_1.json").read_text())["merged_model"] == after["merged_model"]


def test_from_python_it_has_a_path_and_without_training_it_is_the_pretrained_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = cl_bench.run([*SHORT, "trainer=zero_shot", "save_merged=true"])
    weights, expected = load_file(found["merged_model"]["path"]), TinyClip().encoder.state_dict()
    assert weights.keys() == expected.keys() and all(torch.equal(weights[name], expected[name]) for name in weights)
    assert cl_bench.run([*SHORT, "trainer=zero_shot"])["merged_model"] is None


def test_anything_but_yes_or_no_is_refused(run_py):
    refused = run_py(*SHORT, "save_merged=maybe")
    assert refused.returncode == 2 and "save_merged='maybe' does not fit" in refused.stderr


def test_the_lines_of_the_guide_load_it_with_open_clip_and_timm(tmp_path, monkeypatch):
    import open_clip

    monkeypatch.chdir(tmp_path)
    tower = open_clip.create_model("ViT-B-32-quickgelu").visual.eval()
    save_file(tower.state_dict(), "merged.safetensors", {"format": "pt"})
    images = torch.randn(2, 3, 224, 224, generator=torch.manual_seed(1))
    guide = (ROOT / "README.md").read_text() + (ROOT / "docs/usage.md").read_text()
    lines = [code for code in re.findall(r"```python\n(.*?)```", guide, re.DOTALL) if "merged.safetensors" in code]
    assert len(lines) == 3
    for code in lines:
        names = {"images": images}
        exec(code, names)
        torch.testing.assert_close(names["features"], tower(images), rtol=1e-4, atol=1e-5)
