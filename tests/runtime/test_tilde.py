"""`~` where the shell leaves it."""

import json
import os
from pathlib import Path

import pytest

from cl_bench.runtime import tilde
from tests.conftest import FEW_STEPS, FEW_TESTED


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("paths.store_dir=~/store", "paths.store_dir=/home/me/store"),
        ("+a=[~/b,~/c, ~/d]", "+a=[/home/me/b,/home/me/c, /home/me/d]"),
        ("a=[{b: ~/c},{b:'~/d'}]", "a=[{b: /home/me/c},{b:'/home/me/d'}]"),
        ("~merger.scaling", "~merger.scaling"),
        ("~hydra/launcher", "~hydra/launcher"),
        ("a=b~/c", "a=b~/c"),
        ("a=~nobody_of_that_name/c", "a=~nobody_of_that_name/c"),
    ],
)
def test_only_the_beginning_of_a_path_means_the_home_folder(typed, meant, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert tilde.expanded(typed) == meant


def test_arguments_of_the_other_commands(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert tilde.path("~/runs") == Path("/home/me/runs") and tilde.path("runs") == Path("runs")


@pytest.mark.slow
def test_a_run_reads_and_writes_below_the_home_folder(run_py, command, tmp_path):
    (tmp_path / "order.yaml").write_text("[1, 0, 2, 3, 4, 5, 6, 7, 8, 9]")
    places = ("paths.store_dir=~/kept", "hydra.run.dir=~/run", "task_order=~/order.yaml", "logger.save_dir=~/log")
    environment = {**os.environ, "HOME": str(tmp_path)}
    run = run_py("trainer=zero_shot", "scenario.tasks=2", FEW_TESTED, *FEW_STEPS, *places, env=environment)
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "kept").is_dir() and (tmp_path / "log").is_dir() and not (tmp_path / "~").exists()
    assert json.loads((tmp_path / "run" / "result.json").read_text())["matrix"]
