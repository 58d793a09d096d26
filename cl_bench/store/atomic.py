"""Writes files so that nobody ever sees half of one, whatever happens to the writer.

A file is written under a temporary name in the same folder, and takes its final name when it is complete and on the
disk. A writer that is killed leaves its temporary file behind; a later write in that folder removes it. Files get the
mode that the umask gives to new ones.
"""

import errno
import hashlib
import json
import os
import platform
import re
import secrets
import shutil
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from cl_bench.runtime.errors import UserError
from cl_bench.store import permissions
from cl_bench.store.plain import to_plain

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_TEMPORARY = re.compile(r"\..+\.(?P<machine>[^/]+)-(?P<process>\d+)-[0-9a-f]{8}\.tmp")
_ABANDONED = 7 * 24 * 3600  # seconds after which no process can still be writing


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically, making its folder where there is none.

    Raises:
        UserError: The disk is full.
    """
    with _replacing(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """Write text as UTF-8; otherwise like ``write_bytes``."""
    write_bytes(path, content.encode())


def write_json(path: Path, content: Any) -> None:
    """Write plain data as JSON, NaN and infinity as null; otherwise like ``write_bytes``.

    Raises:
        ValueError: ``content`` is not plain data; names the place.
    """
    plain = to_plain(content, path.name, nonfinite="null")
    write_text(path, json.dumps(plain, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def write_safetensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Write tensors, and texts by name that a reader of the file's header finds; otherwise like ``write_bytes``."""
    contiguous = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    with _replacing(path) as temporary:
        save_file(contiguous, temporary, {"format": "pt", **metadata})  # `transformers` refuses a file without a format


@contextmanager
def new_folder(path: Path, replace: bool = False) -> Iterator[Path]:
    """A temporary folder to write into, which becomes ``path`` at the end, or disappears if something fails.

    Args:
        path: The folder.
        replace: Whether a folder that is there is replaced; it is only touched when the new one is complete.

    Raises:
        UserError: The disk is full.
    """
    temporary, replaced = _temporary(path), _temporary(path)
    try:
        with _explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            _remove_leftovers(path.parent)
            temporary.mkdir()
            mode = permissions.mode_of_new_file(temporary)
            yield temporary
            for file in filter(Path.is_file, temporary.rglob("*")):
                file.chmod(mode)
                _flush(file)
            if replace and path.is_dir():
                os.replace(path, replaced)
            os.replace(temporary, path)
    finally:
        if replaced.exists() and not path.exists():
            os.replace(replaced, path)
        for folder in (temporary, replaced):
            shutil.rmtree(folder, ignore_errors=True)


def read_safetensors(path: Path) -> dict[str, Tensor] | None:
    """Tensors of a file, mapped into memory; None if it is missing or its layout is damaged.

    Values are not checked here; ``Stream.read`` does that.

    Raises:
        OSError: The file exists, but must not be read.
    """
    try:
        path.open("rb").close()  # safetensors reports a file without permission as missing
        return load_file(path)
    except (FileNotFoundError, SafetensorError):
        return None


def remove(path: Path) -> None:
    """Removes a file or folder, never half of it: what an interruption leaves has a temporary name."""
    gone = _temporary(path)
    os.replace(path, gone)
    if gone.is_dir() and not gone.is_symlink():
        shutil.rmtree(gone)
    else:
        gone.unlink()


def leftovers(folder: Path) -> list[Path]:
    """Temporary files and folders, directly in a folder, of processes that have ended."""
    found = []
    for file in sorted(folder.glob(".*.tmp")):
        match = _TEMPORARY.fullmatch(file.name)
        with suppress(OSError):
            if match and _is_left_over(file, match["machine"], int(match["process"])):
                found.append(file)
    return found


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A temporary name that becomes ``path`` at the end, or disappears if something fails."""
    temporary = _temporary(path)
    try:
        with _explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            _remove_leftovers(path.parent)
            temporary.touch(exist_ok=False)
            mode = stat.S_IMODE(temporary.stat().st_mode)
            yield temporary
            temporary.chmod(mode)  # safetensors replaces it by a file of mode 600
            _flush(temporary)
            os.replace(temporary, path)
    finally:
        with suppress(OSError):  # in a folder without write permission there is none
            temporary.unlink(missing_ok=True)


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{_machine()}-{os.getpid()}-{secrets.token_hex(4)}.tmp")


@cache
def _machine() -> str:
    """Identifies what process numbers refer to: containers with the same host name have numbers of their own.

    If two places have the same identity, they are the same, or the processes of one have all ended.
    """
    parts = [platform.node()]
    with suppress(OSError):  # only Linux has these
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text())
        parts.append(os.readlink("/proc/self/ns/pid"))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _flush(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turns a full disk into a message."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        if _is_disk_full(error):
            raise UserError(
                f"The disk is full, {path} could not be written. Free some space and run the same again: "
                "what was finished before is kept."
            ) from error
        raise


def _is_disk_full(error: OSError | SafetensorError) -> bool:
    if isinstance(error, OSError):
        return error.errno in _DISK_FULL
    # safetensors writes in Rust, and its error has the system's error number only as text.
    return any(f"os error {number})" in str(error) for number in _DISK_FULL)


def _remove_leftovers(folder: Path) -> None:
    """Remove temporary files and folders of processes that have ended; of processes elsewhere, those a week old.

    Errors are ignored: leftovers of others are no reason to fail.
    """
    for file in leftovers(folder):
        with suppress(OSError):
            if file.is_dir():
                shutil.rmtree(file, ignore_errors=True)
            else:
                file.unlink(missing_ok=True)


def _is_left_over(file: Path, machine: str, process: int) -> bool:
    if machine == _machine():
        return not _is_running(process)
    last = max(path.stat().st_mtime for path in (file, *file.rglob("*")))
    return time.time() - last > _ABANDONED


def _is_running(process: int) -> bool:
    if os.name != "posix":
        return True  # on Windows, signal 0 is Ctrl-C and not a question
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
