"""`cl-bench data usage` and `clean`, as a user types them."""

import fcntl
import json
import os
import shutil
import sys
import time
from functools import partial

import pytest

from cl_bench.datasets.__main__ import main
from cl_bench.store import atomic
from cl_bench.store.schema import SCHEMA

KEPT, UNUSED, OLD, BUSY = ("a" * 16, "b" * 16, "c" * 16, "d" * 16)
LONG_AGO = time.time() - 10 * 24 * 3600


@pytest.fixture
def typed(command, tmp_path):
    """Types a command in the test's folder; there is no terminal."""
    return partial(command, "-m", "cl_bench.datasets", cwd=tmp_path)


def stream(folder, name, schema=SCHEMA, age=LONG_AGO):
    path = folder / "streams" / name
    path.mkdir(parents=True)
    (path / "config.json").write_text(json.dumps({"schema": schema}))
    (path / "task_000.safetensors").write_bytes(bytes(1000))
    (path / "task_000.lock").touch()
    for file in (*path.iterdir(), path):
        os.utime(file, (age, age))
    return path


def result(folder, fingerprint, name="result.json"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps({"fingerprint": fingerprint}))


@pytest.fixture
def store(tmp_path):
    """A store, of which one stream is needed, one is not, one is of an earlier schema, and one has just been made."""
    for name in (KEPT, UNUSED):
        stream(tmp_path / "my store", name)
    stream(tmp_path / "my store", OLD, schema=SCHEMA - 1)
    stream(tmp_path / "my store", BUSY, age=time.time())
    result(tmp_path / "multirun/a [red]", KEPT)
    return tmp_path / "my store"


def names(store):
    return sorted(path.name for path in (store / "streams").iterdir())


CLEAN = ("clean", "--store-dir", "my store")


def test_without_a_terminal_it_lists_and_with_yes_it_removes_only_what_nobody_needs(typed, store, tmp_path):
    for _ in range(2):  # looking changes nothing
        listed = typed(*CLEAN)
        assert listed.returncode == 2 and "nothing was removed" in listed.stderr and "--yes" in listed.stderr
        assert f"my store/streams/{UNUSED}: " in listed.stdout and "no result refers to it" in listed.stdout
        assert f"my store/streams/{OLD}: " in listed.stdout and "of an earlier schema" in listed.stdout
        assert KEPT not in listed.stdout and f"changed within a day: my store/streams/{BUSY}" in listed.stdout
        assert names(store) == [KEPT, UNUSED, OLD, BUSY]
    done = typed(*CLEAN, "--yes")
    assert done.returncode == 0, done.stderr
    assert names(store) == [KEPT, BUSY] and len(list((store / "streams" / KEPT).iterdir())) == 3
    assert "2 removed" in done.stdout
    again = typed(*CLEAN)
    assert again.returncode == 0 and "Nothing to remove" in again.stdout


def test_a_stream_that_a_run_has_locked_is_left_alone(typed, store):
    with (store / "streams" / UNUSED / "task_000.lock").open("rb+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert typed(*CLEAN, "--yes").returncode == 0
        assert names(store) == [KEPT, UNUSED, BUSY]
    assert typed(*CLEAN, "--yes").returncode == 0
    assert names(store) == [KEPT, BUSY]


def test_every_result_counts_also_kept_ones_and_those_behind_links(typed, store, tmp_path):
    result(tmp_path / "far away", UNUSED, "result_1.json")
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs/linked").symlink_to(tmp_path / "far away")
    (tmp_path / "outputs/linked/round").symlink_to(tmp_path / "outputs")
    assert typed(*CLEAN, "--yes").returncode == 0
    assert names(store) == [KEPT, UNUSED, BUSY]


def test_nothing_is_removed_where_it_is_not_known_what_is_needed(typed, store, tmp_path):
    result(tmp_path / "outputs", KEPT)
    for content in ("{", "[]", '{"schema": 3}'):
        (tmp_path / "outputs/result.json").write_text(content)
        refused = typed(*CLEAN, "--yes")
        assert refused.returncode == 2 and "outputs/result.json cannot be read" in refused.stderr
    refused = typed(*CLEAN, "--yes", "--runs", "multirun", "ouputs")
    assert refused.returncode == 2 and "There is no folder ouputs" in refused.stderr
    assert names(store) == [KEPT, UNUSED, OLD, BUSY]
    (tmp_path / "empty").mkdir()
    done = typed(*CLEAN, "--yes", "--runs", "empty")
    assert done.returncode == 0 and "no result below empty" in done.stdout
    assert names(store) == [KEPT, UNUSED, BUSY]  # an earlier schema is never used again


def test_nothing_outside_is_touched_and_links_are_not_followed(typed, store, tmp_path):
    outside = stream(tmp_path / "outside", "e" * 16)
    (store / "streams" / ("e" * 16)).symlink_to(outside)
    (store / "streams/notes of mine").mkdir()
    assert typed(*CLEAN, "--yes").returncode == 0
    assert len(list(outside.iterdir())) == 3
    assert names(store) == [KEPT, BUSY, "e" * 16, "notes of mine"]

    shutil.rmtree(tmp_path / "my store")
    (tmp_path / "my store").mkdir()
    (tmp_path / "my store/streams").symlink_to(tmp_path / "outside/streams")
    assert typed(*CLEAN, "--yes").returncode == 0
    assert len(list(outside.iterdir())) == 3


def test_what_was_left_unfinished_goes_and_what_is_being_written_stays(typed, store, tmp_path):
    partial_file = store / "streams" / KEPT / "task_001.partial.safetensors"
    partial_file.write_bytes(b"1")
    os.utime(partial_file, (LONG_AGO, LONG_AGO))
    ended = store / "streams" / KEPT / f".a.{atomic._machine()}-{2**22 + 1}-00000000.tmp"
    running = store / "heads" / f".a.{atomic._machine()}-{os.getpid()}-00000000.tmp"
    prepared = tmp_path / "pixels of mine" / ("dtd-224-" + "f" * 16)
    for file in (ended, running, prepared / "pixels.bin"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"2")
    (tmp_path / "pixels of mine/other").mkdir()
    done = typed(*CLEAN, "--yes", "--prepared-dir", "pixels of mine")
    assert done.returncode == 0, done.stderr
    assert not partial_file.exists() and not ended.exists() and not prepared.exists()
    assert running.exists() and (tmp_path / "pixels of mine/other").exists()
    assert (store / "streams" / KEPT / "task_000.safetensors").exists()


@pytest.mark.parametrize(("answer", "left"), [("y", 2), ("yes", 2), ("", 4), ("n", 4), ("Yes please", 4)])
def test_in_a_terminal_it_asks(store, tmp_path, monkeypatch, answer, left):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda question: answer)
    assert main([*CLEAN]) == 0
    assert len(names(store)) == left


def test_an_interruption_leaves_whole_streams(store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def interrupted(path):
        (path / "config.json").unlink()
        raise KeyboardInterrupt

    monkeypatch.setattr(atomic.shutil, "rmtree", interrupted)
    assert main([*CLEAN, "--yes"]) == 130
    whole = [name for name in names(store) if not name.startswith(".")]
    assert len(whole) == 3 and all((store / "streams" / name / "config.json").exists() for name in whole)


def test_usage_adds_up(typed, store, tmp_path):
    (store / "heads").mkdir()
    (store / "heads/a.safetensors").write_bytes(bytes(500))
    (tmp_path / "data/prepared/dtd-224-x").mkdir(parents=True)
    (tmp_path / "data/prepared/dtd-224-x/pixels.bin").write_bytes(bytes(7000))
    shown = typed("usage", "--store-dir", "my store")
    assert shown.returncode == 0, shown.stderr
    lines = {line.split("  ")[0]: line for line in shown.stdout.splitlines()}
    each = 1000 + len(json.dumps({"schema": SCHEMA}))
    assert f"{each / 1000:.1f} kB" in lines[f"my store/streams/{KEPT}"]
    assert f"{4 * each / 1000:.1f} kB" in lines["my store/streams: 4"]
    assert "500 bytes" in lines["my store/heads: 1"] and "7.0 kB" in lines["data/prepared/dtd-224-x"]
    assert f"{(4 * each + 7500) / 1000:.1f} kB" in lines["all"]
    assert time.strftime("%Y-%m-%d", time.localtime(LONG_AGO)) in lines[f"my store/streams/{KEPT}"]
    assert typed("usage", "--store-dir", "nowhere").returncode == 0
