"""How much a folder's items hold on the disk, and when they were last used."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from cl_bench.runtime.errors import UserError


class Item(NamedTuple):
    """A file, or a folder with all that is in it.

    Attributes:
        path: Where it is.
        bytes: What it takes.
        changed: When something in it was last written, in seconds since 1970.
        used: When something in it was last written or read, as far as the file system notes that.
    """

    path: Path
    bytes: int
    changed: float
    used: float


def items(folder: Path) -> list[Item]:
    """What lies directly in a folder, by name; nothing where there is none. Links are not followed.

    Raises:
        UserError: The folder must not be read.
    """
    try:
        return [measured(path) for path in sorted(folder.iterdir())]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except PermissionError as error:
        raise UserError(f"{folder} cannot be read ({error.strerror}).") from error


def measured(path: Path) -> Item:
    """Measures a file or folder; files that disappear in the meantime do not count."""
    total, changed, used = 0, 0.0, 0.0
    for entry in (path, *_inside(path)):
        with suppress(FileNotFoundError):
            status = entry.lstat()
            total += status.st_size if not entry.is_dir() or entry.is_symlink() else 0
            changed = max(changed, status.st_mtime)
            used = max(used, status.st_mtime, status.st_atime if entry.is_file() else 0.0)
    return Item(path, total, changed, used)


def _inside(path: Path) -> Iterator[Path]:
    if not path.is_symlink():
        for folder, folders, files in os.walk(path):
            yield from (Path(folder, name) for name in (*folders, *files))
