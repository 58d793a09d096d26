"""`python -m cl_bench.merge`, in processes of its own."""

import errno
import os
import subprocess
import sys
import time
from unittest import mock

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from cl_bench.merge.merge_files import merge_files
from cl_bench.mergers import CMM, MagMax
from cl_bench.runtime.errors import UserError
from cl_bench.store import atomic
from tests.conftest import ROOT
from tests.merge.conftest import FILES, model
from tests.store import clip_files

pytestmark = pytest.mark.slow
OWN_MERGER = """
from cl_bench.mergers import Merger

class First(Merger):
    state = {"sum": None}
    def fold(self, state, block):
        if block.task == 1:
            state[0].copy_(block.vector)
    def combine(self, state, block):
        return state[0]
"""


def test_help_starts_in_about_a_second_and_names_the_mergers():
    started = time.perf_counter()
    command = [sys.executable, "-m", "cl_bench.merge", "--help"]
    helped = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert helped.returncode == 0 and time.perf_counter() - started < 5
    for word in ("magmax", "ties", "pretrained=", "finetuned=", "statistics=", "overwrite=true"):
        assert word in helped.stdout
    assert "scenario" not in helped.stdout


def test_merges_files_and_leaves_nothing_else(merge, tmp_path):
    before = set(tmp_path.iterdir())
    done = merge("merger=magmax", "merger.scaling=0.25", *FILES)
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 models merged by MagMax" in done.stdout and "\x1b" not in done.stdout
    expected = MagMax(0.25).merge(model(0), [model(1), model(2)])
    merged = load_file(tmp_path / "new" / "merged.safetensors")
    assert all(torch.equal(merged[name], tensor) for name, tensor in expected.items())
    assert set(tmp_path.iterdir()) - before == {tmp_path / "new"}
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["merged.safetensors"]


def test_a_result_that_is_there_is_replaced_on_demand_alone(merge, tmp_path):
    out = tmp_path / "new" / "merged.safetensors"
    assert merge("merger.scaling=0.25", *FILES).returncode == 0
    first = out.read_bytes()
    refused = merge("merger.scaling=1", *FILES)
    assert (refused.returncode, out.read_bytes()) == (2, first)
    told = f"Error: out=new/merged.safetensors is there already: {len(first):,} bytes, written 2"
    assert refused.stderr.startswith(told)
    assert "overwrite=true" in refused.stderr and refused.stderr.count("\n") == 1
    assert merge("merger.scaling=1", *FILES, "overwrite=true").returncode == 0
    assert out.read_bytes() != first


def test_mergers_get_their_statistics(merge, tmp_path):
    moments = {"w": model(3)["w"].square()}
    save_file(moments, tmp_path / "m.safetensors")
    done = merge("merger=cmm", *FILES, "statistics=[{second_moments: m.safetensors},{second_moments: m.safetensors}]")
    assert done.returncode == 0, done.stderr
    expected = CMM().merge(model(0), [model(1), model(2)], statistics=[{"second_moments": moments}] * 2)
    assert torch.equal(load_file(tmp_path / "new" / "merged.safetensors")["w"], expected["w"])


def test_a_tilde_is_the_home_folder_wherever_a_path_stands_and_transformers_may_read_the_result(merge, tmp_path):
    save_file({"w": model(3)["w"].square()}, tmp_path / "m.safetensors")
    files = ("pretrained=~/base.safetensors", "finetuned=[~/a.safetensors, ~/b.pt]", "out=~/new/merged.safetensors")
    statistics = "statistics=[{second_moments: ~/m.safetensors},{second_moments: '~/m.safetensors'}]"
    done = merge("merger=cmm", *files, statistics, env={**os.environ, "HOME": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    with safe_open(tmp_path / "new" / "merged.safetensors", "pt") as merged:
        assert merged.metadata() == {"format": "pt"}


def test_statistics_of_normalization_layers_are_averaged_on_demand(merge, tmp_path):
    for seed, name in enumerate(("base", "a", "b")):
        state = model(seed) | {"bn.running_var": torch.full((3,), float(seed)), "bn.running_mean": torch.zeros(3)}
        save_file(state, tmp_path / f"{name}.safetensors")
    files = (FILES[0], "finetuned=[a.safetensors,b.safetensors]", "merger=task_arithmetic", "merger.scaling=-1")
    for how, expected in (("pretrained", 0.0), ("average", 1.5)):
        done = merge(*files, f"out={how}.safetensors", f"running_statistics={how}")
        assert done.returncode == 0, done.stderr
        assert load_file(tmp_path / f"{how}.safetensors")["bn.running_var"].tolist() == [expected] * 3


def test_an_image_tower_of_hugging_face_is_merged_into_a_whole_model_of_openai(merge, tmp_path):
    base, tuned = clip_files.model(0), clip_files.model(1)
    clip_files.torchscript(tmp_path / "ViT.pt", base)
    clip_files.safetensors(tmp_path / "a.safetensors", clip_files.vision_alone(clip_files.hugging_face(tuned)))
    done = merge("merger.scaling=1", "pretrained=ViT.pt", "finetuned=[a.safetensors]", "out=out.safetensors")
    assert done.returncode == 0, done.stderr
    text = [name for name in base if not name.startswith("visual.")]
    assert f"{len(text) + 1} tensors that none of the models has are those of ViT.pt" in done.stdout
    merged = load_file(tmp_path / "out.safetensors")
    for name in base:
        expected = base if name in text or name == "visual.proj" else tuned
        torch.testing.assert_close(merged[name], expected[name])


def test_statistics_of_a_run_are_found_in_a_whole_model_of_open_clip(merge, tmp_path):
    base = clip_files.model(0)
    tower = {name.removeprefix("visual."): tensor for name, tensor in base.items() if name.startswith("visual.")}
    tuned = [{name: tensor + task for name, tensor in tower.items()} for task in (1, 2)]
    moments = [{name: torch.rand_like(tensor) for name, tensor in tower.items()} for _ in tuned]
    clip_files.safetensors(tmp_path / "whole.safetensors", base)
    for task in range(2):
        save_file(tuned[task], tmp_path / f"t{task}.safetensors")
        save_file(moments[task], tmp_path / f"m{task}.safetensors")
    given = "statistics=[{second_moments: m0.safetensors},{second_moments: m1.safetensors}]"
    files = ("pretrained=whole.safetensors", "finetuned=[t0.safetensors,t1.safetensors]", "out=out.safetensors")
    done = merge("merger=cmm", *files, given)
    assert done.returncode == 0, done.stderr
    expected = CMM().merge(tower, tuned, statistics=[{"second_moments": one} for one in moments])
    merged = load_file(tmp_path / "out.safetensors")
    for name, tensor in expected.items():
        torch.testing.assert_close(merged[f"visual.{name}"], tensor)


def lora_expert(folder, change):
    """What PEFT writes for the q of the first layer: A and B, of rank 2 and scale 3."""
    folder.mkdir()
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 2, "lora_alpha": 6, "use_dora": false}')
    name = "base_model.model.encoder.layers.0.self_attn.q_proj.lora_{}.weight"
    save_file({name.format(factor): tensor for factor, tensor in change.items()}, folder / "adapter_model.safetensors")


def test_lora_experts_and_lightnings_checkpoints_are_merged_into_a_whole_model(merge, tmp_path):
    base, tuned = clip_files.model(0), clip_files.model(1)
    tower = {name: tensor for name, tensor in base.items() if name.startswith("visual.")}
    clip_files.safetensors(tmp_path / "whole.safetensors", base)
    change = {"A": torch.randn(2, 16), "B": torch.randn(16, 2)}
    lora_expert(tmp_path / "lora", change)
    checkpoint = {f"encoder.{name[7:]}": tuned[name] for name in tower}
    checkpoint["head.weight"] = torch.ones(3, 12)
    torch.save({"state_dict": checkpoint, "epoch": 3}, tmp_path / "last.ckpt")
    files = ("pretrained=whole.safetensors", "finetuned=[lora,last.ckpt]", "out=out.safetensors")
    done = merge("merger=magmax", "merger.scaling=1", *files)
    assert done.returncode == 0, done.stderr
    assert "last.ckpt: merged without its head.weight\n" in done.stdout
    first = "visual.transformer.resblocks.0.attn.in_proj_weight"
    added = torch.cat([3 * change["B"] @ change["A"], torch.zeros(32, 16)])
    expected = MagMax(1).merge(tower, [tower | {first: tower[first] + added}, {name: tuned[name] for name in tower}])
    merged = load_file(tmp_path / "out.safetensors")
    assert merged.keys() == base.keys()
    for name, tensor in (base | expected).items():
        torch.testing.assert_close(merged[name], tensor)


def test_what_would_be_a_guess_is_refused_with_the_file(merge, tmp_path):
    base = clip_files.model(0)
    clip_files.safetensors(tmp_path / "whole.safetensors", base)
    lora_expert(tmp_path / "lora", {"A": torch.randn(2, 16), "B": torch.randn(12, 2)})
    two = {f"{teacher}{name}": tensor for name, tensor in base.items() for teacher in ("student.", "teacher.")}
    clip_files.safetensors(tmp_path / "two.safetensors", two)
    files = ("finetuned=[lora,two.safetensors]", "out=out.safetensors")
    refused = merge("pretrained=whole.safetensors", *files)
    assert refused.returncode == 2 and refused.stderr.count("\n") == 2
    assert refused.stderr.startswith("Error: lora: lora_B of 'encoder.layers.0.self_attn.q_proj' has shape (12, 2)")
    assert "two.safetensors: there are several image encoders, under 'student.'" in refused.stderr
    refused = merge("pretrained=lora", "finetuned=[whole.safetensors]", "out=out.safetensors")
    assert refused.returncode == 2 and "pretrained=lora is a LoRA expert" in refused.stderr
    assert not (tmp_path / "out.safetensors").exists()


def test_a_merger_of_ones_own(merge, tmp_path):
    (tmp_path / "my_package.py").write_text(OWN_MERGER)
    done = merge("merger._target_=my_package.First", "merger.scaling=1", *FILES)
    assert done.returncode == 0, done.stderr
    torch.testing.assert_close(load_file(tmp_path / "new" / "merged.safetensors")["w"], model(1)["w"])


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("merger=nope", *FILES), "merger=nope: there is no such choice"),
        (("merger=null", *FILES), "merger=null"),
        (("~merger", *FILES), "merger is no group of settings"),
        ((*FILES, "~out"), "out is missing"),
        ((*FILES, "~running_statistics"), "running_statistics=None"),
        (
            ("merger._target_=pathlib.PurePath", "~merger.scaling", *FILES),
            "merger._target_=pathlib.PurePath is no Merger",
        ),
        (("merger.scaling=true", *FILES), "merger.scaling=True"),
        (("merger=task_arithmetic", *FILES), "merger.scaling is missing"),
        (("merger.scalling=1", *FILES), "no setting merger.scalling; did you mean merger.scaling=1?"),
        (("merger=cmm", *FILES), "merger=cmm needs the statistics 'second_moments' of each model: 'statistics=[{"),
        ((*FILES, "statistics=[{second_moments: a.safetensors}]"), "statistics has 1 entries"),
        (FILES[:2], "out is missing"),
        ((*FILES, "finetuned=[]"), "finetuned is empty"),
        ((*FILES, "finetuned=[a.safetensors,c.safetensors]"), "There is no model c.safetensors"),
        ((*FILES, "finetuned=[nan.safetensors]"), "task 1): 'w' has a NaN"),
        ((*FILES, "finetuned=[other.safetensors]"), "task 1) lacks 'steps', 'w'"),
        ((*FILES, "finetuned=[../c..safetensors]"), "There is no model ../c..safetensors.\n"),
        (
            (*FILES, "pretrained=../x/../y.safetensors", "finetuned=[./z.pt,a.safetensors,d/..]"),
            "There is no model ../x/../y.safetensors.\nThere is no model z.pt.\nThere is no model d/...",
        ),
        ((*FILES, "finetuned=[int8.safetensors]"), "task 1): 'w' is int8, but floating-point weights"),
        ((*FILES, "finetuned=[meta.pt]"), "task 1): 'w' is without values, not a dense tensor"),
        ((*FILES, "pretrained=empty.safetensors", "finetuned=[empty.safetensors]"), "has no tensors"),
        ((*FILES, "running_statistics=mean"), "running_statistics='mean'"),
        ((*FILES, "out=merged.pt"), "out=merged.pt"),
        ((*FILES, "out=other.safetensors"), "out=other.safetensors is there already"),
        ((*FILES, "overwrite=maybe"), "overwrite='maybe'"),
        ((*FILES, "out=./a.safetensors"), "out=a.safetensors is one of the files to be read"),
        ((*FILES, "out=/proc/merged.safetensors"), "out=/proc/merged.safetensors cannot be written"),
        ((*FILES, "out=base.safetensors/merged.safetensors"), "cannot be written"),
        (("merger._target_=json.JSONDecoder", "~merger.scaling", *FILES), "Merger"),
    ],
    ids=str,
)
def test_mistakes_get_one_message_exit_code_2_and_no_file(merge, tmp_path, arguments, named):
    save_file({"w": torch.full((20, 30), torch.nan), "steps": torch.tensor(1)}, tmp_path / "nan.safetensors")
    save_file({"w": torch.ones(20, 30, dtype=torch.int8), "steps": torch.tensor(1)}, tmp_path / "int8.safetensors")
    save_file({"other": torch.ones(1)}, tmp_path / "other.safetensors")
    save_file({}, tmp_path / "empty.safetensors")
    torch.save({**model(1), "w": torch.empty(20, 30, device="meta")}, tmp_path / "meta.pt")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    failed = merge(*arguments)
    assert failed.returncode == 2, failed.stderr
    assert failed.stderr.startswith("Error: ") and named in failed.stderr and "Traceback" not in failed.stderr
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.EROFS, "Read-only file system"), r"out=\S+ cannot be written .*Read-only file system"),
        (SafetensorError("I/O error: Permission denied (os error 13)"), r"out=\S+ cannot be written .*denied"),
        (SafetensorError("I/O error: No space left on device (os error 28)"), "The disk is full"),
        (SafetensorError("I/O error: File too large (os error 27)"), "The disk is full"),
    ],
    ids=str,
)
def test_a_disk_that_cannot_be_written_to_is_one_message(error, told, tmp_path, monkeypatch):
    for number, name in enumerate(("base", "a")):
        save_file(model(number), tmp_path / f"{name}.safetensors")
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = OmegaConf.to_container(compose("merge", [
            f"pretrained={tmp_path}/base.safetensors", f"finetuned=[{tmp_path}/a.safetensors]",
            f"out={tmp_path}/out.safetensors",
        ]))  # fmt: skip
    monkeypatch.setattr(atomic, "save_file", mock.Mock(side_effect=error))
    with pytest.raises(UserError, match=told):
        merge_files(config)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.safetensors", "base.safetensors"]


def test_debug_shows_the_traceback(merge):
    failed = merge(*FILES, "finetuned=[c.safetensors]", "debug=true")
    assert failed.returncode not in (0, 2) and "Traceback" in failed.stderr
