"""What a job of a sweep leaves out, and what it tells when it fails."""

import math
import os
from types import SimpleNamespace

import pytest
from hydra.errors import HydraException

from cl_bench.experiment import parts
from cl_bench.launching import sweep
from cl_bench.runtime.errors import UserError
from cl_bench.store import fingerprint, write_result


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


NOW = {"data": "these images"}  # what the weights of the configuration are made from
CODE = {"versions": {"merger": [["Ties", 2], ["Merger", 1]]}, "outside": {"mine.py": "a"}}
RECORD = {"config": configuration(), "fingerprint": fingerprint(NOW), "code": CODE, "datasets": [{"sha256": "these"}]}


@pytest.fixture(autouse=True)
def built(monkeypatch):
    """The configurations that are built, to see what they are made from."""
    configurations = []

    def build_here(config):
        configurations.append(config)
        scenario = SimpleNamespace(datasets=[SimpleNamespace(identity="these")])
        return SimpleNamespace(training=NOW, code=CODE, scenario=scenario)

    monkeypatch.setattr(parts, "build_here", build_here)
    return configurations


def test_a_result_of_the_same_configuration_is_found(tmp_path, caplog):
    write_result(tmp_path / "result.json", {**RECORD, "headline": 1})
    caplog.set_level("INFO")
    same = {"logger": {}, "paths": {}, "debug": True, "choices": {"x": "y"}}
    lightning = {"precision": "32-true", "devices": 2, "nodes": 4, "limit_train_batches": None}
    assert sweep.result(configuration(**same, lightning=lightning), tmp_path)["headline"] == 1
    assert "skipped" in caplog.text


@pytest.mark.parametrize(
    ("before", "changed"),
    [
        ({"fingerprint": "f"}, "the backbone's weights or what cl_bench makes of the data have changed"),
        ({"fingerprint": "f", "datasets": [{"sha256": "those"}]}, "images have changed"),
        ({"code": {**CODE, "outside": {"mine.py": "b"}}}, "code has changed (mine.py)"),
        ({"code": {**CODE, "outside": {}}, "datasets": []}, "code has changed (mine.py) and images have changed"),
        (
            {"code": {**CODE, "versions": {"merger": [["Ties", 1], ["Merger", 1]]}}},
            "code has changed (Ties (version 1, now 2))",
        ),
    ],
)
def test_a_result_of_other_images_code_or_weights_does_not_count_and_that_is_said(tmp_path, caplog, before, changed):
    caplog.set_level("INFO")
    write_result(tmp_path / "job/result.json", {**RECORD, **before})
    assert sweep.result(configuration(), tmp_path / "job") is None
    assert caplog.messages == [f"done anew, since {changed}: job"]


def test_a_record_without_a_fingerprint_does_not_count(tmp_path):
    write_result(tmp_path / "result.json", {"config": configuration()})
    assert sweep.result(configuration(), tmp_path) is None


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
def test_a_result_of_another_configuration_does_not_count(tmp_path, other, built):
    write_result(tmp_path / "result.json", RECORD)
    assert sweep.result(configuration(**other), tmp_path) is None
    assert not built  # which takes longer than to compare


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


def test_results_are_found_in_the_order_of_jobs_each_once_and_with_their_file(tmp_path):
    caf = tmp_path / os.fsdecode(b"caf\xe9")
    for number, folder in {10: tmp_path / "b", 2: caf, 3: tmp_path / "without", 4: tmp_path / "b"}.items():
        with sweep.job(number, [f"seed={number}"], debug=False):
            sweep.note_result(number, folder)
        if folder.name != "without":
            write_result(folder / "result.json", {"seed": number})
    assert sweep.results() == [caf / "result.json", tmp_path / "b/result.json"]
    assert sweep.failures() == [] and sweep.results() == []


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
    assert "pip install 'cl_bench[sweeps]'" in told and "many folders" not in told
