"""Unpacks zip, tar, tar.gz and h5.gz so that nothing is half-written and nothing gets outside the folder.

First all members are checked, then all are written to a temporary folder, then they are moved into place. A tar.gz is
uncompressed twice for this, but damage is found before anything is written.
"""

import gzip
import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TypeAlias

from cl_bench.runtime.errors import UserError

Progress: TypeAlias = Callable[[int, int | None], None]
"""Called with the amount done and the total, which is None if unknown."""

_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".h5.gz")
_PIECE = 2**20
_DAMAGE = (
    *(zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError),
    RuntimeError,  # what zipfile raises for members that are encrypted, or compressed in a way it does not know
    *(FileExistsError, NotADirectoryError, IsADirectoryError),  # a member is a file and a folder
)


class BadFile(UserError):
    """A file is damaged or a wrong one; another copy of it may be right."""


def is_archive(name: str) -> bool:
    """Whether `unpack` can unpack files with such a name."""
    return name.endswith(_SUFFIXES)


def unpack(archive: Path, into: Path, progress: Progress = lambda done, total: None) -> list[str]:
    """Unpacks an archive into a folder that may already hold other things.

    Each new top-level entry takes its place in one rename. A folder that exists is kept: the archive's entries are
    added to it, one rename each, and replace files of the same name.

    Args:
        archive: A file that `is_archive`.
        into: The folder; made if there is none.
        progress: Called with the progress, in no particular unit.

    Returns:
        Names of the top-level entries.

    Raises:
        BadFile: The archive is damaged, or a member would leave the folder: an absolute path, `..`, a link that leads
            outside, a device. Nothing was unpacked.
        UserError: A file lies where the archive has a folder, or the other way round. Nothing was unpacked.
        OSError: It could not be written (the disk is full, for one). Nothing was unpacked.
    """
    write = _writer(archive.name)
    with _aside(archive, into) as folder:
        try:
            write(archive, folder, progress)
        except _DAMAGE as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise BadFile(f"{archive} is damaged, or no archive ({reason.rstrip(':')})") from error
        _check_place(archive, folder, into)
        entries = sorted(os.listdir(folder))
        _move(folder, into)
    return entries


@contextmanager
def _aside(archive: Path, into: Path) -> Iterator[Path]:
    """An empty folder on the file system of `into`; afterwards it is gone, and so is one that a kill left behind."""
    folder = into / f".{archive.name}.unpacking"
    is_new = not into.exists()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if is_new and not os.listdir(into):
            into.rmdir()


def _writer(name: str) -> Callable[[Path, Path, Progress], None]:
    if name.endswith(".zip"):
        return _write_zip
    return _write_gzip if name.endswith(".h5.gz") else _write_tar


def _write_gzip(path: Path, folder: Path, progress: Progress) -> None:
    """Writes the one file that `gzip` has compressed, under its name without `.gz`."""
    size = path.stat().st_size
    with path.open("rb") as file, gzip.open(file) as content, (folder / path.stem).open("wb") as out:
        while piece := content.read(_PIECE):
            out.write(piece)
            progress(file.tell(), size)


def _write_zip(path: Path, folder: Path, progress: Progress) -> None:
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        for member in members:
            if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _unsafe(path, member.filename, "is a link or a device")
            if member.header_offset < 0:  # which zipfile would seek
                raise zipfile.BadZipFile("a member lies before its begin")
            _check_name(path, member.filename, member.filename)
        for done, member in enumerate(members, start=1):
            archive.extract(member, folder)
            progress(done, len(members))


def _write_tar(path: Path, folder: Path, progress: Progress) -> None:
    size = path.stat().st_size
    with path.open("rb") as file, tarfile.open(fileobj=file) as archive:
        for member in archive:
            _check_tar_member(path, member)
            progress(file.tell(), 2 * size)
        _check_end(archive)
        members = archive.getmembers()
        _check_parents(path, members)
        for member in members:
            _write_tar_member(archive, member, folder)
            progress(size + file.tell(), 2 * size)


def _write_tar_member(archive: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    """Writes one member with the user's own rights and ownership, whatever the archive says."""
    if member.isdir():
        (folder / member.name).mkdir(parents=True, exist_ok=True)
    elif hasattr(tarfile, "data_filter"):
        archive.extract(member, folder, set_attrs=False, filter="data")
    else:  # Python 3.10.11 and before, 3.11.3 and before
        archive.extract(member, folder, set_attrs=False)


def _check_end(archive: tarfile.TarFile) -> None:
    """Checks that a tar archive ends with a block of zeros: `tarfile` also takes a damaged header for the end."""
    archive.fileobj.seek(archive.offset)
    if archive.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError("it breaks off")
    while archive.fileobj.read(_PIECE):  # gzip's checksum comes after the last byte
        pass


def _check_tar_member(path: Path, member: tarfile.TarInfo) -> None:
    _check_name(path, member.name, member.name)
    if member.isdev():
        raise _unsafe(path, member.name, "is a device")
    if member.islnk():
        _check_name(path, member.name, member.linkname)
    if member.issym():
        _check_link(path, member)


def _check_name(path: Path, member: str, name: str) -> None:
    """Checks that a name leads to a place below the folder, on any operating system."""
    name_anywhere = PureWindowsPath(name)  # knows both kinds of slashes, and drives
    if name_anywhere.anchor:
        raise _unsafe(path, member, "is an absolute path" if member == name else f"links to {name}")
    if ".." in name_anywhere.parts:
        raise _unsafe(path, member, "leads out of the folder" if member == name else f"links to {name}")


def _check_link(path: Path, member: tarfile.TarInfo) -> None:
    """Checks that a symbolic link goes up at first at most, not above the folder, and then only down."""
    target = PureWindowsPath(member.linkname)
    depth = len(PurePosixPath(member.name).parent.parts)
    up = next((i for i, part in enumerate(target.parts) if part != ".."), len(target.parts))
    if target.anchor or up > depth or ".." in target.parts[up:]:
        raise _unsafe(path, member.name, f"links to {member.linkname}")


def _check_parents(path: Path, members: Iterable[tarfile.TarInfo]) -> None:
    """Checks that nothing is written through a link, even if the file system ignores case."""
    links = {PurePosixPath(member.name.casefold()) for member in members if member.issym()}
    for member in members:
        if not links.isdisjoint(PurePosixPath(member.name.casefold()).parents):
            raise _unsafe(path, member.name, "lies below a link")


def _unsafe(path: Path, member: str, problem: str) -> BadFile:
    return BadFile(f"{path} is not safe to unpack: its member {member!r} {problem}")


def _check_place(archive: Path, folder: Path, into: Path) -> None:
    for entry, place in _pairs(folder, into):
        if _is_folder(entry) and place.is_dir():
            _check_place(archive, entry, place)
        elif place.exists() and (_is_folder(entry) or place.is_dir()):
            raise UserError(f"{place} is in the way: {archive.name} has {_kind(entry)} of that name. Move it away.")


def _move(folder: Path, into: Path) -> None:
    for entry, place in _pairs(folder, into):
        if _is_folder(entry) and place.is_dir():
            _move(entry, place)
        else:
            os.replace(entry, place)


def _pairs(folder: Path, into: Path) -> list[tuple[Path, Path]]:
    return [(entry, into / entry.name) for entry in sorted(folder.iterdir())]


def _is_folder(entry: Path) -> bool:
    return entry.is_dir() and not entry.is_symlink()


def _kind(entry: Path) -> str:
    return "a folder" if _is_folder(entry) else "a file"
