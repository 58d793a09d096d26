"""A store that several people share: modes, and what lies there and is somebody else's."""

import os
import stat
from pathlib import Path

import pytest

from tests.conftest import ROOT, SHORT
from tests.helpers.releases import write_dtd

NOBODY = 65534


def modes(folder: Path, kind) -> set[str]:
    return {oct(stat.S_IMODE(path.stat().st_mode)) for path in folder.rglob("*") if kind(path)}


def give_away(folder: Path, files: int) -> None:
    """Lets somebody else own a folder in which we may only look; who is not root gives up the right to write."""
    for path in [folder, *folder.rglob("*")]:
        if os.geteuid() == 0:
            os.chown(path, NOBODY, NOBODY)
        path.chmod(0o555 if path.is_dir() else files)


def test_a_store_of_somebody_else_is_read_and_what_has_to_be_written_is_refused_first(run_py, tmp_path):
    run_py(*SHORT, umask=0o002).check_returncode()
    store = tmp_path / "store"
    assert modes(tmp_path, Path.is_file) == {"0o664"} and modes(tmp_path, Path.is_dir) == {"0o775"}
    assert {path.suffix for path in store.rglob("*") if path.is_file()} >= {".safetensors", ".json", ".lock"}

    give_away(store, files=0o444)
    before = sorted(store.rglob("*"))
    again = run_py(*SHORT, powerless=True)
    assert again.returncode == 0, again.stderr
    assert "2 of 2 tasks reused" in again.stdout

    other = run_py(*SHORT, "seed=6", powerless=True)
    assert other.returncode == 2 and "Traceback" not in other.stderr
    assert other.stderr.startswith("Error: store/streams/") and "Permission denied" in other.stderr
    assert other.stderr.endswith("paths.store_dir=…\n") and other.stderr.count("\n") == 1
    assert sorted(store.rglob("*")) == before

    give_away(store, files=0o000)
    unreadable = run_py(*SHORT, powerless=True)
    assert unreadable.returncode == 2
    assert unreadable.stderr.startswith("Error: store/heads/") and "paths.store_dir=…" in unreadable.stderr


def test_the_command_for_data_sets_prepares_into_a_folder_of_its_own_only(command, tmp_path):
    write_dtd(tmp_path)
    folder = tmp_path / "prepared"
    folder.mkdir()
    give_away(folder, files=0o444)
    asked = ("-m", "cl_bench.datasets", "prepare", "dtd", "--data-dir", str(tmp_path))
    done = command(*asked, cwd=ROOT, powerless=True)
    assert done.returncode and "Traceback" not in done.stderr
    assert str(folder) in done.stderr and "prepared" in done.stderr


def test_a_device_lock_folder_of_somebody_else_is_refused(tmp_path, monkeypatch):
    import torch

    from cl_bench.launching import gpu_claim
    from cl_bench.runtime.errors import UserError

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(os, "getuid", lambda: NOBODY - 1)
    with pytest.raises(UserError, match="TMPDIR=…"):
        gpu_claim.claim(tmp_path)


def test_an_mlflow_database_of_somebody_else_is_refused(tmp_path, monkeypatch):
    pytest.importorskip("mlflow")
    from cl_bench.loggers.mlflow import Mlflow
    from cl_bench.runtime.errors import UserError

    def refuse(*arguments, **options):
        raise PermissionError(13, "Permission denied", str(tmp_path / "mlflow.db"))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(UserError, match=r"mlflow\.db: Permission denied.*logger\.database=…"):
        Mlflow(tmp_path, tmp_path / "mlflow.db")
