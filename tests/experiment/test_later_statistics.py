"""A rule that needs statistics of tasks that are stored without them: they are added, and nothing is trained again."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.conftest import FEW_IMAGES, SHORT

pytestmark = pytest.mark.slow


@pytest.fixture
def do(run_py, tmp_path):
    """Does a run, and returns its record and its log."""

    def do(*settings, folder):
        done = run_py(*SHORT, FEW_IMAGES, *settings, f"paths.store_dir={folder}", f"hydra.run.dir={folder}/run")
        assert done.returncode == 0, done.stderr
        return json.loads((tmp_path / folder / "run/result.json").read_text()), done.stdout

    return do


def files(store: Path):
    return {file.name: file for file in store.glob("streams/*/task_*.safetensors")}


@pytest.mark.parametrize(
    ("statistic", "merger", "settings"),
    [
        ("fisher_diagonal", "fisher", ()),
        ("fisher_diagonal", "fisher", ("trainer=tangent",)),
        ("grams", "regmean", ("trainer=ewc",)),
        ("grams", "regmean", ("trainer=replay",)),
        ("squared_gradients", "cofima", ("head=linear",)),
        ("squared_gradients", "cofima", ("trainer=lwf", "lightning.devices=2")),
        ("squared_gradients", "perturb_and_merge", ("trainer.starts_from=merged", "merger.scaling=1")),
    ],
)
def test_they_have_the_bits_that_training_would_have_left(do, tmp_path, statistic, merger, settings):
    expected, _ = do(f"merger={merger}", *settings, folder="at_once")
    first = "magmax" if "trainer.starts_from=merged" not in settings else merger
    do(f"merger={first}", *settings, folder="later")
    before = files(tmp_path / "later")
    if first == merger:
        for name in [name for name in before if statistic in name]:
            before.pop(name).unlink()  # a merger is part of this stream, so no other run could have left it
    kept = {name: file.stat().st_mtime_ns for name, file in before.items()}
    found, told = do(f"merger={merger}", *settings, folder="later")
    assert all(task["reused"] for task in found["training"]) and found["matrix"] == expected["matrix"]
    assert f"task 2: {statistic} of the stored weights, without training" in told
    after, there = files(tmp_path / "later"), files(tmp_path / "at_once")
    assert after.keys() == there.keys() and len([name for name in after if statistic in name]) == 2
    for name, file in there.items():
        right, left = load_file(file), load_file(after[name])
        assert right.keys() == left.keys() and all(torch.equal(right[key], left[key]) for key in right), name
    assert kept.items() <= {name: file.stat().st_mtime_ns for name, file in after.items()}.items()


def test_each_statistic_stays_beside_the_others(do, tmp_path):
    for merger in ("magmax", "fisher", "regmean", "fisher"):
        found, told = do(f"merger={merger}", folder="store")
    assert "without training" not in told and all(task["reused"] for task in found["training"])
    assert {"task_000.fisher_diagonal.safetensors", "task_000.grams.safetensors"} <= files(tmp_path / "store").keys()


@pytest.mark.parametrize(
    "settings",
    [("merger=cmm",), ("merger=fisher", "trainer._target_=tests.helpers.strangers.Plain")],
    ids=["the optimizer's", "a stranger's"],
)
def test_what_the_weights_do_not_tell_is_trained_again(do, settings):
    do(*(setting for setting in settings if "trainer" in setting), folder="store")
    found, told = do(*settings, folder="store")
    assert "without training" not in told and not any(task["reused"] for task in found["training"])
