"""What is said of a store that an earlier version has filled: once, and how to get rid of it."""

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from cl_bench.store.schema import SCHEMA, open_store


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [message for message in caplog.messages if "earlier schema" in message]


def fill(store: Path, name: str) -> None:
    (store / "streams" / name).mkdir(parents=True)
    (store / "streams" / name / "manifest.json").touch()
    (store / "heads").mkdir(exist_ok=True)
    (store / "heads" / f"{name}.safetensors").touch()


def test_a_store_of_an_earlier_version_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    fill(tmp_path, "old")
    open_store(tmp_path)
    open_store(tmp_path)
    (line,) = messages(caplog)
    assert f"streams and heads in {tmp_path} are of an earlier schema" in line and "\n" not in line
    assert "not used again and may be deleted" in line


def test_the_command_that_is_told_deletes_what_is_old_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    store = tmp_path / "my store"
    fill(store, "old")
    for path in store.rglob("*"):
        os.utime(path, (1, 1))
    open_store(store)
    fill(store, "new")
    later = (store / f"schema_{SCHEMA}").stat().st_mtime + 1
    for path in store.rglob("*new*"):
        os.utime(path, (later, later))
    (line,) = messages(caplog)
    subprocess.run(shlex.split(line.partition("may be deleted: ")[2]), check=True)
    assert sorted(path.name for path in store.glob("*/*")) == ["new", "new.safetensors"]


def test_nothing_is_said_of_a_fresh_store(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    open_store(tmp_path)
    fill(tmp_path, "new")
    open_store(tmp_path)
    assert not messages(caplog)


def test_a_store_that_cannot_be_marked_is_told_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError

    caplog.set_level("INFO")
    fill(tmp_path, "old")
    monkeypatch.setattr(Path, "touch", refused)
    open_store(tmp_path)
    assert len(messages(caplog)) == 1 and messages(caplog)[0].endswith("may be deleted")
