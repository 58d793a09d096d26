"""What to do about files and folders of somebody else, or on a read-only disk."""

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cl_bench.runtime.errors import UserError, unwritable


@contextmanager
def explained(remedy: str) -> Iterator[None]:
    """Turns a refusal of the file system within the block into one message.

    Args:
        remedy: What the user can type instead, such as `paths.store_dir=…`.

    Raises:
        UserError: A file or folder belongs to somebody else, lies on a read-only or full disk, or is in the way.
    """
    try:
        yield
    except OSError as error:
        if (reason := unwritable(error, remedy)) is None:
            raise
        raise UserError(reason) from error


def check_writable(folder: Path) -> None:
    """Checks, before anything is computed, that files in a folder can be made and replaced.

    Raises:
        OSError: The folder's mode forbids it, or it is sticky and has files of somebody else.
    """
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
    status = folder.stat()
    if status.st_mode & stat.S_ISVTX and os.geteuid() not in (0, status.st_uid):
        for file in folder.iterdir():
            if file.lstat().st_uid != os.geteuid():
                raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), str(file))


def mode_of_new_file(folder: Path) -> int:
    """The mode that the umask or the folder's default access list gives; reading the umask would mean setting it."""
    probe = folder / f".{secrets.token_hex(4)}.probe"
    probe.touch(exist_ok=False)
    mode = stat.S_IMODE(probe.stat().st_mode)
    probe.unlink()
    return mode
