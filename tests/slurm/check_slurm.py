"""`make test-slurm`: sweeps, several nodes, failures and preemption on a real SLURM, see `cluster.py`.

Its name keeps it out of the whole suite: it starts daemons and needs root.
"""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import ROOT
from tests.slurm import cluster

RUN = (sys.executable, str(ROOT / "run.py"))
SMALL = ("scenario.tasks=2", "+dataset.test=90", "optim.epochs=1", "lightning=cpu", "lightning.limit_train_batches=3")
LONG = (*SMALL, "seed=1", "optim.epochs=20", "lightning.limit_train_batches=null", "evaluation=final")
LAUNCHER = ("hydra/launcher=slurm", "hydra.launcher.partition=main", "hydra.launcher.cpus_per_task=1")
PATIENCE = 170  # seconds for a command


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    if missing := cluster.missing():
        pytest.exit(f"make test-slurm starts a SLURM of its own, and lacks {missing}", returncode=2)
    with cluster.cluster(tmp_path_factory.mktemp("cluster")) as environment:
        yield environment


@pytest.fixture(scope="module")
def begin(environment, tmp_path_factory):
    """Starts a command in a folder that all commands share."""
    folder = tmp_path_factory.mktemp("runs")
    begun = []

    def begin(*command, **more):
        process = subprocess.Popen(
            command, cwd=folder, env={**environment, "PYTHONPATH": str(ROOT), **more}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        begun.append(process)
        return process

    begin.folder = folder
    yield begin
    for process in begun:
        process.kill()


@pytest.fixture(scope="module")
def do(begin):
    """Does a command to its end: exit code, output, errors."""

    def do(*command, **more):
        process = begin(*command, **more)
        out, err = process.communicate(timeout=PATIENCE)
        return process.returncode, out, err

    do.folder = begin.folder
    return do


def record(path: Path):
    return json.loads(path.read_text())


def log(folder: Path) -> str:
    """What all tasks of all jobs of a sweep have printed."""
    return "".join(path.read_text() for path in sorted(folder.glob(".submitit/*/*_log.*")))


@pytest.fixture(scope="module")
def alone(do):
    """A run without SLURM."""
    code, _, err = do(*RUN, *SMALL, "seed=1", "hydra.run.dir=alone", "paths.store_dir=store_alone")
    assert code == 0, err
    return record(do.folder / "alone/result.json")


@pytest.fixture(scope="module")
def preempted(begin, environment, alone):
    """A sweep of one long job that has to make room in its second task; it is requeued while other tests run."""
    sweep = begin(*RUN, "-m", *LONG, *LAUNCHER, "hydra.sweep.dir=long", "paths.store_dir=store_long")
    wait_until(lambda: list(begin.folder.glob("store_long/streams/*/task_001.lock")), sweep)
    time.sleep(1.5)  # until it trains
    (job,) = subprocess.check_output(["squeue", "-h", "-o", "%A"], env=environment, text=True).split()
    subprocess.run(["scancel", "--signal=USR2", job], env=environment, check=True)
    return sweep


def wait_until(due, process):
    last = time.monotonic() + PATIENCE
    while not due():
        assert process.poll() is None and time.monotonic() < last, process.communicate()
        time.sleep(0.05)


def test_a_job_that_has_to_make_room_keeps_its_steps(preempted, begin):
    wait_until(lambda: list(begin.folder.glob("store_long/streams/*/task_001.partial.safetensors")), preempted)


def test_a_sweep_has_a_job_for_each_run_and_finds_what_a_run_without_slurm_finds(do, alone):
    code, _, err = do(*RUN, "-m", *SMALL, *LAUNCHER, "seed=1,2", "hydra.sweep.dir=swept")
    assert code == 0, err
    one, other = (record(do.folder / f"swept/{number}/result.json") for number in range(2))
    assert (one["matrix"], one["fingerprint"]) == (alone["matrix"], alone["fingerprint"])
    assert other["seed"] == 2 and other["fingerprint"] != one["fingerprint"]


@pytest.mark.parametrize("how", ["srun", "launcher"])
def test_two_nodes_find_what_one_process_finds(do, alone, how):
    both = (*SMALL, "lightning.nodes=2", "seed=1", f"paths.store_dir=store_{how}")
    if how == "srun":
        code, _, err = do("srun", "--nodes=2", "--ntasks=2", *RUN, *both, "hydra.run.dir=srun")
    else:
        code, _, err = do(*RUN, "-m", *both, *LAUNCHER, "hydra.sweep.dir=launcher", "hydra.sweep.subdir=.")
    assert code == 0, err
    together = record(do.folder / how / "result.json")
    assert together["devices"]["count"] == 2
    assert (together["matrix"], together["fingerprint"]) == (alone["matrix"], alone["fingerprint"])


def test_nodes_that_cannot_find_each_other_say_so(do):
    begin = time.monotonic()
    run = (*RUN, *SMALL, "lightning.nodes=2", "hydra.run.dir=lost")
    code, _, err = do("srun", "--partition=lost", "--nodes=2", "--ntasks-per-node=1", *run)
    assert code == 2 and time.monotonic() - begin < 120
    assert len(re.findall(r"^Error: node [01] \(.*nobody knows the name 'nowhere1'", err, flags=re.MULTILINE)) == 2, err
    assert "Traceback" not in err


def test_jobs_that_fail_are_listed_at_the_end_and_the_others_done(do):
    noise = np.random.default_rng(0)
    for name in ("dog", "cat", "horse", "car"):
        folder = do.folder / "images" / name
        folder.mkdir(parents=True)
        for number in range(5):
            Image.fromarray(noise.integers(0, 256, (16, 16, 3), np.uint8)).save(folder / f"{number}.png")
    sweep = ("scenario=folder", "backbone=tiny_clip", "scenario.tasks=2", *SMALL[2:], "dataset.root=/nowhere,images")
    code, _, err = do(*RUN, "-m", *sweep, *LAUNCHER, "hydra.sweep.dir=failed")
    assert code == 2 and "Traceback" not in err, err
    listed = err.partition("\n1 failed:\n")[2]
    assert "dataset.root=/nowhere" in listed and "dataset.root=images" not in listed, err
    assert [path.parent.name for path in do.folder.glob("failed/*/result.json")] == ["1"]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (("hydra.launcher.partition=nope",), "hydra.launcher.partition=nope"),
        (("lightning=auto",), "hydra.launcher.gpus_per_node=1"),
        (("+hydra.launcher.additional_parameters.begin=never",), "hydra.launcher.begin=never"),
    ],
)
def test_what_sbatch_refuses_is_one_message(do, asked, told):
    code, out, err = do(*RUN, "-m", *SMALL, *LAUNCHER, "seed=1", *asked)
    assert code == 2 and "Traceback" not in out + err, out + err
    (message,) = re.findall(r"^Error: SLURM refuses the jobs: (.*)$", err, flags=re.MULTILINE)
    words = [line for line in err.splitlines() if line.startswith("sbatch: ")]
    assert told in message and words[-1].rpartition(": ")[2] in message


def test_a_job_that_had_to_make_room_goes_on_where_it_was(preempted, do):
    _, err = preempted.communicate(timeout=PATIENCE)
    assert preempted.returncode == 0, err
    told = log(do.folder / "long")
    assert re.search(r"task 2: an earlier run was stopped after [1-9]\d* of \d+ steps: going on from there", told), told
    code, _, err = do(*RUN, *LONG, "hydra.run.dir=whole", "paths.store_dir=store_whole")
    assert code == 0, err
    expected, found = (record(do.folder / name / "result.json") for name in ("whole", "long/0"))
    assert found["matrix"] == expected["matrix"] and found["fingerprint"] == expected["fingerprint"]
    assert [task["reused"] for task in found["training"]] == [True, False]
    name = f"streams/{expected['fingerprint']}/task_001.safetensors"
    assert (do.folder / "store_long" / name).read_bytes() == (do.folder / "store_whole" / name).read_bytes()
