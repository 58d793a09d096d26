"""Streams that refer to files of others instead of copying them."""

import pytest
import torch
from safetensors.torch import save_file

from cl_bench.runtime.errors import UserError
from cl_bench.store import Stream
from cl_bench.store.references import Reference, damage, look_at
from tests.helpers import experts

START = experts.pretrained()


@pytest.fixture
def expert(tmp_path):
    """A folder with an expert, and the reference to it."""
    folder = experts.write(tmp_path / "experts", "dtd") / "dtd"
    return folder, Reference(path=str(folder), files=look_at(folder, tmp_path / "store"), layout="of a test")


@pytest.fixture
def stream(tmp_path):
    warnings = []
    stream = Stream(tmp_path / "store" / "streams", {"a": 1}, warnings.append, START)
    stream.warnings = warnings
    return stream


def test_a_referred_task_is_read_from_where_it_is(stream, expert):
    stream.refer(0, expert[1], {"seconds": 0.0})
    weights, record = stream.read(0)
    assert record == {"seconds": 0.0} and list(weights) == list(START)
    assert all(torch.equal(weights[name], tensor) for name, tensor in experts.moved(0).items())
    assert not list(stream.path.glob("*.safetensors")) and stream.warnings == []


def test_stored_and_referred_tasks_stand_side_by_side(stream, expert):
    stream.write(1, START, {"a": 1})
    stream.refer(0, expert[1], {"b": 2})
    assert stream.read(0)[1] == {"b": 2} and stream.read(1)[1] == {"a": 1}
    stream.write(0, START, {"c": 3})
    assert stream.read(0)[1] == {"c": 3}


def test_a_file_that_has_changed_or_gone_is_noticed(stream, expert, tmp_path):
    folder, reference = expert
    stream.refer(0, reference, {})
    file = folder / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    assert damage(reference, tmp_path / "store") == f"{file} has changed since it was imported"
    assert stream.read(0) is None and "has changed since it was imported" in stream.warnings[0]
    file.unlink()
    assert stream.read(0) is None and "is missing" in stream.warnings[1]


def test_all_files_of_a_model_count(tmp_path):
    (tmp_path / "lora").mkdir()
    (tmp_path / "lora" / "adapter_config.json").write_text("{}")
    save_file({"a": torch.ones(1)}, tmp_path / "lora" / "adapter_model.safetensors")
    files = look_at(tmp_path / "lora", tmp_path / "store")
    assert sorted(file.path.rpartition("/")[2] for file in files) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]
    with pytest.raises(UserError, match="no model"):
        look_at(tmp_path / "gone", tmp_path / "store")
