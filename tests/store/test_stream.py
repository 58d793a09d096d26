import json
import os
import pickle
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from torch import Tensor

from cl_bench.runtime.errors import UserError
from cl_bench.store import Stream, fingerprint

CONFIG = {"backbone": "tiny_clip", "seed": 5, "optim": {"lr": 1e-5}}
WEIGHTS = {"layer.weight": torch.arange(12.0).view(3, 4), "layer.bias": torch.ones(3).half()}
RECORD = {"seconds": 1.5, "steps": 10}


def same(one: dict[str, Tensor] | None, other: dict[str, Tensor]) -> bool:
    return one is not None and one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


class Warnings(list[str]):
    __call__ = list.append


@pytest.fixture
def warnings() -> Warnings:
    return Warnings()


@pytest.fixture
def stream(tmp_path: Path, warnings: Warnings) -> Stream:
    return Stream(tmp_path, CONFIG, warnings)


def test_nothing_is_there_before_something_is_written(stream: Stream, warnings: Warnings) -> None:
    assert stream.read(0) is None and stream.read_extra(0, "second_moments") is None
    assert not stream.path.exists() and not warnings


def test_weights_and_record_come_back(tmp_path: Path, stream: Stream, warnings: Warnings) -> None:
    stream.write(0, WEIGHTS, RECORD)
    stream.write(1, {"w": torch.zeros(2)}, {"seconds": float("nan")}, {"second_moments": {"w": torch.ones(2)}})
    again = Stream(tmp_path, CONFIG, warnings)
    first, second = again.read(0), again.read(1)
    assert first is not None and same(first[0], WEIGHTS) and first[1] == RECORD
    assert second is not None and same(second[0], {"w": torch.zeros(2)}) and second[1] == {"seconds": None}
    assert same(again.read_extra(1, "second_moments"), {"w": torch.ones(2)})
    assert again.read_extra(0, "second_moments") is None and again.read_extra(1, "fisher") is None
    assert again.read(2) is None and not warnings


@pytest.mark.parametrize("place", ["../elsewhere.safetensors", "/etc/passwd", "a\\b", ""])
def test_a_manifest_names_no_file_elsewhere(place: str, stream: Stream, warnings: Warnings) -> None:
    stream.write(0, WEIGHTS, RECORD)
    path = stream.path / "manifest.json"
    content = json.loads(path.read_text())
    content["tasks"]["0"]["file"] = place
    path.write_text(json.dumps(content))
    assert stream.read(0) is None
    assert len(warnings) == 1 and "manifest.json is damaged" in warnings[0]


def test_a_sticky_folder_with_files_of_others_is_refused_before_anything_is_computed(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream.write(0, WEIGHTS, RECORD)
    stream.path.chmod(0o1777)
    monkeypatch.setattr(os, "geteuid", lambda: stream.path.stat().st_uid + 1)
    with pytest.raises(UserError, match=r"Operation not permitted.*paths\.store_dir=…"), stream.lock(1):
        raise AssertionError("the lock was given")


def test_folder_says_what_is_in_it(tmp_path: Path, stream: Stream) -> None:
    stream.write(0, WEIGHTS, RECORD, {"second_moments": WEIGHTS})
    assert stream.path == tmp_path / fingerprint(CONFIG)
    assert json.loads((stream.path / "config.json").read_text()) == CONFIG
    manifest = json.loads((stream.path / "manifest.json").read_text())
    task = manifest["tasks"]["0"]
    assert manifest["schema"] == 1 and task["record"] == RECORD
    assert task["file"] == "task_000.safetensors"
    assert task["bytes"] == (stream.path / task["file"]).stat().st_size
    assert task["extra"]["second_moments"]["file"] == "task_000.second_moments.safetensors"


def test_more_can_be_stored_beside_a_task(tmp_path: Path, stream: Stream, warnings: Warnings) -> None:
    stream.write(0, WEIGHTS, RECORD, {"second_moments": WEIGHTS})
    before = (stream.path / "task_000.safetensors").stat().st_mtime_ns
    stream.add(0, {"seconds": 2.5}, {"refined": {"w": torch.ones(2)}})
    again = Stream(tmp_path, CONFIG, warnings)
    stored = again.read(0)
    assert stored is not None and same(stored[0], WEIGHTS) and stored[1] == {"seconds": 2.5}
    assert same(again.read_extra(0, "second_moments"), WEIGHTS)
    assert same(again.read_extra(0, "refined"), {"w": torch.ones(2)})
    assert (stream.path / "task_000.safetensors").stat().st_mtime_ns == before and not warnings


def test_other_configurations_have_other_folders(tmp_path: Path, stream: Stream) -> None:
    stream.write(0, WEIGHTS, RECORD)
    assert Stream(tmp_path, CONFIG | {"seed": 6}).read(0) is None


def test_writing_again_replaces(stream: Stream, warnings: Warnings) -> None:
    stream.write(0, WEIGHTS, RECORD, {"second_moments": WEIGHTS})
    read_before = stream.read(0)
    stream.write(0, {"w": torch.zeros(5)}, {"seconds": 2})
    found = stream.read(0)
    assert found is not None and same(found[0], {"w": torch.zeros(5)}) and found[1] == {"seconds": 2}
    assert stream.read_extra(0, "second_moments") is None and not warnings
    # What was mapped into memory before stays as it was.
    assert read_before is not None and same(read_before[0], WEIGHTS)


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


DAMAGE = {
    "bit": (flip_a_bit, "another SHA-256"),
    "short": (lambda path: os.truncate(path, path.stat().st_size - 1), "bytes instead of"),
    "empty": (lambda path: os.truncate(path, 0), "has 0 bytes"),
    "long": (lambda path: path.write_bytes(path.read_bytes() + b"x"), "bytes instead of"),
    "missing": (lambda path: path.unlink(), "is missing"),
    "pickle": (lambda path: path.write_bytes(pickle.dumps(WEIGHTS)), "bytes instead of"),
}


@pytest.mark.parametrize(("damage", "message"), DAMAGE.values(), ids=DAMAGE)
@pytest.mark.parametrize("extra", [False, True], ids=["weights", "extra"])
def test_damage_is_found_and_told(damage, message: str, extra: bool, stream: Stream, warnings: Warnings) -> None:  # type: ignore[no-untyped-def]
    for task in (0, 1):
        stream.write(task, WEIGHTS, RECORD, {"second_moments": WEIGHTS})
    path = stream.path / ("task_000.second_moments.safetensors" if extra else "task_000.safetensors")
    damage(path)
    found = stream.read_extra(0, "second_moments") if extra else stream.read(0)
    assert found is None
    assert len(warnings) == 1 and str(path) in warnings[0] and message in warnings[0]
    assert stream.read(1) is not None
    stream.write(0, WEIGHTS, RECORD, {"second_moments": WEIGHTS})
    assert stream.read(0) is not None and stream.read_extra(0, "second_moments") is not None
    assert len(warnings) == 1


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '{"schema": 2, "tasks": {}}', '{"schema": 1, "tasks": {"0": {"file": 3}}}', "\x80"],
    ids=["empty", "cut", "list", "schema", "entry", "text"],
)
def test_damaged_manifest_counts_as_empty(content: str, stream: Stream, warnings: Warnings) -> None:
    stream.write(0, WEIGHTS, RECORD)
    (stream.path / "manifest.json").write_bytes(content.encode("latin-1"))
    assert stream.read(0) is None
    assert len(warnings) == 1 and "manifest.json is damaged" in warnings[0]
    stream.write(1, WEIGHTS, RECORD)
    assert stream.read(1) is not None and stream.read(0) is None


def test_file_that_the_manifest_lacks_does_not_count(stream: Stream, warnings: Warnings) -> None:
    stream.write(0, WEIGHTS, RECORD)
    (stream.path / "task_001.safetensors").write_bytes((stream.path / "task_000.safetensors").read_bytes())
    assert stream.read(1) is None and not warnings


def test_record_must_be_plain(stream: Stream) -> None:
    with pytest.raises(ValueError, match=r"record\.loss is a Tensor"):
        stream.write(0, WEIGHTS, {"loss": torch.tensor(1.0)})
    assert not stream.path.exists()


CONTEND = """
import sys, time
from pathlib import Path
import torch
from cl_bench.store import Stream

stream = Stream(Path(sys.argv[1]), {"seed": 5})
with stream.lock(0, on_wait=lambda: print("waits", flush=True)):
    if stream.read(0) is None:
        print("works", flush=True)
        sys.stdin.readline()
        stream.write(0, {"w": torch.full((3,), 7.0)}, {"seconds": 1})
    print("has", stream.read(0)[0]["w"].tolist(), flush=True)
"""


def contender(folder: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", CONTEND, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_one_works_and_the_other_waits_and_reads(tmp_path: Path) -> None:
    with contender(tmp_path) as first:
        assert first.stdout is not None and first.stdout.readline() == "works\n"
        with contender(tmp_path) as second:
            assert second.stdout is not None and second.stdout.readline() == "waits\n"
            assert first.communicate("go on\n")[0] == "has [7.0, 7.0, 7.0]\n"
            assert second.communicate()[0] == "has [7.0, 7.0, 7.0]\n"


@pytest.mark.skipif(os.name != "posix", reason="kills a process")
def test_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    with contender(tmp_path) as worker:
        assert worker.stdout is not None and worker.stdout.readline() == "works\n"
        worker.send_signal(signal.SIGKILL)
    waited: list[None] = []
    with Stream(tmp_path, {"seed": 5}).lock(0, on_wait=lambda: waited.append(None)):
        assert not waited


def test_locks_of_tasks_are_independent_and_released_after_an_error(stream: Stream) -> None:
    def fail() -> None:
        raise AssertionError("waits")

    with stream.lock(0), stream.lock(1, on_wait=fail):
        pass
    with pytest.raises(RuntimeError), stream.lock(0):
        raise RuntimeError
    with stream.lock(0, on_wait=fail):
        pass


def test_writers_of_different_tasks_lose_none(tmp_path: Path) -> None:
    def write(task: int) -> None:
        Stream(tmp_path, CONFIG).write(task, {"w": torch.tensor(float(task))}, {"task": task})

    with ThreadPoolExecutor(4) as writers:
        list(writers.map(write, range(12)))
    found = [Stream(tmp_path, CONFIG).read(task) for task in range(12)]
    assert [task is not None and task[1]["task"] for task in found] == list(range(12))


def test_the_newest_stream_that_differs_in_one_key_alone_is_found(tmp_path: Path) -> None:
    made = {}
    for name, config in {
        "old": {"lr": 0.1, "code": {"a": 1}},
        "new": {"lr": 0.1, "code": {"a": 2}},
        "other": {"lr": 0.2, "code": {"a": 1}},
        "empty": {"lr": 0.1, "code": {"a": 4}},
    }.items():
        made[name] = Stream(tmp_path, config)
        if name != "empty":
            made[name].write(0, {"w": torch.ones(1)}, {})
    for seconds, name in enumerate(["new", "old"]):
        os.utime(made[name].path / "config.json", (seconds, seconds))
    (made["other"].path / "config.json").write_text("{")
    assert Stream(tmp_path, {"lr": 0.1, "code": {"a": 3}}).earlier("code") == (made["old"].path, {"a": 1})
    assert made["empty"].earlier("code") == (made["old"].path, {"a": 1})
    assert made["new"].earlier("code") is None  # which has what it needs
    assert Stream(tmp_path, {"lr": 0.3, "code": {}}).earlier("code") is None
