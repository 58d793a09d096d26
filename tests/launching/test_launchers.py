"""Sweeps through the real command line: launchers, interruptions, failures, several nodes, Optuna."""

import json
import os
import re
import socket

import pytest
import yaml
from safetensors.torch import load_file

from tests.conftest import ROOT, SHORT

pytestmark = pytest.mark.slow

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
LAUNCHERS = {
    "basic": (),
    "joblib": ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2"),
    "submitit_local": ("hydra/launcher=submitit_local",),
}


def record(path):
    return json.loads(path.read_text())


def numbers(result):
    """All of a record but time, memory, and where things are."""
    told = {key: value for key, value in result.items() if key not in ("seconds", "peak_memory_mib", "config")}
    told["training"] = [task["steps"] for task in result["training"]]
    return told


@pytest.mark.parametrize(
    ("launcher", "mergers"),
    [("basic", "last,magmax"), ("joblib", "last,magmax"), ("submitit_local", "last")],  # the last starts all at once
)
def test_what_fails_is_listed_at_the_end_and_the_others_are_done_and_train_a_stream_once(
    run_py, tmp_path, launcher, mergers
):
    swept = run_py(
        "-m", *SHORT, *LAUNCHERS[launcher], "hydra.sweep.dir=swept", "evaluation=final",
        "trainer._target_=tests.helpers.broken.Broken,tests.helpers.broken.Mistaken,cl_bench.trainers.Sequential",
        f"merger={mergers}", env=ENVIRONMENT,
    )  # fmt: skip
    assert swept.returncode == 1, swept.stderr
    each = len(mergers.split(","))
    results = [tmp_path / f"swept/{i}/result.json" for i in range(3 * each)]
    assert [path.exists() for path in results] == [False] * 2 * each + [True] * each
    listed = swept.stderr[swept.stderr.index(f"\n{2 * each} failed:\n") :]
    mistake, fault = "mend this", "TypeError: 'str' object is not callable"
    assert listed.count(mistake) == listed.count(fault) == each
    assert (
        re.search(rf"Mistaken merger=last\n    .*{mistake}", listed) and f"Broken merger=last\n    {fault}\n" in listed
    )
    if launcher == "basic":  # elsewhere other processes show it
        assert (swept.stderr.count("Traceback"), swept.stderr.count(mistake)) == (each, 2 * each)
    assert not list(tmp_path.glob("multirun/.unfinished*"))
    table = swept.stdout[swept.stdout.rindex("\nAccuracy after the last task") :]
    rows = [line for line in table.splitlines() if line.startswith("│")]
    assert len(rows) == each and all(f"merger={name} " in table for name in mergers.split(",") if each > 1)
    assert "python -m cl_bench.reports table swept" in table

    done = [record(path) for path in results[2 * each :]]
    assert len({result["fingerprint"] for result in done}) == 1
    for same in zip(*(result["training"] for result in done), strict=True):
        assert sum(not task["reused"] for task in same) == 1


def test_a_sweep_with_a_choice_that_does_not_exist_does_not_begin(run_py, tmp_path):
    refused = run_py("-m", *SHORT, "merger=last,nope", "hydra.sweep.dir=swept")
    assert refused.returncode == 2 and "Traceback" not in refused.stderr
    assert "merger=nope: there is no such choice" in refused.stderr
    assert not list(tmp_path.glob("swept/*/"))


def test_a_sweep_that_was_killed_ends_with_the_same_records_and_skips_what_was_done(run_py, begin_run_py, tmp_path):
    sweep = (
        "-m",
        *SHORT,
        "merger=last,magmax",
        "seed=1,2",
        "hydra.sweep.subdir=${hydra:runtime.choices.merger}_${seed}",
    )
    whole = run_py(*sweep, "hydra.sweep.dir=whole", "paths.store_dir=store_whole")
    assert whole.returncode == 0, whole.stderr
    killed = (*sweep, "hydra.sweep.dir=killed", "paths.store_dir=store_killed")
    process = begin_run_py(*killed)
    process.kill_when(lambda printed: printed.count("\n1 of 2") == 2)
    assert [path.parent.name for path in tmp_path.glob("killed/*/result.json")] == ["last_1"]

    again = run_py(*killed)
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("skipped, ") == 1 and "skipped, its result is there: killed/last_1\n" in again.stdout
    names = [f"{merger}_{seed}/result.json" for merger in ("last", "magmax") for seed in (1, 2)]
    for name in names:
        assert numbers(record(tmp_path / "killed" / name)) == numbers(record(tmp_path / "whole" / name))

    other = run_py(*killed, "seed=1", "scenario.class_order=3")
    assert other.returncode == 0 and "skipped" not in other.stdout
    lost = [f"killed/{merger}_1/result.json was of another configuration" for merger in ("last", "magmax")]
    assert all(f"{line}, and is kept as result_1.json\n" in other.stdout for line in lost)
    kept, whole = (tmp_path / f"{folder}/last_1" for folder in ("killed", "whole"))
    assert numbers(record(kept / "result_1.json")) == numbers(record(whole / "result.json"))
    third = run_py(*killed, "seed=1", "scenario.class_order=3", "logger=tensorboard", "lightning.workers=0")
    assert third.stdout.count("skipped, ") == 2


def test_two_nodes_are_as_good_as_one_device(run_py, begin_run_py, tmp_path):
    options = (*SHORT, "optim.optimizer._target_=torch.optim.SGD", "optim.lr=0.01", "optim.batch_size=67")
    run = run_py(*options, "hydra.run.dir=one", "paths.store_dir=store_one")
    assert run.returncode == 0, run.stderr
    with socket.socket() as free:
        free.bind(("localhost", 0))
        meeting_point = f"localhost:{free.getsockname()[1]}"
    nodes = [
        begin_run_py(
            *options, "lightning.nodes=2", f"hydra.run.dir=node_{number}", "paths.store_dir=store_nodes",
            env={**ENVIRONMENT, "PET_NODE_RANK": str(number), "PET_RDZV_ENDPOINT": meeting_point},
        )
        for number in (1, 0)
    ]  # fmt: skip
    second, first = (node.completed() for node in nodes)
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert "written: node_0" in first.stdout and "written" not in second.stdout  # the first node tells and writes
    assert not (tmp_path / "node_1/result.json").exists()

    one, apart = (record(tmp_path / name / "result.json") for name in ("one", "node_0"))
    assert (one.pop("devices")["count"], apart.pop("devices")["count"]) == (1, 2)
    assert numbers(apart) == numbers(one)  # which is what two devices find: tests/launching/test_launch.py
    for task in range(2):
        file = f"streams/{one['fingerprint']}/task_00{task}.safetensors"
        alone, together = (load_file(tmp_path / f"store_{name}" / file) for name in ("one", "nodes"))
        distance = sum(float((alone[k] - together[k]).double().square().sum()) for k in alone) ** 0.5
        assert distance <= 1e-6 * sum(float(alone[k].double().square().sum()) for k in alone) ** 0.5


def test_a_node_without_the_others_is_told_how_to_start_them(run_py):
    nowhere = {name: value for name, value in ENVIRONMENT.items() if not name.startswith(("PET_", "SLURM_"))}
    alone = run_py(*SHORT, "lightning.nodes=2", env=nowhere)
    assert alone.returncode == 2 and "srun --nodes=2" in alone.stderr and "Traceback" not in alone.stderr


def test_nodes_that_cannot_find_each_other_say_so_on_each_of_them(begin_run_py):
    meeting_point = {"PET_RDZV_ENDPOINT": "nobody.invalid:29400"}
    nodes = [
        begin_run_py(
            *SHORT, "lightning.nodes=2", f"hydra.run.dir=node_{number}",
            env={**ENVIRONMENT, **meeting_point, "PET_NODE_RANK": str(number)},
        )
        for number in (0, 1)
    ]  # fmt: skip
    for number, node in enumerate(nodes):
        done = node.completed()
        assert done.returncode == 2 and done.stderr.startswith(f"Error: node {number} ("), done.stderr
        assert "nobody.invalid:29400, but nobody knows the name" in done.stderr and "Traceback" not in done.stderr


def test_optuna_sees_validation_images_only_and_goes_on_where_it_was(run_py, tmp_path):
    command = ("+sweep=optuna", *SHORT, "hydra.sweeper.n_trials=3", "hydra.sweep.dir=tuned")
    tuned = run_py(*command)
    assert tuned.returncode == 0, tuned.stderr
    results = [record(tmp_path / f"tuned/{i}/result.json") for i in range(3)]
    assert {result["split"] for result in results} == {"validation"} and len({r["fingerprint"] for r in results}) == 1
    found = yaml.safe_load((tmp_path / "tuned/optimization_results.yaml").read_text())
    best = max(results, key=lambda result: result["headline"]["value"])
    assert found["best_value"] == best["headline"]["value"]
    assert found["best_params"]["merger.scaling"] == best["config"]["merger"]["scaling"]
    again = run_py(*command)
    assert again.stdout.count("skipped, ") == 3
    for printed in (tuned.stdout, again.stdout):  # what was skipped is in the table, too
        table = printed[printed.rindex("\nAccuracy after the last task, in percent of the validation images") :]
        assert all(f"│ merger.scaling={r['config']['merger']['scaling']} " in table for r in results)
    assert yaml.safe_load((tmp_path / "tuned/optimization_results.yaml").read_text()) == found


def test_optuna_without_validation_images_is_refused_before_anything_is_trained(run_py, tmp_path):
    refused = run_py(
        "-m", *SHORT, "hydra/sweeper=optuna", "merger.scaling=interval(0.1,1.0)", "hydra.sweeper.n_trials=9"
    )
    assert refused.returncode == 2 and "Traceback" not in refused.stderr
    assert refused.stderr.strip().endswith("add evaluation.split=validation scenario.validation_share=0.2.")
    assert not (tmp_path / "store").exists()


def test_a_trial_that_fails_does_not_keep_optuna_from_the_others(run_py, tmp_path):
    tuned = run_py(
        "+sweep=optuna", *SHORT, "hydra.sweep.dir=tuned", "merger.scaling=choice(0.5,much)", "hydra.sweeper.n_trials=2",
        "hydra.sweeper.sampler.seed=0",
    )  # fmt: skip
    assert tuned.returncode == 2 and "1 failed:" in tuned.stderr and "merger.scaling='much'" in tuned.stderr
    assert not (tmp_path / "tuned/0/result.json").exists()  # this seed begins with the one that fails
    found = yaml.safe_load((tmp_path / "tuned/optimization_results.yaml").read_text())
    assert found["best_params"] == {"merger.scaling": 0.5}


def test_optuna_does_not_compare_a_task_aware_accuracy_with_task_agnostic_ones(run_py, tmp_path):
    command = (
        "-m", "+sweep=optuna", *SHORT, "hydra.sweep.dir=tuned", "merger.scaling=1", "hydra.sweeper.n_trials=2",
        "hydra.sweeper.sampler.seed=0", "merger=choice(average,emr)",
    )  # fmt: skip
    tuned = run_py(*command)
    assert tuned.returncode == 2 and "Traceback" not in tuned.stderr, tuned.stderr
    assert "1 failed:" in tuned.stderr and "merger=emr makes a model for each task" in tuned.stderr
    assert "it has no accuracy.task_agnostic" in tuned.stderr
    found = yaml.safe_load((tmp_path / "tuned/optimization_results.yaml").read_text())
    assert found["best_params"] == {"merger": "average"}
