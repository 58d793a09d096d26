"""A run opened again: what it needs, and what it says where that is gone."""

import hashlib
import json
import shutil
import sys

import pytest

from cl_bench.analyses.__main__ import main
from cl_bench.analyses.opened_run import open_run
from cl_bench.analyses.source import describe
from cl_bench.runtime.errors import UserError
from cl_bench.store import write_result

pytestmark = pytest.mark.slow


@pytest.fixture
def copied(runs, tmp_path, monkeypatch):
    """A copy of all that the runs have left, to be spoiled."""
    shutil.copytree(runs, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return tmp_path / "copy"


def test_a_run_is_opened_with_its_weights(copied):
    run = open_run(copied / "runs/cmm/result.json")
    assert len(run.finetuned) == 2 and run.stream.fingerprint == run.record["fingerprint"]
    assert run.finetuned[0].keys() == run.parts.pretrained.keys()


def test_a_stream_that_is_gone_or_damaged_is_named(copied):
    path = copied / "runs/cmm/result.json"
    stream = copied / "store/streams" / json.loads(path.read_text())["fingerprint"]
    weights = stream / "task_001.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(UserError, match=r"task 2: .*task_001.safetensors has another SHA-256"):
        open_run(path)
    shutil.rmtree(stream)
    with pytest.raises(UserError, match=r"task 1: there is none in .*Start the analyses in the folder"):
        open_run(path)


def test_a_record_whose_configuration_makes_another_stream_is_refused(copied):
    path = copied / "runs/cmm/result.json"
    record = json.loads(path.read_text())
    record["config"]["optim"]["lr"] *= 2
    write_result(path, {key: value for key, value in record.items() if key != "schema"})
    with pytest.raises(UserError, match=f"of the stream {record['fingerprint']}, but its configuration makes"):
        open_run(path)


@pytest.fixture
def edited(copied):
    """The path of a run's record, once a setting of it, under its dotted name, is another."""

    def edited(place, value):
        shutil.rmtree(copied / "runs/sequential_magmax/analyses", ignore_errors=True)  # of other tests
        path = copied / "runs/sequential_magmax/result.json"
        record = json.loads(path.read_text())
        *above, last = place.split(".")
        node = record
        for name in above:
            node = node[name]
        node[last] = value
        path.write_text(json.dumps(record))
        return path

    return edited


@pytest.mark.parametrize("part", ["scenario", "merger", "backbone", "trainer", "optim.optimizer", "scenario.dataset"])
def test_a_record_that_somebody_else_sent_calls_nothing(part, edited, copied, capsys):
    edited(f"config.{part}", {"_target_": "os.mkdir", "path": "was-called"})
    assert main(["runs/sequential_magmax", "--only", "pruning"]) == 2
    told = capsys.readouterr().err
    assert f"sequential_magmax/result.json wants 'os.mkdir' called as its {part}" in told
    assert "--trust os.mkdir" in told and told.count("\n") == 1
    assert not (copied / "was-called").exists()


def test_a_class_of_the_users_own_is_trusted_by_name(edited, copied, monkeypatch, capsys):
    source = b"from cl_bench.mergers import MagMax\nclass Mine(MagMax): pass\n"
    (copied / "my_mergers.py").write_bytes(source)
    monkeypatch.syspath_prepend(copied)
    edited("config.merger._target_", "my_mergers.Mine")
    edited("code.outside", {"my_mergers.py": hashlib.sha256(source).hexdigest()})
    arguments = ["runs/sequential_magmax", "--only", "pruning"]
    assert main([*arguments, "--trust", "my_merger"]) == 2
    assert "my_mergers" not in sys.modules and "--trust my_mergers.Mine" in capsys.readouterr().err
    assert main([*arguments, "--trust", "elsewhere", "--trust", "my_mergers"]) == 0


@pytest.mark.parametrize(
    ("place", "value", "changed"),
    [("code.outside", {"mine.py": "0"}, "mine.py"), ("code.versions.merger", [["Merger", 0]], "Merger")],
)
def test_a_record_of_other_code_is_refused(edited, place, value, changed):
    """What the merger computes by now would be filed under the run of what it computed then."""
    with pytest.raises(UserError, match=rf"code has changed since this run \({changed}.*Run it anew"):
        open_run(edited(place, value))


def test_an_analysis_is_of_the_code_of_its_run(copied):
    record = json.loads((copied / "runs/cmm/result.json").read_text())
    assert describe(record) != describe({**record, "code": {**record["code"], "outside": {"mine.py": "0"}}})


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        ("config.paths.store_dir", "{outside}", "there is none in"),
        ("config.paths.prepared_dir", "{outside}", "mkdir -p"),
        ("config.paths", None, "paths.store_dir"),
        ("config.paths.store_dir", 5, "paths.store_dir"),
        ("fingerprint", "../../x", "no fingerprint"),
        ("config.scenario", ["text"], "config.scenario"),
        ("config.lightning", {}, "has no lightning"),
        ("config", {}, "config.trainer"),
    ],
)
def test_a_record_decides_nothing_about_other_folders(place, value, told, edited, copied, tmp_path, capsys):
    outside = tmp_path / "outside"
    edited(place, value.format(outside=outside) if isinstance(value, str) else value)
    assert main(["runs/sequential_magmax", "--only", "pruning"]) == 2
    error = capsys.readouterr().err
    assert told in error and "result.json" in error and error.count("\n") == 1
    assert not outside.exists()
