"""Each logger is told of a run once, along one axis of steps through all tasks; read back from what it wrote."""

import csv
import json
import sqlite3
import struct
import sys
import warnings

import pytest
import yaml
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from cl_bench.loggers import log_metrics, logged
from cl_bench.runtime.errors import UserError
from cl_bench.runtime.instantiate import instantiate
from tests.conftest import SHORT

# Steps of two tasks, of which every tenth is logged, and rows before, between and after them.
STEPS = 12
LONG_ENOUGH = (*SHORT, "optim.epochs=4")
ROWS = {0: 0, STEPS: 1, 2 * STEPS: 2}
MEASURED = "digits (class-incremental, 2 tasks)"
TRAINED = {10: 1.0, STEPS + 10: 2.0}  # step: number of the task


def _run(run_py, logger, *more):
    done = run_py(f"logger={logger}", "hydra.run.dir=run", *LONG_ENOUGH, *more)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""  # nothing of the logger's own
    lines = done.stdout.splitlines()
    assert lines[0].startswith("0 of 2") and lines[-1].startswith("written: ")
    return lines


def _check(logged_values, result):
    """`logged_values`: name → [(step, value)], as logged."""
    assert dict(logged_values["train/task"]) == TRAINED and len(logged_values["train/loss"]) == len(TRAINED)
    for kind, expected in result["accuracy_after_task"].items():
        assert [step for step, _ in logged_values[f"test/{kind}"]] == list(ROWS)
        assert [value for _, value in logged_values[f"test/{kind}"]] == pytest.approx(expected, rel=1e-5)


def _result(tmp_path):
    return json.loads((tmp_path / "run/result.json").read_text())


@pytest.mark.slow
def test_csv(run_py, tmp_path):
    _run(run_py, "csv")
    with (tmp_path / "run/log/metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    steps = [int(row["step"]) for row in rows]
    assert steps == sorted(steps)
    names = [name for name in rows[0] if name != "step"]
    _check({n: [(int(row["step"]), float(row[n])) for row in rows if row[n]] for n in names}, _result(tmp_path))
    settings = yaml.safe_load((tmp_path / "run/log/hparams.yaml").read_text())
    assert settings["optim"]["epochs"] == 4 and settings["choices"]["merger"] == "magmax"


@pytest.mark.slow
def test_tensorboard(run_py, tmp_path):
    _run(run_py, "tensorboard")
    assert len(list((tmp_path / "run").rglob("events.out.tfevents.*"))) == 1
    events = EventAccumulator(str(tmp_path / "run/log"))
    events.Reload()
    names = events.Tags()["scalars"]
    assert set(names) == {"train/loss", "train/lr", "train/task", "test/task_agnostic", "test/task_aware"}
    _check({name: [(event.step, event.value) for event in events.Scalars(name)] for name in names}, _result(tmp_path))
    assert yaml.safe_load((tmp_path / "run/log/hparams.yaml").read_text())["optim"]["epochs"] == 4


@pytest.mark.slow
def test_wandb_offline_has_one_run_for_each_run_of_a_sweep(run_py, tmp_path):
    pytest.importorskip("wandb")
    swept = run_py("-m", "logger=wandb", "merger=magmax,average", "hydra.sweep.dir=swept", *LONG_ENOUGH)
    assert swept.returncode == 0 and swept.stderr == "" and "wandb: " not in swept.stdout
    for job in ("0", "1"):
        (entry,) = (tmp_path / "swept" / job).rglob("*.wandb")
        values, settings, name, exits = _read_wandb(entry)
        assert name == f"{MEASURED}: swept/{job}" and settings["measured"] == MEASURED and exits == 1
        assert settings["optim"]["epochs"] == 4
        expected = json.loads((tmp_path / "swept" / job / "result.json").read_text())
        if job == "1":  # its stream was trained by the other
            values |= {"train/task": list(TRAINED.items()), "train/loss": [0.0, 0.0]}
        _check(values, expected)


def _read_wandb(path):
    """What is in a file of wandb's: values by name, the configuration, the run's name, and how often it ended."""
    from wandb.proto import wandb_internal_pb2

    values, settings, names, exits = {}, {}, set(), 0
    for data in _level_db_log(path.read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        exits += record.WhichOneof("record_type") == "exit"
        if record.WhichOneof("record_type") == "run":
            names.add(record.run.display_name)
            settings |= {item.key: json.loads(item.value_json) for item in record.run.config.update}
        for item in record.config.update:
            settings[item.key] = json.loads(item.value_json)
        row = {(i.key or "/".join(i.nested_key)): json.loads(i.value_json) for i in record.history.item}
        for name in row.keys() - {"trainer/global_step"}:
            values.setdefault(name, []).append((row.get("trainer/global_step"), row[name]))
    (name,) = names
    return values, settings, name, exits


def _level_db_log(content, block=2**15, header=7):
    """The records of a LevelDB log, which wandb's files are after seven bytes: whole (type 1) or in parts (2, 3, 4)."""
    at, parts = 7, b""
    while at + header <= len(content):
        if block - at % block < header:
            at += block - at % block
            continue
        length, kind = struct.unpack("<HB", content[at + 4 : at + header])
        parts += content[at + header : at + header + length]
        at += header + length
        if kind in (1, 4):
            yield parts
            parts = b""


@pytest.mark.slow
def test_mlflow_has_one_run_for_each_run_of_a_sweep_in_one_database(run_py, tmp_path):
    pytest.importorskip("mlflow")
    swept = run_py("-m", "logger=mlflow", "merger=magmax,average", "hydra.sweep.dir=swept", *LONG_ENOUGH)
    assert swept.returncode == 0 and swept.stderr == "" and "mlflow." not in swept.stdout
    assert not (tmp_path / "mlruns").exists()
    with sqlite3.connect(tmp_path / "store/mlflow.db") as database:
        runs = database.execute("SELECT run_uuid, name, status FROM runs ORDER BY start_time").fetchall()
        rows = database.execute(
            "SELECT key, step, value FROM metrics WHERE run_uuid = ? ORDER BY timestamp", runs[0][:1]
        )
        values, steps = {}, []
        for key, step, value in rows:
            values.setdefault(key, []).append((step, value))
            steps.append(step)
        settings = dict(database.execute("SELECT key, value FROM params WHERE run_uuid = ?", runs[0][:1]))
    names = [(f"{MEASURED}: swept/{job}", "FINISHED") for job in (0, 1)]
    assert [run[1:] for run in runs] == names and steps == sorted(steps)
    assert settings["optim/epochs"] == "4" and settings["choices/merger"] == "magmax"
    _check(values, json.loads((tmp_path / "swept/0/result.json").read_text()))


@pytest.mark.slow
def test_mlflow_can_be_begun_by_several_processes_at_once(commands, tmp_path):
    pytest.importorskip("mlflow")
    (tmp_path / "log.py").write_text(
        "from pathlib import Path; from cl_bench.loggers.mlflow import Mlflow;"
        "Mlflow(Path('run'), Path('store/mlflow.db')).log_metrics({'x': 1.0}, step=1)"
    )
    begun = [commands.begin(str(tmp_path / "log.py"), cwd=tmp_path) for _ in range(2)]
    assert [process.completed().returncode for process in begun] == [0, 0]
    with sqlite3.connect(tmp_path / "store/mlflow.db") as database:
        assert database.execute("SELECT count(*) FROM runs").fetchone() == (2,)


@pytest.mark.parametrize("package", ["wandb", "mlflow"])
def test_a_missing_package_is_named_with_its_remedy(package, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, package, None)
    more = {"database": str(tmp_path / "mlflow.db")} if package == "mlflow" else {}
    node = {"_target_": f"cl_bench.loggers.{package}.{package.title()}", "save_dir": str(tmp_path), **more}
    with pytest.raises(UserError, match=rf"logger={package} needs .*pip install 'cl_bench\[loggers\]'"):
        instantiate(node, "logger")


class _Told(CSVLogger):
    """Notes how it is closed."""

    status = None

    def finalize(self, status):
        super().finalize(status)
        self.status = status


def test_a_logger_is_told_the_settings_first_and_closed_however_the_run_ends(tmp_path):
    logger = _Told(tmp_path, name=None, version="log")
    with pytest.raises(KeyboardInterrupt), logged(logger, {"seed": 5}, "digits_5"):
        assert logger.experiment.hparams == {"seed": 5, "measured": "digits_5"}
        logger.log_metrics({"x": 1.0}, step=1)
        raise KeyboardInterrupt
    assert logger.status == "failed" and (tmp_path / "log/metrics.csv").is_file()
    with logged(logger, {}, "digits_5"):
        pass
    assert logger.status == "success"


@pytest.mark.parametrize("moment", ["settings", "rows"])
def test_a_logger_that_fails_is_one_message(tmp_path, moment):
    class Failing(CSVLogger):
        def log_hyperparams(self, params):
            assert moment != "settings", "the server is away"

        def log_metrics(self, metrics, step):
            raise ZeroDivisionError("the server is away")

    logger, refused = Failing(tmp_path), pytest.raises(UserError, match=r"Failing cannot log \(.*the server is away")
    with refused, logged(logger, {}, "digits_5"):
        log_metrics(logger, {}, 0)


@pytest.mark.parametrize("logger_class", [CSVLogger, TensorBoardLogger])
def test_what_a_killed_run_logged_in_the_same_folder_is_replaced(logger_class, tmp_path):
    folder = tmp_path / "log"
    folder.mkdir()
    for name in ("metrics.csv", "hparams.yaml", "events.out.tfevents.1.host.1.0"):
        (folder / name).write_text("old")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        logger = logger_class(tmp_path, name=None, version="log")
        with logged(logger, {"seed": 5}, "digits_5"):
            logger.log_metrics({"x": 1.0}, step=1)
    own = "metrics.csv" if logger_class is CSVLogger else "events.out.tfevents.*"
    assert {*folder.iterdir()} == {folder / "hparams.yaml", *folder.glob(own)} and len(list(folder.glob(own))) == 1
    assert all(file.read_bytes() != b"old" for file in folder.iterdir())
