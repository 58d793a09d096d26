"""The wheel, installed where no checkout can be imported and used from an empty folder.

It is built from an sdist of the tracked files. The packages that it needs are those of the environment that runs the
tests, since PyTorch alone takes 6 GB.
"""

import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.conftest import ROOT, SHORT

pytestmark = pytest.mark.slow

METHODS = """
from cl_bench.mergers import Average

class MyMerger(Average):
    pass
"""
SWEEP = """# @package _global_
hydra:
  mode: MULTIRUN
  sweep:
    dir: multirun/my_sweep
    subdir: ${hydra:runtime.choices.merger}
  sweeper:
    params:
      merger: mine,last
"""


def finished(command, **options):
    """Runs a command to its end, which has to be a good one; what it printed."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=300, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def built(folder, source, what):
    """Builds an sdist or a wheel, as pip does; its path."""
    code = f"from setuptools import build_meta; print(build_meta.build_{what}({str(folder)!r}))"
    return folder / finished([sys.executable, "-c", code], cwd=source).splitlines()[-1]


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """The wheel that an sdist builds, and the one that the checkout builds."""
    folder = tmp_path_factory.mktemp("built")
    checkout = folder / "checkout"
    tracked = finished(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT).splitlines()
    for name in tracked:
        if (ROOT / name).is_file() and not name.startswith(("tests/", "docs/")):
            (checkout / name).parent.mkdir(parents=True, exist_ok=True)
            (checkout / name).write_bytes((ROOT / name).read_bytes())
    with tarfile.open(built(folder, checkout, "sdist")) as archive:
        archive.extractall(folder, filter="data")
    (unpacked,) = folder.glob("cl_bench-*/")
    return [built(_made(folder / name), source, "wheel") for name, source in (("a", unpacked), ("b", checkout))]


def _made(folder):
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def installed(wheels, tmp_path_factory):
    """Runs a command of a fresh environment that holds the wheel and nothing of the checkout."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder / "venv")
    python = folder / "venv/bin/python"
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index"]
    finished([*pip, wheels[0]])
    (packages,) = (folder / "venv/lib").glob("python*/site-packages")
    (packages / "packages_of_the_tests.pth").write_text(sysconfig.get_path("purelib") + "\n")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "CL_BENCH"))}
    environment = {**kept, "PATH": f"{folder / 'venv/bin'}{os.pathsep}{os.environ['PATH']}"}
    empty = folder / "empty"
    empty.mkdir()
    found = finished([python, "-c", "import cl_bench; print(cl_bench.__file__)"], cwd=empty, env=environment)
    assert found.startswith(str(packages))

    def run(*command):
        return finished(command, cwd=empty, env=environment)

    run.folder = empty
    return run


def test_sdist_and_checkout_build_the_same_wheel_which_holds_all_configurations(wheels):
    one, other = ({name: archive.read(name) for name in archive.namelist()} for archive in map(zipfile.ZipFile, wheels))
    assert one.keys() == other.keys()
    changed = {name for name in one if one[name] != other[name]}
    assert not {name for name in changed if not name.endswith("RECORD")}
    for folder in ("conf", "multirun_configs"):
        files = sorted((ROOT / folder).rglob("*.yaml"))
        assert len(files) > 20
        for file in files:
            assert one[f"cl_bench/{file.relative_to(ROOT)}"] == file.read_bytes()
    assert "cl_bench/py.typed" in one
    assert not [name for name in one if not name.startswith(("cl_bench/", "cl_bench-"))]


def test_every_command_runs_in_an_empty_folder(installed):
    """In one test, since later commands need what earlier ones left behind."""
    folder = installed.folder
    assert "Usage: cl-bench run" in installed("cl-bench", "run", "--help")
    assert "cifar100" in installed("cl-bench", "data", "list")
    assert "0 of 2 tasks reused" in installed("cl-bench", "run", *SHORT, "+method=sequential_ties")
    (result,) = folder.glob("outputs/*/*/result.json")
    assert json.loads(result.read_text())["config"]["method"] == "sequential_ties"
    assert "merger=ties" in installed("cl-bench", "report", "table", "outputs")
    assert "sign_conflicts" in installed("cl-bench", "analyze", "outputs", "--only", "sign_conflicts")
    for name, value in (("base", 0.0), ("a", 1.0), ("b", 3.0)):
        save_file({"w": torch.full((2, 3), value)}, folder / f"{name}.safetensors")
    files = ("pretrained=base.safetensors", "finetuned=[a.safetensors,b.safetensors]", "out=merged.safetensors")
    installed("cl-bench", "merge", "merger=average", "merger.scaling=1", *files)
    assert load_file(folder / "merged.safetensors")["w"].tolist() == [[2.0] * 3] * 2


def test_methods_and_sweeps_of_ones_own_run_also_in_several_processes(installed):
    folder = installed.folder
    (folder / "my_methods.py").write_text(METHODS)
    for name, text in (("merger/mine", "_target_: my_methods.MyMerger\nscaling: 1\n"), ("sweep/my_sweep", SWEEP)):
        file = folder / "my_conf" / f"{name}.yaml"
        file.parent.mkdir(parents=True)
        file.write_text(text)
    own = ("cl-bench", "run", "--config-dir", "my_conf", *SHORT)
    assert "cl-bench report table multirun/my_sweep" in installed(*own, "+sweep=my_sweep")
    assert {path.parent.name for path in folder.glob("multirun/my_sweep/*/result.json")} == {"mine", "last"}
    installed(*own, "merger=mine", "lightning.devices=2", "hydra.run.dir=two")
    result = json.loads((folder / "two/result.json").read_text())
    assert (result["devices"]["count"], result["choices"]["merger"]) == (2, "mine")
