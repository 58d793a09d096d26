"""What a job of a sweep leaves out, and what it tells when it fails."""

import math

import pytest
from hydra.errors import HydraException

from cl_bench import sweep
from cl_bench.errors import UserError
from cl_bench.store import write_result


@pytest.fixture(autouse=True)
def begun(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CL_BENCH_SWEEP", "")
    sweep.begin()


def configuration(**more):
    return {
        "seed": 5,
        "merger": {"scaling": [0.5, math.inf]},
        "lightning": {"precision": "32-true", "devices": 1, "limit_train_batches": None},
        "logger": {"save_dir": "a"},
        "paths": {"store_dir": "a"},
        "debug": False,
        **more,
    }


def test_a_result_of_the_same_configuration_is_found(tmp_path, caplog):
    write_result(tmp_path / "result.json", {"config": configuration(), "headline": 1})
    caplog.set_level("INFO")
    same = {"logger": {}, "paths": {}, "debug": True, "choices": {"x": "y"}}
    lightning = {"precision": "32-true", "devices": 2, "nodes": 4, "limit_train_batches": None}
    assert sweep.result(configuration(**same, lightning=lightning), tmp_path)["headline"] == 1
    assert "skipped" in caplog.text


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 6},
        {"merger": {"scaling": [0.5]}},
        {"more": None},
        {"lightning": {"precision": "bf16-mixed", "limit_train_batches": None}},
        {"lightning": {"precision": "32-true", "limit_train_batches": 3}},
    ],
)
def test_a_result_of_another_configuration_does_not_count(tmp_path, other):
    write_result(tmp_path / "result.json", {"config": configuration()})
    assert sweep.result(configuration(**other), tmp_path) is None


def test_no_result_a_damaged_one_and_one_of_another_version_do_not_count(tmp_path):
    assert sweep.result(configuration(), tmp_path) is None
    (tmp_path / "result.json").write_text('{"schema": 1, "config"')
    assert sweep.result(configuration(), tmp_path) is None
    (tmp_path / "result.json").write_text('{"schema": 0, "config": {}}')
    assert sweep.result(configuration(), tmp_path) is None


def test_failures_are_told_at_once_and_listed_in_the_order_of_jobs(tmp_path, capsys):
    errors = {10: RuntimeError("odd"), 2: UserError("mend this"), 3: HydraException("no such choice")}
    for number, error in errors.items():
        with sweep.job(number, [f"seed={number}", "merger=ties"], debug=False):
            raise error
    with sweep.job(4, ["seed=4"], debug=False):
        pass
    told = capsys.readouterr().err
    assert "Error: mend this\n" in told and told.count("Traceback") == 1 and "RuntimeError: odd" in told
    assert sweep.failures() == [
        sweep.Failure("seed=2 merger=ties", "mend this", mistake=True),
        sweep.Failure("seed=3 merger=ties", "no such choice", mistake=True),
        sweep.Failure("seed=10 merger=ties", "RuntimeError: odd", mistake=False),
    ]
    assert sweep.failures() == [] and not list(tmp_path.glob("multirun/.*"))


def test_with_debug_a_mistake_is_shown_with_its_traceback(capsys):
    with sweep.job(0, [], debug=True):
        raise UserError("mend this")
    assert "Traceback" in capsys.readouterr().err


def test_a_job_that_was_killed_is_listed():
    class Killed(BaseException):
        pass

    with pytest.raises(Killed), sweep.job(0, ["seed=1"], debug=False):
        raise Killed
    assert sweep.failures() == [sweep.Failure("seed=1", "its process was stopped", mistake=False)]


def test_a_launcher_that_is_not_installed_is_told_with_its_remedy():
    error = HydraException("Could not find 'hydra/launcher/joblib'\n\nConfig search path:\n\tmany folders")
    told = sweep.message(error)
    assert "pip install -e .[sweeps]" in told and "many folders" not in told
