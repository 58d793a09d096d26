"""Lists the user's own class folders so that every file is either read or named in a message."""

import os
import re
from collections.abc import Callable, Collection
from pathlib import Path

from cl_bench.datasets.releases.listing import SUFFIXES, Listing, images, list_images, subfolders
from cl_bench.runtime.errors import shortened

_RUBBISH = re.compile(r"\.DS_Store|Thumbs\.db|\._.*|desktop\.ini|\.ipynb_checkpoints|\.git(keep|ignore)", re.IGNORECASE)
"""What operating systems and tools leave behind, and nobody needs."""

_NESTED = "images"  # tiny-imagenet has CLASS/images/… and CLASS/CLASS_boxes.txt


def list_all_images(root: Path, error: Callable[[str], Exception], parts: Collection[str]) -> Listing:
    """As `list_images`, but refuses a class folder in which anything would be left out.

    The images of a class lie in its folder, or in a folder `images` there, as in tiny-imagenet.

    Raises:
        Exception: From `error`: also for files that are not images, broken links, and folders below a class.
    """
    lost: list[str] = []

    def inside(folder: Path) -> list[str]:
        found, others = _contents(folder)
        lost.extend(str((folder / other).relative_to(root)) + reason for other, reason in others)
        return found

    listing = list_images(root, error, list(parts), inside)
    if lost:
        raise error(f"{len(lost)} {_things(lost)} would not be read: {shortened(lost)}. Convert, move or remove them")
    return listing


def beside(folder: Path, read: Collection[str]) -> list[str]:
    """Sorted names of what is in a folder but not in `read`; those of folders end with a slash."""
    with os.scandir(folder) as entries:
        return sorted(
            entry.name + "/" * os.path.isdir(entry.path)
            for entry in entries
            if entry.name not in read and not _RUBBISH.fullmatch(entry.name)
        )


def _things(lost: list[str]) -> str:
    return "entry of a class folder" if len(lost) == 1 else "entries of class folders"


def _contents(folder: Path) -> tuple[list[str], list[tuple[str, str]]]:
    """The images of a class, and the other entries of its folder, each with the reason why it is not read."""
    found = images(folder)
    read = set(found)
    if not found and subfolders(folder) == [_NESTED]:
        nested = images(folder / _NESTED)
        found = [f"{_NESTED}/{name}" for name in nested]
        read = {_NESTED, f"{folder.name}_boxes.txt"}
        others = [f"{_NESTED}/{name}" for name in beside(folder / _NESTED, nested)]
    else:
        others = []
    others += [name for name in beside(folder, read) if not _is_empty(folder / name)]
    return found, [(name, _reason(folder / name)) for name in others]


def _is_empty(path: Path) -> bool:
    return path.is_dir() and not beside(path, ())


def _reason(path: Path) -> str:
    if path.is_dir():
        return "/ (a folder below a class)"
    if path.is_symlink() and not path.exists():
        return " (a link to nothing)"
    if not path.is_file():
        return " (no file)"
    hidden = path.name.startswith(".") and path.name.lower().endswith(SUFFIXES)
    return " (hidden)" if hidden else ""
