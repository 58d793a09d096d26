"""Fetches the archives of a data set, checks them, and unpacks them where the data set is expected.

Until then they lie in `downloads/<name>/` below the folder of all data sets: parts of files, which the next call
continues, and complete files, which are removed once they are unpacked. A note `<file>.done` about each unpacked file
makes the next call skip it, as long as its contents are there.
"""

import errno
import glob
import hashlib
import json
import os
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from filelock import FileLock, Timeout
from rich import progress as bars
from rich.console import Console
from rich.filesize import decimal

from cl_bench.datasets.releases.release import Archive, Release
from cl_bench.datasets.releases.unpack import BadFile, Progress, is_archive, unpack
from cl_bench.runtime.commands import typed
from cl_bench.runtime.errors import UserError

_RETRIES = 3  # in a row without a new byte; as long as bytes arrive, it goes on
_TIMEOUT = (20.0, 60.0)  # seconds to connect, and between two bytes
_PIECE = 2**20
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
_WHOLE_FILE, _NO_SUCH_RANGE = 200, 416
_GOOGLE_DRIVE = ("drive.google.com", "docs.google.com")


class _NotFetched(Exception):
    """A mirror did not send the file."""


def state(release: Release, root: Path) -> Literal["no", "partly", "yes"]:
    """Whether the files seem to be there; opens and counts nothing.

    Args:
        release: The data set.
        root: The folder of all data sets.

    Returns:
        "yes" if all archives were unpacked, or if the folder was filled by other means; "partly" if a download was
        stopped; otherwise "no".
    """
    transit, folder = _transit(release, root), root / release.folder
    done = [_is_done(archive, transit, root) for archive in release.archives]
    if done and all(done):
        return "yes"
    if any(done) or (transit.is_dir() and any(path.suffix != ".done" for path in transit.iterdir())):
        return "partly"
    return "yes" if folder.is_dir() and any(folder.iterdir()) else "no"


def download(release: Release, root: Path) -> bool:
    """Fetches and unpacks what is missing; called again, it continues where it was stopped.

    Args:
        release: The data set.
        root: The folder of all data sets.

    Returns:
        Whether anything was missing.

    Raises:
        UserError: The user has to fetch it (says where), no mirror has the right file, or it could not be written.
    """
    folder, transit = root / release.folder, _transit(release, root)
    if release.by_hand or not release.archives:
        raise UserError(
            f"{release.title} has to be fetched by hand.\n{release.by_hand}\nIt belongs in {folder}. Then check it: "
            f"{typed('data')} verify {release.name} --data-dir {shlex.quote(str(root))}"
        )
    with _problems_explained(release, root), _lock(release, transit):
        missing = [archive for archive in release.archives if not _is_done(archive, transit, root)]
        for archive in missing:
            _bring(archive, transit, root)
    if missing:
        print(f"{release.name}: unpacked in {folder}; the archives were removed.")
    return bool(missing)


def _transit(release: Release, root: Path) -> Path:
    return root / "downloads" / release.name


@contextmanager
def _problems_explained(release: Release, root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        problem = str(error)
        if error.errno in _DISK_FULL:
            problem = f"the disk is full; there are {decimal(release.size)} to fetch, and about as much to unpack"
        raise UserError(
            f"{release.name} could not be written below {root}: {problem}.\n"
            "Run the same again when this is mended: what was finished before is kept."
        ) from error


@contextmanager
def _lock(release: Release, transit: Path) -> Iterator[None]:
    """Keeps other processes from fetching the same data set; waits while another one does."""
    transit.mkdir(parents=True, exist_ok=True)
    lock = FileLock(transit.with_suffix(".lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(f"{release.name}: another process is fetching it; waiting for that one.", flush=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _bring(archive: Archive, transit: Path, root: Path) -> None:
    """Fetches one archive from the first mirror that has the right file, and unpacks it."""
    path = transit / archive.file
    if path.exists():  # put there by the user, or by a call that was stopped before unpacking
        try:
            return _accept(archive, path, root)
        except BadFile as error:
            print(f"  {error}; fetching it anew", flush=True)
    failures = []
    for url in archive.urls:
        host = urlsplit(url).netloc
        print(f"  fetching {archive.file} from {host}", flush=True)
        try:
            return _bring_from(url, archive, path, root)
        except (BadFile, _NotFetched) as error:
            failures.append(f"  {host}: {error}")
            print(failures[-1], flush=True)
    raise UserError(
        "\n".join([f"{archive.file} could not be fetched:", *failures])
        + "\nRun the same again later: it goes on with what has arrived. Or get the file with a browser from "
        + f"{' or '.join(archive.urls)}, lay it into {transit}, and run the same again."
    )


def _bring_from(url: str, archive: Archive, path: Path, root: Path) -> None:
    continued = _arrived(path) > 0
    _fetch(url, path)
    try:
        _accept(archive, path, root)
    except BadFile as error:
        if not continued:
            raise
        # The part that was there may come from another mirror, or from another version of the file.
        print(f"  {error}; from the start", flush=True)
        _fetch(url, path)
        _accept(archive, path, root)


def _fetch(url: str, path: Path) -> None:
    """Fetches a file, continuing the part that is there; tries again as long as each attempt gets further."""
    import gdown
    from requests.exceptions import RequestException

    while not path.exists():
        before = _arrived(path)
        try:
            if (part := _part(path)) is not None and before and not _continues(url, before):
                part.unlink()
            with _bar(path.name, bars.DownloadColumn(), bars.TransferSpeedColumn()) as progress:
                gdown.download(
                    url,
                    str(path),
                    quiet=True,
                    resume=True,
                    retries=_RETRIES,
                    timeout=_TIMEOUT,
                    use_cookies=False,
                    progress=progress,
                )
        except (gdown.DownloadError, RequestException) as error:
            if _arrived(path) <= before:
                raise _NotFetched(" ".join(str(error).split())[:300]) from error


def _part(path: Path) -> Path | None:
    """The part of a file that has arrived, under its name from `gdown`."""
    return next(path.parent.glob(glob.escape(path.name) + "?" * 8 + ".part"), None)


def _arrived(path: Path) -> int:
    part = _part(path)
    return 0 if part is None else part.stat().st_size


def _continues(url: str, start: int) -> bool:
    """Whether a server can send the rest of a file; if it cannot, `gdown` would fail now and at every later call."""
    import requests

    if urlsplit(url).hostname in _GOOGLE_DRIVE:
        return True  # it can, but first answers with a page, which `gdown` handles
    with requests.get(url, headers={"Range": f"bytes={start}-"}, stream=True, timeout=_TIMEOUT) as answer:
        return answer.status_code not in (_WHOLE_FILE, _NO_SUCH_RANGE)


def _accept(archive: Archive, path: Path, root: Path) -> None:
    """Checks a file that has arrived, puts its content in place and writes the note; removes a wrong file."""
    try:
        _check(archive, path)
        with _bar(f"{path.name}: unpacking", bars.TaskProgressColumn()) as progress:
            entries = _put(archive, path, root / archive.into, progress)
    except BadFile:
        path.unlink()
        raise
    note = path.with_name(f"{path.name}.done")
    note.with_suffix(".new").write_text(json.dumps({"checksum": archive.checksum, "entries": entries}))
    os.replace(note.with_suffix(".new"), note)
    path.unlink(missing_ok=True)


def _check(archive: Archive, path: Path) -> None:
    kind = archive.checksum.partition(":")[0]
    if not kind:
        return
    digest, size = hashlib.new(kind, usedforsecurity=False), path.stat().st_size
    with path.open("rb") as file, _bar(f"{path.name}: checking", bars.TaskProgressColumn()) as progress:
        while piece := file.read(_PIECE):
            digest.update(piece)
            progress(file.tell(), size)
    if f"{kind}:{digest.hexdigest()}" != archive.checksum:
        raise BadFile(f"{path.name} has {kind}:{digest.hexdigest()} instead of {archive.checksum}")


def _put(archive: Archive, path: Path, into: Path, progress: Progress) -> list[str]:
    """Unpacks or moves the content of a file that has arrived; names what now lies in the folder."""
    if not archive.inside:
        lay = unpack if is_archive(path.name) else _lay
        return lay(path, into, progress)
    with tempfile.TemporaryDirectory(dir=path.parent) as outer:
        unpack(path, Path(outer), progress)
        inner = Path(outer) / archive.inside
        if not inner.is_file():
            raise BadFile(f"{path.name} has no {archive.inside}")
        return unpack(inner, into, progress)


def _lay(path: Path, into: Path, progress: Progress) -> list[str]:
    """Moves a file that is not an archive, perhaps to another disk, so that nobody ever sees half of it."""
    from cl_bench.store import permissions

    into.mkdir(parents=True, exist_ok=True)
    aside = into / f".{path.name}.moving"
    shutil.move(path, aside)
    aside.chmod(permissions.mode_of_new_file(into))  # it was fetched into a file that only the user can read
    os.replace(aside, into / path.name)
    return [path.name]


def _is_done(archive: Archive, transit: Path, root: Path) -> bool:
    try:
        content = json.loads((transit / f"{archive.file}.done").read_text())
    except (FileNotFoundError, ValueError):  # no note, or one that a power failure has damaged
        return False
    there = (os.path.lexists(root / archive.into / entry) for entry in content["entries"])
    return content["checksum"] == archive.checksum and all(there)


@contextmanager
def _bar(text: str, *columns: bars.ProgressColumn) -> Iterator[Progress]:
    """A progress bar, if standard error is a terminal."""
    console = Console(stderr=True)
    bar = bars.Progress(
        bars.TextColumn("  {task.description}"),
        bars.BarColumn(),
        *columns,
        bars.TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with bar:
        task = bar.add_task(text, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
