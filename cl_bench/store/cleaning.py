"""What nothing uses any more in a store: found by what is certain, and left alone where anything is not."""

import contextlib
import fcntl
import json
import os
import re
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from cl_bench.runtime.errors import UserError
from cl_bench.store import atomic
from cl_bench.store.schema import SCHEMA
from cl_bench.store.usage import Item, items, measured

RECENT = 24 * 3600
"""Seconds for which a stream is left alone after its last change: a run holds its lock only while it trains."""


class Unused(NamedTuple):
    """Something that can be removed, and why."""

    item: Item
    reason: str


def fingerprints(folders: Iterable[Path]) -> set[str] | None:
    """The streams that the results below some folders refer to; None where there is no result.

    Links to folders are followed here, so that no result is overlooked.

    Raises:
        UserError: A result cannot be read, so that it is not known which stream it needs.
    """
    found, any_there = set[str](), False
    for record in _records(folders):
        any_there = True
        try:
            found.add(str(json.loads(record.read_bytes())["fingerprint"]))
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise UserError(
                f"{record} cannot be read, so that it is not known which stream it needs. Remove it or do its run "
                "again, and then clean up."
            ) from error
    return found if any_there else None


def unused_streams(folder: Path, needed: set[str] | None) -> tuple[list[Unused], list[Path]]:
    """The streams of a folder that can be removed, and those that would be, but may be in use.

    Args:
        folder: The folder of all streams.
        needed: See `fingerprints`; None: whether a result needs a stream is not known, so that only the schema counts.
    """
    unused, busy = list[Unused](), list[Path]()
    for item in [] if folder.is_symlink() else items(folder):
        path = item.path
        if path.is_symlink() or not path.is_dir() or not re.fullmatch("[0-9a-f]{16,64}", path.name):
            continue
        reason = _reason(path, needed)
        if reason and (is_locked(path) or time.time() - item.changed < RECENT):
            busy.append(path)
        elif reason:
            unused.append(Unused(item, reason))
        else:
            partial = [measured(file) for file in sorted(path.glob("task_*.partial.safetensors"))]
            old = [one for one in partial if time.time() - one.changed >= RECENT]
            if old and not is_locked(path):
                unused += [Unused(one, "a task that was stopped within") for one in old]
    return unused, busy


def unfinished(folders: Iterable[Path]) -> list[Unused]:
    """Files and folders whose writers were killed, directly in some folders."""
    left = [path for folder in folders if not folder.is_symlink() for path in atomic.leftovers(folder)]
    return [Unused(measured(path), "its writer was stopped") for path in left]


def is_locked(stream: Path) -> bool:
    """Whether a run works on a stream, or nobody knows. Looking changes nothing, not even the time of a file."""
    for file in stream.glob("*.lock"):
        try:
            with file.open("rb") as opened:
                fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            continue
        except OSError:
            return True
    return False


def remove(unused: Iterable[Unused]) -> Iterator[tuple[Unused, str | None]]:
    """Removes one after another, and yields each with what went wrong, if anything did."""
    for one in unused:
        path = one.item.path
        try:
            if path.is_dir() and is_locked(path):
                yield one, "a run works on it"
                continue
            with contextlib.suppress(FileNotFoundError):
                atomic.remove(path)
        except OSError as error:
            yield one, error.strerror or str(error)
        else:
            yield one, None


def _reason(stream: Path, needed: set[str] | None) -> str | None:
    """Why a stream is of no use; None if it is, or nobody knows."""
    try:
        schema = json.loads((stream / "config.json").read_bytes())["schema"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        schema = None
    if isinstance(schema, int) and schema < SCHEMA:
        return "of an earlier schema"
    return "no result refers to it" if needed is not None and stream.name not in needed else None


def _refuse(error: OSError) -> None:
    """A folder that must not be read may hold results; one that is not there holds none."""
    if not isinstance(error, FileNotFoundError):
        raise UserError(
            f"{error.filename} cannot be read ({error.strerror}), so it is not known which streams are needed."
        )


def _records(folders: Iterable[Path]) -> Iterator[Path]:
    seen = set[str]()
    for folder in folders:
        for place, inside, files in os.walk(folder, onerror=_refuse, followlinks=True):
            if (real := os.path.realpath(place)) in seen:
                inside.clear()
                continue
            seen.add(real)
            yield from (Path(place, name) for name in files if re.fullmatch(r"result(_\d+)?\.json", name))
