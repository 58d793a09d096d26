"""Every reader of a record in which the accuracy among all classes is left out."""

import json
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from cl_bench.reports.command_line import main
from cl_bench.reports.comparison import compared
from cl_bench.reports.figures import accuracy_over_scaling, accuracy_over_time
from cl_bench.reports.figures.heat_maps import heat_maps
from cl_bench.reports.figures.records import Records
from cl_bench.reports.page.entries import details, entry
from cl_bench.reports.page.html import html
from cl_bench.reports.page.overview import overview
from cl_bench.reports.records import read_all
from cl_bench.reports.runs import RecordedRun
from cl_bench.reports.summary import show
from cl_bench.reports.tables.papers import papers_table
from cl_bench.store import write_result

WHY = "data sets share words, and among all classes a tie would decide between 2 classes named 'digit 0'"
TASKS = 3


def aware(values):
    return {"task_agnostic": None, "task_aware": values}


def found(value):
    return {
        "accuracy": aware(value + 1),
        "accuracy_after_task": aware([12.5, 30.0, 40.0, value + 1]),
        "metrics": aware({"average_accuracy": value, "forgetting_max_minus_last": 7.5}),
        "matrix": aware(np.linspace(0, value, (TASKS + 1) * TASKS).reshape(TASKS + 1, TASKS).tolist()),
    }


def record(method="sequential_magmax", seed=5, value=60.0, grid=()):
    trainer, _, merger = method.partition("_")
    scalings = [{"scaling": at, "validation": None, "chosen": False, **found(value + at)} for at in grid]
    names = [f"set {i}" for i in range(TASKS)]
    config = {
        "method": method,
        "backbone": {"_target_": "cl_bench.backbones.TinyClip"},
        "optim": {"lr": 2e-4, "epochs": 1, "batch_size": 64, "optimizer": {"weight_decay": 0.1}},
        "lightning": {"precision": "32-true", "limit_train_batches": None},
        "trainer": {"_target_": trainer, "starts_from": "previous"},
        "merger": {"_target_": merger, "scaling": list(grid) or 0.5},
        "scenario": {
            "_target_": "cl_bench.scenarios.SeveralDatasets",
            "datasets": dict.fromkeys(names),
            "dataset_order": None,
        },
    }
    return {
        "choices": {"scenario": "mini_eight", "trainer": trainer, "merger": merger},
        "scenario": {"name": "mini_eight", "datasets": names, "kind": "dataset-incremental", "tasks": TASKS},
        "config": config,
        "fingerprint": f"{method} {seed}",
        "split": "test",
        "headline": {"name": "metrics.task_aware.average_accuracy", "value": value},
        **found(value),
        "left_out": {"task_agnostic": WHY},
        "scalings": scalings or None,
        "finetuned": found(value - 10),
        "tasks": [{"name": name, "classes": 10, "images": 100, "training_images": 400} for name in names],
        "datasets": [{"name": name, "split": "official", "sha256": "0" * 64, "images": "0" * 64} for name in names],
        "training": [{"seconds": 1.0, "peak_memory_mib": 900.0, "steps": 3, "reused": False}] * TASKS,
        "seconds": {"training": 3.0, "merging": 0.1, "evaluation": 0.2},
        "peak_memory_mib": {"training": 900.0, "merging": None, "evaluation": 800.0},
        "seed": seed,
        "devices": {"kind": "cpu", "count": 1},
        "versions": {"cl_bench": "0.1.0", "torch": "0"},
    }


@pytest.fixture
def runs(tmp_path):
    for seed in (1, 2):
        write_result(tmp_path / f"runs/{seed}/result.json", record(seed=seed, value=60.0 + seed))
    return tmp_path / "runs"


def test_the_terminal_has_numbers_of_the_kind_that_is_left_and_the_reason(capsys, tmp_path):
    show(record(grid=(0.2, 0.4)), tmp_path)
    printed = capsys.readouterr().out
    assert f"task-agnostic is left out: {WHY}" in printed
    (row,) = [line for line in printed.splitlines() if "λ = 0.4" in line]
    cells = [cell.strip() for cell in row.strip("│ ").split("│")]
    assert cells[1:] == ["", "61.40", "", "7.50"]


def test_heat_maps_have_one_panel(tmp_path):
    paths = heat_maps(record(), tmp_path)
    different = {"task_agnostic": [[1.0] * 3] * 4, "task_aware": [[2.0] * 3] * 4}
    both = heat_maps({**record(), "matrix": different}, tmp_path)
    assert len(paths) == len(both) == 2
    one, two = (matplotlib.image.imread(path).shape[1] for path in (paths[1], both[0]))
    assert one < 0.7 * two


def test_a_published_table_takes_the_headline_and_its_kind(runs):
    table, forgetting = papers_table("8ds_mini", read_all(runs))
    assert table.rows[0].cells["mean"].values == (61.0, 62.0) and forgetting.rows[0].cells["mean"].mean == 7.5


def test_runs_are_compared_by_the_headline(runs):
    (pair,), unpaired = compared(*(list(map(RecordedRun.of, read_all(runs))) for _ in range(2)))
    assert pair.a == pair.b == [61.0, 62.0] and not unpaired


def test_figures_show_the_kind_that_is_left():
    (over_time,) = accuracy_over_time.drawings(Records([record()], ()))
    assert "among the task's classes" in over_time.caption
    (over_scaling,) = accuracy_over_scaling.drawings(Records([record(grid=(0.2, 0.4, 0.6))], ()))
    line = over_scaling.figure.axes[0].lines[0].get_xydata()
    assert line.tolist() == pytest.approx(np.array([[0.2, 60.2], [0.4, 60.4], [0.6, 60.6]]))


def test_the_command_of_figures_takes_records_in_which_a_kind_is_left_out(runs, tmp_path, capsys):
    assert main(["figures", str(runs), str(tmp_path / "out")]) == 0, capsys.readouterr().err
    assert (tmp_path / "out/accuracy_over_time_mini_eight.svg").is_file()


def test_the_page_has_what_is_left_and_why_nothing_else_is():
    one = {**record(), "path": "multirun/a/0/result.json"}
    assert entry(one, Path("multirun"))["kind"] == "task_aware"
    said = details(one)
    assert [*said["matrix"]["merged"]] == [*said["matrix"]["finetuned"]] == [*said["metrics"]] == ["task_aware"]
    assert said["left_out"] == {"task_agnostic": WHY} and [*said["after"]] == ["task_aware"]
    assert json.dumps(WHY).replace("'", "\\u0027") in html([one], Path("multirun"), (), ())


def null_headline():
    """A merger that makes a model for each task, where the scenario's headline is among all classes."""
    reason = "merger=emr makes a model for each task"
    return {
        **record("sequential_emr"),
        "headline": {"name": "accuracy.task_agnostic", "value": None},
        "left_out": {"task_agnostic": reason},
        "per_task": {"chosen": [0.25, None, 0.5]},
    }


def test_a_headline_that_is_null_is_told_with_what_was_chosen_for_each_task(capsys, tmp_path):
    show(null_headline(), tmp_path)
    printed = capsys.readouterr().out
    assert "task-agnostic is left out: merger=emr makes a model for each task" in printed
    assert "chosen on validation images for each task: 0.25, none, 0.5" in printed and "61.00" in printed
    assert "average incremental, forgetting, backward transfer are of task-aware accuracy here" in printed


def test_where_the_headline_is_null_the_page_has_no_accuracy_and_says_why():
    one = {**null_headline(), "path": "multirun/a/0/result.json"}
    (made, said, of_all) = entry(one, Path("multirun")), details(one), overview([one, {**record(), "path": "b"}])
    assert made["accuracy"] is None and made["forgetting"] is None and made["kind"] == "task_aware"
    assert [*said["after"]] == ["task_aware"] and said["left_out"] == one["left_out"]
    assert of_all["no accuracy"] == "1 run without a task-agnostic accuracy (merger=emr makes a model for each task)."
    assert "learned on unlabelled test images" not in of_all


def test_figures_leave_runs_out_whose_headline_is_null_and_say_so(tmp_path, capsys):
    write_result(tmp_path / "runs/emr/result.json", null_headline())
    write_result(tmp_path / "runs/magmax/result.json", record())
    assert main(["figures", str(tmp_path / "runs"), str(tmp_path / "out")]) == 0
    assert "Left out: 1 run without a task-agnostic accuracy (merger=emr" in capsys.readouterr().out
    (shown,) = Records.below(tmp_path / "runs").results
    assert shown["choices"]["merger"] == "magmax"
