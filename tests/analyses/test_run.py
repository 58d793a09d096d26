"""A run opened again: what it needs, and what it says where that is gone."""

import json
import shutil

import pytest

from cl_bench.analyses.run import open_run
from cl_bench.errors import UserError
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
