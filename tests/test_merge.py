"""`python -m cl_bench.merge`, in processes of its own."""

import subprocess
import sys
import time
from functools import partial

import pytest
import torch
from safetensors.torch import load_file, save_file

from cl_bench.mergers import CMM, MagMax
from tests.conftest import ROOT

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


def model(seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {"w": torch.randn(20, 30, generator=generator), "steps": torch.tensor(1)}


@pytest.fixture
def merge(tmp_path, command):
    """Runs the command in a folder with a base and two models."""
    save_file(model(0), tmp_path / "base.safetensors")
    save_file(model(1), tmp_path / "a.safetensors")
    torch.save(model(2), tmp_path / "b.pt")

    return partial(command, "-m", "cl_bench.merge", cwd=tmp_path)


FILES = ("pretrained=base.safetensors", "finetuned=[a.safetensors,b.pt]", "out=new/merged.safetensors")


def test_help_starts_in_about_a_second_and_names_the_mergers():
    started = time.perf_counter()
    command = [sys.executable, "-m", "cl_bench.merge", "--help"]
    helped = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert helped.returncode == 0 and time.perf_counter() - started < 5
    for word in ("magmax", "ties", "pretrained=", "finetuned=", "statistics="):
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


def test_mergers_get_their_statistics(merge, tmp_path):
    moments = {"w": model(3)["w"].square()}
    save_file(moments, tmp_path / "m.safetensors")
    done = merge("merger=cmm", *FILES, "statistics=[{second_moments: m.safetensors},{second_moments: m.safetensors}]")
    assert done.returncode == 0, done.stderr
    expected = CMM().merge(model(0), [model(1), model(2)], statistics=[{"second_moments": moments}] * 2)
    assert torch.equal(load_file(tmp_path / "new" / "merged.safetensors")["w"], expected["w"])


def test_a_merger_of_ones_own(merge, tmp_path):
    (tmp_path / "my_package.py").write_text(OWN_MERGER)
    done = merge("merger._target_=my_package.First", "merger.scaling=1", *FILES)
    assert done.returncode == 0, done.stderr
    torch.testing.assert_close(load_file(tmp_path / "new" / "merged.safetensors")["w"], model(1)["w"])


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("merger=nope", *FILES), "merger/nope"),
        (("merger=task_arithmetic", *FILES), "merger.scaling is missing"),
        (("merger.scalling=1", *FILES), "scalling"),
        (("merger=cmm", *FILES), "needs the statistics 'second_moments'"),
        ((*FILES, "statistics=[{second_moments: a.safetensors}]"), "statistics has 1 entries"),
        (FILES[:2], "out is missing"),
        ((*FILES, "finetuned=[]"), "finetuned is empty"),
        ((*FILES, "finetuned=[a.safetensors,c.safetensors]"), "There is no model c.safetensors"),
        ((*FILES, "finetuned=[nan.safetensors]"), "task 1): 'w' has a NaN"),
        ((*FILES, "finetuned=[other.safetensors]"), "task 1) lacks 'steps', 'w'"),
        ((*FILES, "out=merged.pt"), "out=merged.pt"),
        ((*FILES, "out=base.safetensors/merged.safetensors"), "cannot be written"),
        (("merger._target_=json.JSONDecoder", "~merger.scaling", *FILES), "Merger"),
    ],
    ids=str,
)
def test_mistakes_get_one_message_exit_code_2_and_no_file(merge, tmp_path, arguments, named):
    save_file({"w": torch.full((20, 30), torch.nan), "steps": torch.tensor(1)}, tmp_path / "nan.safetensors")
    save_file({"other": torch.ones(1)}, tmp_path / "other.safetensors")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    failed = merge(*arguments)
    assert failed.returncode == 2, failed.stderr
    assert failed.stderr.startswith("Error: ") and named in failed.stderr and "Traceback" not in failed.stderr
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_debug_shows_the_traceback(merge):
    failed = merge(*FILES, "finetuned=[c.safetensors]", "debug=true")
    assert failed.returncode not in (0, 2) and "Traceback" in failed.stderr
