import errno
import json
import math
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from cl_bench.runtime.errors import UserError
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
    with safe_open(path, "pt") as file:
        assert file.metadata() == {"format": "pt"}  # without which `transformers` reads none
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


@pytest.mark.parametrize(
    ("umask", "file", "folder"), [(0o022, 0o644, 0o755), (0o002, 0o664, 0o775), (0o077, 0o600, 0o700)]
)
def test_modes_are_as_the_umask_says(umask: int, file: int, folder: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        for name, (write, content) in WRITERS.items():
            write(tmp_path / "deep" / name, content)  # type: ignore[operator]
        with atomic.new_folder(tmp_path / "deep" / "folder") as inside:
            save_file({"w": torch.ones(1)}, inside / "tensors")
    finally:
        os.umask(before)
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*")} == {
        **dict.fromkeys([*WRITERS, "tensors"], file),
        **dict.fromkeys(["deep", "folder"], folder),
    }


def test_a_file_that_may_not_be_read_is_not_taken_for_one_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, mode: str) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    atomic.write_safetensors(tmp_path / "file", {"w": torch.ones(1)})
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(PermissionError):
        atomic.read_safetensors(tmp_path / "file")


def left_by(machine: str, folder: Path) -> Path:
    file = folder / f".file.{machine}-{2**22 - 3}-0123abcd.tmp"
    file.touch()
    return file


def test_only_this_machines_leftovers_go_at_once_and_others_after_a_week(tmp_path: Path) -> None:
    here, elsewhere, abandoned = (left_by(name, tmp_path) for name in (atomic._machine(), "elsewhere", "other"))
    os.utime(abandoned, (time.time() - 8 * 24 * 3600,) * 2)
    atomic.write_bytes(tmp_path / "file", b"")
    assert (here.exists(), elsewhere.exists(), abandoned.exists()) == (False, True, False)


def test_a_container_of_the_same_name_with_process_numbers_of_its_own_is_another_machine(tmp_path: Path) -> None:
    container = ["unshare", *([] if os.geteuid() == 0 else ["-U", "-r"]), "-p", "-f", "--mount-proc"]
    if shutil.which("unshare") is None or subprocess.run([*container, "true"], capture_output=True).returncode:
        pytest.skip("this machine makes no containers: unshare -p")
    command = [*container, sys.executable, "-c", WRITE_AND_HANG, str(tmp_path / "file")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as writer:
        assert writer.stdout is not None and writer.stdout.readline() == "writing\n"
        (temporary,) = names(tmp_path)
        number = int(temporary.rpartition("-")[0].rpartition("-")[2])
        assert number < 10  # one that is surely some other process's here, or nobody's
        for process in (number, 2**22 - 3):  # as if its number were nobody's here
            with_number = tmp_path / temporary.replace(f"-{number}-", f"-{process}-")
            with_number.touch()
        atomic.write_bytes(tmp_path / "other", b"")
        assert {temporary, with_number.name} <= set(names(tmp_path))
        os.killpg(writer.pid, signal.SIGKILL)


def test_files_that_only_look_temporary_stay(tmp_path: Path) -> None:
    for name in (".mine.tmp", "file.tmp", f".file.elsewhere-{2**22 - 3}-0123abcd.tmp"):
        (tmp_path / name).touch()
    before = names(tmp_path)
    atomic.write_bytes(tmp_path / "file", b"")
    assert names(tmp_path) == sorted([*before, "file"])


@pytest.mark.parametrize("when", ["written", "moved"])
def test_a_folder_that_cannot_be_replaced_stays(tmp_path, monkeypatch, when):
    (tmp_path / "there").mkdir()
    (tmp_path / "there/old").touch()
    replace = os.replace

    def refuse(source, target):
        if (source.parent / source.name / "new").exists():
            raise OSError("no")
        replace(source, target)

    with pytest.raises(OSError, match="no"), atomic.new_folder(tmp_path / "there", replace=True) as new:
        (new / "new").touch()
        if when == "written":
            raise OSError("no")
        monkeypatch.setattr(atomic.os, "replace", refuse)
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["old"]
    monkeypatch.undo()
    with atomic.new_folder(tmp_path / "there", replace=True) as new:
        (new / "new").touch()
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["new"]
