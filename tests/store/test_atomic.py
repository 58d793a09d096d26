import errno
import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError

from cl_bench.errors import UserError
from cl_bench.store import atomic

WRITERS = {
    "bytes": (atomic.write_bytes, b"content"),
    "text": (atomic.write_text, "content θ"),
    "json": (atomic.write_json, {"a": [1.5, None]}),
    "safetensors": (atomic.write_safetensors, {"w": torch.arange(6.0).view(2, 3).t()}),
}
every_writer = pytest.mark.parametrize(("write", "content"), WRITERS.values(), ids=WRITERS)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@every_writer
def test_writes_into_new_folders_and_leaves_nothing_else(write, content, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "deep" / "er" / "file"
    write(path, content)
    write(path, content)
    assert names(path.parent) == ["file"]


def test_contents_come_back(tmp_path: Path) -> None:
    path = tmp_path / "file"
    atomic.write_text(path, "θ\n")
    assert path.read_text(encoding="utf-8") == "θ\n"
    tensors = {
        "transposed": torch.arange(6.0).view(2, 3).t(),
        "half": torch.ones(2).bfloat16(),
        "n": torch.tensor(3),
    }
    atomic.write_safetensors(path, tensors)
    found = atomic.read_safetensors(path)
    assert found is not None and found.keys() == tensors.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())


def test_json_is_strict(tmp_path: Path) -> None:
    atomic.write_json(tmp_path / "file", {"a": [math.nan, math.inf, 1.0], "b": (1, 2)})

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    text = (tmp_path / "file").read_text(encoding="utf-8")
    assert json.loads(text, parse_constant=refuse) == {"a": [None, None, 1.0], "b": [1, 2]}
    with pytest.raises(ValueError, match=r"file\.a\[0\]"):
        atomic.write_json(tmp_path / "file", {"a": [torch.zeros(1)]})


@pytest.mark.parametrize("damage", ["missing", "short", "empty", "text"])
def test_damaged_layout_reads_as_none(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    if damage != "missing":
        atomic.write_safetensors(path, {"w": torch.ones(100)})
        content = {"short": path.read_bytes()[:-4], "empty": b"", "text": b"no tensors"}[damage]
        path.write_bytes(content)
    assert atomic.read_safetensors(path) is None


@every_writer
@pytest.mark.parametrize(
    "failure",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
    ],
    ids=["system", "safetensors"],
)
def test_full_disk_is_told_and_keeps_the_old_file(  # type: ignore[no-untyped-def]
    write, content, failure: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail(descriptor: int) -> None:
        raise failure

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(UserError, match="disk is full") as caught:
        write(path, content)
    assert str(path) in str(caught.value)
    assert names(tmp_path) == ["file"] and path.read_bytes() == b"old"


def test_other_failures_are_not_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="Input/output"):
        atomic.write_bytes(tmp_path / "file", b"new")
    assert names(tmp_path) == []


def test_really_full_disk() -> None:
    # The kernel's always-full device stands in for the temporary file.
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    with pytest.raises((OSError, SafetensorError)) as caught:
        Path("/dev/full").write_bytes(b"x" * 100_000)
    assert atomic._is_disk_full(caught.value)


WRITE_AND_HANG = """
import os, sys, time
from pathlib import Path
from cl_bench.store import atomic

def hang(descriptor):
    print("writing", flush=True)
    time.sleep(60)

os.fsync = hang
atomic.write_bytes(Path(sys.argv[1]), b"new" * 100_000)
"""


@pytest.mark.skipif(os.name != "posix", reason="kills a process")
def test_writer_killed_in_the_middle(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    command = [sys.executable, "-c", WRITE_AND_HANG, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None and writer.stdout.readline() == "writing\n"
        assert len(names(tmp_path)) == 2
        # The temporary file of a process that lives is left alone.
        atomic.write_bytes(tmp_path / "other", b"")
        assert len(names(tmp_path)) == 3
        writer.send_signal(signal.SIGKILL)
    assert path.read_bytes() == b"old"
    assert len(names(tmp_path)) == 3
    atomic.write_bytes(tmp_path / "other", b"")
    assert names(tmp_path) == ["file", "other"]


def test_files_that_only_look_temporary_stay(tmp_path: Path) -> None:
    for name in (".mine.tmp", "file.tmp", f".file.elsewhere-{2**22 - 3}-0123abcd.tmp"):
        (tmp_path / name).touch()
    before = names(tmp_path)
    atomic.write_bytes(tmp_path / "file", b"")
    assert names(tmp_path) == sorted([*before, "file"])
