"""The commands that write a table and compare runs, on a real sweep and on made-up records."""

import csv
import subprocess
import sys
from functools import partial

import pytest

from cl_bench.reports.command_line import main
from tests.conftest import ROOT, SHORT
from tests.reports.made_up import record, write


def reports(folder, *arguments):
    """In a process of its own, where sets have an order of their own."""
    return subprocess.run(
        [sys.executable, "-m", "cl_bench.reports", *map(str, arguments)],
        cwd=folder, capture_output=True, text=True, env={"PYTHONPATH": str(ROOT), "PATH": ""},
    )  # fmt: skip


@pytest.mark.slow
def test_the_same_records_give_the_same_bytes_and_more_folders_more_rows(tmp_path):
    write(tmp_path / "a", record("sequential_magmax", "cifar100_10", 5, 80.0))
    write(tmp_path / "b", record("cmm", "cifar100_10", 5, 81.0))
    for out, folders in (("one", ("a", "b")), ("two", ("b", "a"))):
        done = reports(tmp_path, "table", "cil", *folders, out)
        assert done.returncode == 0 and done.stderr == "" and f"{out}/cil.{{md,tex,csv}}" in done.stdout
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert names == [f"cil{name}.{ending}" for name in ("", "_forgetting") for ending in ("csv", "md", "tex")]
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert "| CMM | **81.00** |" in (tmp_path / "one/cil.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("cil", "empty", "out"), "There is no result.json below empty"),
        (("dil", "records", "out"), "Table dil is of DomainIncremental runs"),
        (("unknown", "records", "out"), "no folder unknown, and no table of that name; tables are cil, dil"),
        (("records", "out"), "To write files, type --out out."),
    ],
)
def test_mistakes_get_one_message(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "records", record("cmm", "cars_5", 5, 80.0))
    try:
        code = main(["table", *arguments])
    except SystemExit as exit:
        code = exit.code
    assert code == 2 and message in capsys.readouterr().err and not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_real_sweep_becomes_a_table_and_a_comparison(tmp_path, run_py, command):
    sweep = ("hydra.sweep.dir=multirun/table_cil_mini", "hydra.sweep.subdir=${merger.scaling}/seed_${seed}")
    done = run_py("-m", *SHORT, *sweep, "seed=1,2", "merger.scaling=0.5,0.9")
    assert done.returncode == 0, done.stderr
    folder = "multirun/table_cil_mini"
    reports = partial(command, "-m", "cl_bench.reports", cwd=tmp_path)
    done = reports("table", "cil_mini", f"{folder}/0.5", "out")
    assert done.returncode == 0, done.stderr
    (line,) = csv.DictReader((tmp_path / "out/cil_mini.csv").open())
    column = "digits (class-incremental, 2 tasks)"  # and not digits_5, which has five
    assert (line["row"], line["column"], line["n"], line["flags"]) == ("MagMax", column, "2", "")
    assert 20 < float(line["mean"]) < 90
    done = reports("compare", f"{folder}/0.5", f"{folder}/0.9")
    assert done.returncode == 0 and "MagMax" in done.stdout and "without" not in done.stdout
    done = reports("table", "cil_mini", folder, "out")
    assert done.returncode == 2 and "with different settings (merger.scaling 0.5 and 0.9): name a folder" in done.stderr
    done = reports("table", folder)
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout.count("│ merger.scaling=0.5 │") == done.stdout.count("│ merger.scaling=0.9 │") == 2  # forgetting


@pytest.mark.slow
def test_a_real_list_of_scalings_is_in_no_table_by_its_first_and_a_sweep_ends_with_each(tmp_path, run_py, command):
    done = run_py("-m", *SHORT, "merger.scaling=[0.1,0.4,1.0]", "merger=magmax,ties", "hydra.sweep.dir=swept")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("No λ was chosen, so figures and the papers' tables leave this run out") == 2
    table = done.stdout[done.stdout.rindex("\nAccuracy after the last task") :]
    for merger in ("magmax", "ties"):
        for scaling in (0.1, 0.4, 1.0):
            assert f"│ merger={merger} merger.scaling={scaling} " in table
    reports = partial(command, "-m", "cl_bench.reports", cwd=tmp_path)
    for arguments in (("table", "cil_mini", "swept", "out"), ("compare", "swept/0", "swept/1")):
        refused = reports(*arguments)
        assert refused.returncode == 2 and "2 runs with a list of λ of which none was chosen" in refused.stderr
        assert "merger.scaling=0.4" in refused.stderr and "scenario.validation_share=0.2" in refused.stderr


def test_metrics_that_an_older_record_lacks_are_computed_from_its_matrices(tmp_path, capsys):
    result = record("sequential_magmax", "cifar100_2", 5, 80.0)
    assert "plasticity" not in result["metrics"]["task_agnostic"]
    result["matrix"] = {"task_agnostic": [[10.0, 20.0], [90.0, 30.0], [70.0, 60.0]]}
    result["finetuned"] = {"matrix": {"task_agnostic": [[10.0, 20.0], [100.0, 30.0], [10.0, 80.0]]}}
    write(tmp_path / "runs", result)
    wanted = ("mtil_transfer", "plasticity", "normalized_accuracy", "accuracy")
    assert main(["table", str(tmp_path / "runs"), "--metrics", ",".join(wanted), "--out", str(tmp_path / "out")]) == 0
    told = capsys.readouterr().out
    for metric, value in zip(wanted, (30.0, 75.0, 100 * (0.7 + 0.75) / 2, 80.0), strict=True):
        table = tmp_path / "out" / ("sweep.csv" if metric == "accuracy" else f"sweep_{metric}.csv")
        assert [float(row["mean"]) for row in csv.DictReader(table.read_text().splitlines())] == pytest.approx([value])
    assert "as a share of that of each task's own fine-tuned weights, in percent" in " ".join(told.split())


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("transfer", "There is no metric 'transfer'. There are: accuracy, forgetting, average_accuracy,"),
        (",", "--metrics names no metric"),
        ("normalized_accuracy", "None of these runs has normalized_accuracy"),
    ],
)
def test_metrics_that_are_not_there_get_one_message(tmp_path, capsys, typed, message):
    write(tmp_path / "runs", record("sequential_magmax", "cifar100_2", 5, 80.0))
    assert main(["table", str(tmp_path / "runs"), "--metrics", typed]) == 2
    assert message in capsys.readouterr().err
