"""The SHA-256 of files, of images and models: each is read once, and again only when somebody may have written to it.

One JSON file per folder keeps the hashes. A hash holds as long as the file's size, modification time (mtime),
change time of its entry (ctime) and inode stay the same. `cp -p` and rsync restore mtime, but not ctime.
"""

import contextlib
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeAlias

from cl_bench.runtime.cores import available_cores
from cl_bench.runtime.errors import UserError, attempt, complete, each
from cl_bench.store import atomic

_Problem: TypeAlias = Callable[[Path, str], UserError]
_State: TypeAlias = list[int]  # size in bytes, mtime and ctime in nanoseconds, inode

_FOLDER = "file_hashes"
_SCHEMA = 1
_SETTLED = 2_000_000_000  # ns after which another write gets another time, even from a coarse clock
_PIECE = 2**20  # bytes
_AT_ONCE = 64  # files per call of a thread: reading a small file takes less time than calling one


def hashes(root: Path, names: Sequence[str], kept_in: Path | None, error: _Problem) -> list[str]:
    """SHA-256 (hex) of each file's content.

    Args:
        root: The folder that the names are relative to.
        names: Paths of the files, with '/' between folders.
        kept_in: Folder that keeps hashes; None: all files are read. If it cannot be written or holds damaged files,
            that costs time and nothing else.
        error: Makes the exception from a path and what is wrong with it.

    Raises:
        UserError: From `error`: files are missing or cannot be read; names up to ten of them.
    """
    states = each(names, lambda name: _state(root, name, error))
    index = None if kept_in is None else _index(kept_in, root)
    kept = {} if index is None else _read_index(index)
    found = [_known(kept.get(name), state) for name, state in zip(names, states, strict=True)]
    known = {row: sha256 for row, sha256 in enumerate(found) if sha256 is not None}
    due = [row for row in range(len(names)) if row not in known]
    if not due:
        return [*known.values()]
    begin = time.time_ns()
    known |= zip(due, complete([*_read_all(root, [names[row] for row in due], error)]), strict=True)
    # The states were taken before reading: a write since then has changed the file's state.
    settled = [row for row in due if begin - max(states[row][1:3]) >= _SETTLED]
    kept |= {names[row]: [*states[row], known[row]] for row in settled}
    if index is not None and settled:
        _write_index(index, kept)
    return [known[row] for row in range(len(names))]


def sha256(path: Path) -> str:
    """SHA-256 (hex) of a file's content, read in pieces, since a model need not fit into memory.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb", buffering=0) as file:
        digest, piece = hashlib.sha256(), bytearray(min(os.fstat(file.fileno()).st_size + 1, _PIECE))
        while length := file.readinto(piece):
            digest.update(memoryview(piece)[:length])
    return digest.hexdigest()


def _state(root: Path, name: str, error: _Problem) -> _State:
    try:
        status = os.stat(f"{root}/{name}")
    except OSError as problem:
        raise error(root / name, f"is missing ({problem.strerror})") from problem
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def _known(entry: Any, state: _State) -> str | None:
    """The hash of an entry, if the file is still in the same state."""
    fits = isinstance(entry, list) and len(entry) == 5 and entry[:4] == state and isinstance(entry[4], str)
    return entry[4] if fits else None


def _read_all(root: Path, names: Sequence[str], error: _Problem) -> Iterator[str | UserError]:
    from rich.progress import track

    def read(some: Iterable[str]) -> list[str | UserError]:
        return [attempt(lambda name: _sha256(root / name, error), name) for name in some]

    parts = [names[first : first + _AT_ONCE] for first in range(0, len(names), _AT_ONCE)]
    with ThreadPoolExecutor(available_cores()) as pool:
        found = pool.map(read, parts)
        text = f"reading {root.name}"
        for some in track(found, text, total=len(parts), disable=not sys.stdout.isatty(), transient=True):
            yield from some


def _sha256(path: Path, error: _Problem) -> str:
    try:
        return sha256(path)
    except OSError as problem:
        raise error(path, f"cannot be read ({problem.strerror})") from problem


def _index(kept_in: Path, root: Path) -> Path:
    """The file that keeps the hashes of a folder; links to the folder lead to the same file."""
    place = os.path.realpath(root).encode(errors="surrogateescape")
    return kept_in / _FOLDER / f"{hashlib.sha256(place).hexdigest()[:16]}.json"


def _read_index(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
        return dict(content["files"]) if content["schema"] == _SCHEMA else {}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}


def _write_index(path: Path, kept: dict[str, Any]) -> None:
    """Of two processes that write at the same time, the last one wins; what it lacks is read again."""
    with contextlib.suppress(OSError, UserError):
        atomic.write_bytes(path, json.dumps({"schema": _SCHEMA, "files": kept}).encode())
