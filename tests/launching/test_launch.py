"""Several processes (gloo on the CPU), through the real command line."""

import hashlib
import json
import os
import re
from collections import Counter

import pytest
from PIL import Image
from safetensors.torch import load_file

from cl_bench.datasets import digits
from cl_bench.launching.launch import objective
from tests.conftest import ROOT, SHORT
from tests.reports.small_records import record

pytestmark = pytest.mark.slow


def _environment(**more):
    return {**os.environ, "PYTHONPATH": str(ROOT), **more}


def test_a_multirun_over_device_counts_has_the_right_groups_and_the_same_weights(run_py, tmp_path):
    swept = run_py(
        "-m", "seed=1,2", "lightning.devices=1,2", "lightning=cpu", "hydra.sweep.dir=swept",
        "hydra.sweep.subdir=${seed}_${lightning.devices}", "paths.store_dir=store_${lightning.devices}",
        "scenario.tasks=2", "optim.epochs=2", "evaluation=final", "trainer._target_=tests.helpers.spy.Spy",
        "optim.optimizer._target_=torch.optim.SGD", "optim.lr=0.01", "optim.batch_size=67",
        env=_environment(SPY_FOLDER=str(tmp_path / "seen"), WORLD_SIZE="7", LOCAL_RANK="3"),  # left by another launcher
    )  # fmt: skip
    assert swept.returncode == 0, swept.stderr
    assert sorted(path.parent.name for path in tmp_path.glob("swept/*/result.json")) == [
        "1_1",
        "1_2",
        "2_1",
        "2_2",
    ]
    assert swept.stdout.count("written: ") == 4  # one set of outputs per run, not per process

    images = Counter(hashlib.sha1(image.tobytes()).hexdigest() for image in digits.load().train.pixels)
    for size in (1, 2):
        seen = Counter(line for file in (tmp_path / f"seen/{size}").iterdir() for line in file.read_text().splitlines())
        assert seen == {f"{epoch} {image}": 2 * n for epoch in (0, 1) for image, n in images.items()}  # for two seeds

    for seed in (1, 2):
        one, two = (json.loads((tmp_path / f"swept/{seed}_{n}/result.json").read_text()) for n in (1, 2))
        assert (one["devices"]["count"], two["devices"]["count"]) == (1, 2)
        assert one["fingerprint"] == two["fingerprint"] and one["matrix"] == two["matrix"]
        assert [task["steps"] for task in one["training"]] == [task["steps"] for task in two["training"]]
        assert sum(task["images"] for task in two["tasks"]) == len(digits.load().test)
        assert [task["images"] for task in one["tasks"]] == [task["images"] for task in two["tasks"]]
        for task in range(2):
            file = f"streams/{one['fingerprint']}/task_00{task}.safetensors"
            alone, together = (load_file(tmp_path / f"store_{n}" / file) for n in (1, 2))
            distance = sum(float((alone[k] - together[k]).double().square().sum()) for k in alone) ** 0.5
            assert distance <= 1e-6 * sum(float(alone[k].double().square().sum()) for k in alone) ** 0.5


def test_a_search_is_warned_of_a_merger_that_learns_on_the_images_it_is_evaluated_on(capsys):
    seen = record(sees_test_images=True, split="validation")
    assert objective(seen) == objective(seen, searched=True) == seen["headline"]["value"]
    warned = capsys.readouterr().err
    assert warned.startswith("Warning: ") and "competes with no rule that sees none" in warned
    assert objective(record(), searched=True) is None and not capsys.readouterr().err  # on test images


def test_a_mistake_in_a_group_is_told_once(run_py):
    failed = run_py(*SHORT, "lightning.devices=2", "scenario.tasks=11")
    assert failed.returncode == 2
    assert failed.stderr == "Error: scenario.tasks=11: digits has only 10 classes.\n"


def test_a_damaged_image_that_the_first_process_finds_is_told_once(run_py, tmp_path):
    for number in range(8):
        path = tmp_path / f"images/{'cat' if number < 4 else 'dog'}/{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(path)
    path.write_bytes(b"no image")
    settings = ("scenario=folder", "dataset.root=images", "scenario.tasks=2", "backbone=tiny_clip", "lightning=cpu")
    failed = run_py(*settings, "lightning.devices=2")
    assert failed.returncode == 2
    assert failed.stderr.startswith("Error: images/dog/7.png is missing or damaged") and failed.stderr.count("\n") == 2


def test_a_group_of_another_size_than_asked_for_stops(configure, command, tmp_path):
    settings = tmp_path / "resolved.json"
    settings.write_text(json.dumps(configure(*SHORT, "lightning.devices=2")))
    group_of_one = {
        "RANK": "0",
        "LOCAL_RANK": "0",
        "WORLD_SIZE": "1",
        "MASTER_ADDR": "localhost",
        "MASTER_PORT": "0",
    }
    stopped = command(
        "-m", "cl_bench.launching.worker", str(settings), str(tmp_path), str(tmp_path / "error"),
        cwd=ROOT, env=_environment(**group_of_one),
    )  # fmt: skip
    assert stopped.returncode != 0
    assert "2 devices were asked for, but the process group has 1" in stopped.stderr


def test_of_two_runs_that_want_the_same_stream_each_task_is_trained_by_one(begin_run_py, tmp_path):
    begun = [begin_run_py(*SHORT, "scenario.tasks=5", f"hydra.run.dir={i}") for i in range(2)]
    runs = [run.completed() for run in begun]
    assert [run.returncode for run in runs] == [0, 0]
    assert sum(int(re.search(r"(\d) of 5 tasks reused", run.stdout)[1]) for run in runs) == 5
    one, other = (json.loads((tmp_path / str(i) / "result.json").read_text()) for i in range(2))
    assert one["matrix"] == other["matrix"] and len(list(tmp_path.glob("store/streams/*"))) == 1
