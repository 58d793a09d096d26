"""What the file system refuses, in one message."""

import errno
import os
from pathlib import Path

import pytest

from cl_bench.runtime.errors import UserError
from cl_bench.store import permissions


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS])
def test_what_is_not_ours_is_named_with_the_remedy(number: int) -> None:
    with pytest.raises(UserError) as caught, permissions.explained("paths.store_dir=…"):
        raise OSError(number, os.strerror(number), "a/temporary", None, "a/file")
    assert str(caught.value).startswith(f"a/file: {os.strerror(number)}. ")
    assert str(caught.value).endswith("paths.store_dir=…")


def test_other_failures_are_not_hidden() -> None:
    with pytest.raises(IsADirectoryError), permissions.explained("paths.store_dir=…"):
        raise IsADirectoryError(errno.EISDIR, "Is a directory", "a")


def test_a_folder_is_writable_or_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    permissions.check_writable(tmp_path)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(PermissionError, match=tmp_path.name):
        permissions.check_writable(tmp_path)
