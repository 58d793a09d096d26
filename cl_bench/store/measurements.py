"""Measurements that many runs share: each is a small JSON file, named by all that its result depends on."""

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from cl_bench.runtime.errors import UserError
from cl_bench.store import atomic
from cl_bench.store.fingerprint import fingerprint
from cl_bench.store.plain import to_plain


def read(folder: Path, of: Mapping[str, Any]) -> dict[str, Any] | None:
    """What was measured; None if nothing was, or the file is damaged.

    Args:
        folder: Of the measurements.
        of: Plain data with everything that the result depends on.
    """
    try:
        content = json.loads(_file(folder, of).read_bytes())
        return dict(content["found"]) if content["of"] == to_plain(of, "of", "refuse") else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def write(folder: Path, of: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Keep what was measured; where that is impossible, it will be measured again."""
    with contextlib.suppress(OSError, UserError):
        atomic.write_json(_file(folder, of), {"of": of, "found": found})


@contextlib.contextmanager
def alone(folder: Path, of: Mapping[str, Any], on_wait: Callable[[], None]) -> Iterator[None]:
    """Keeps other processes from measuring the same at the same time, where the folder can be written.

    Args:
        folder: See ``read``.
        of: See ``read``.
        on_wait: Called once if another process measures it.
    """
    lock = FileLock(_file(folder, of).with_suffix(".lock"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        on_wait()
        lock.acquire()
    except OSError:
        pass  # nothing can be written there, so two may measure the same
    try:
        yield
    finally:
        lock.release()


def _file(folder: Path, of: Mapping[str, Any]) -> Path:
    return folder / f"{fingerprint(of)}.json"
