"""Jobs of a sweep: one whose result is there already is left out, and none is in the way of the others.

Jobs run in this process, in others or on other machines, whatever the launcher. So what became of them is told by
files: each job writes a note when it begins, which says why it failed as soon as it does, and takes it away when it
has done its work. The notes that are left at the end are what failed, also where a process was killed. Where the
results are is told in the same way.
"""

import contextlib
import json
import logging
import os
import secrets
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from cl_bench.launching.messages import message
from cl_bench.runtime import signals
from cl_bench.runtime.errors import UserError, unwritable

if TYPE_CHECKING:
    from cl_bench.experiment.parts import Parts

log = logging.getLogger(__name__)

MISTAKES = (UserError, HydraException, OmegaConfBaseException)
"""Errors that are for the user to mend."""

FOLDERS = "hydra.run.dir=…, in a sweep hydra.sweep.dir=…, or paths.store_dir=…"
"""What names the folders that a run writes to."""

_NOTES = "CL_BENCH_SWEEP"  # the folder of the notes; all jobs of a sweep inherit it
_MAIN = "CL_BENCH_SWEEP_PROCESS"  # its number, for joblib's workers


@dataclass(frozen=True)
class Failure:
    """A job that did not end well.

    Attributes:
        overrides: What it was told on the command line.
        reason: One line or more.
        mistake: Whether it is for the user to mend.
    """

    overrides: str
    reason: str
    mistake: bool


def begin() -> None:
    """To be called once, before any job: this sweep's jobs will leave their notes in a folder of their own."""
    os.environ[_MAIN] = str(os.getpid())
    os.environ[_NOTES] = str(Path.cwd() / "multirun" / f".unfinished-{os.getpid()}-{secrets.token_hex(4)}")


def note_worker() -> None:
    """To be called by each process that the main one has started for its jobs, on the same machine."""
    folder = Path(os.environ[_NOTES])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{os.getpid()}.worker").touch()


def end_workers() -> None:
    """Tells those processes to stop, and waits until they have: joblib would kill them, in the middle of a step."""
    workers = [int(note.stem) for note in Path(os.environ[_NOTES]).glob("*.worker")]
    if workers:
        signals.wait_for_group()
    for worker in workers:
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker, signal.SIGTERM)
    while any(map(_is_running, workers)):
        time.sleep(0.05)


def _is_running(child: int) -> bool:
    try:
        return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None  # joblib asks for its code, too
    except ChildProcessError:
        return False


def main_process() -> int:
    """The number of the process that has started the sweep."""
    return int(os.environ[_MAIN])


def failures() -> list[Failure]:
    """Jobs that failed or were killed, in their order; forgets them."""
    folder = Path(os.environ[_NOTES])
    notes = sorted(folder.glob("*.json"), key=lambda path: int(path.stem))
    found = [Failure(**json.loads(note.read_text(encoding="utf-8"))) for note in notes]
    shutil.rmtree(folder, ignore_errors=True)
    return found


def note_result(number: int, folder: Path) -> None:
    """Tells the process that has started the sweep where the result of a job is.

    Args:
        number: Of the job, within the sweep.
        folder: Of its `result.json`; a node that is not the first has none there.
    """
    from cl_bench.store import atomic

    atomic.write_bytes(Path(os.environ[_NOTES]) / f"{number}.done", os.fsencode(folder))


def results() -> list[Path]:
    """The results of this sweep in the order of its jobs, skipped ones included; to be called before `failures`."""
    notes = sorted(Path(os.environ[_NOTES]).glob("*.done"), key=lambda path: int(path.stem))
    found = [Path(os.fsdecode(note.read_bytes())) / "result.json" for note in notes]
    return [path for path in dict.fromkeys(found) if path.is_file()]


@contextlib.contextmanager
def job(number: int, overrides: Sequence[str], debug: bool) -> Iterator[None]:
    """Whatever fails within is told at once, noted for the end of the sweep, and goes no further.

    Args:
        number: Of the job, within the sweep.
        overrides: What distinguishes it from the others.
        debug: Whether mistakes of the user's, too, are shown with their traceback.
    """
    from cl_bench.store import atomic

    def note(reason: str, mistake: bool) -> None:
        atomic.write_json(path, asdict(Failure(" ".join(overrides), reason, mistake)))

    signals.tell(None, sweep=True)
    path = Path(os.environ[_NOTES]) / f"{number}.json"
    try:
        note("its process was stopped", mistake=False)
    except OSError as error:
        raise HydraException(unwritable(error, FOLDERS) or str(error)) from error
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError) and (reason := unwritable(error, FOLDERS)):
            error = UserError(reason)
        mistake = isinstance(error, MISTAKES)
        print(f"Error: {message(error)}" if mistake and not debug else traceback.format_exc(), file=sys.stderr)
        note(message(error) if mistake else f"{type(error).__name__}: {error}", mistake)
    else:
        path.unlink(missing_ok=True)


def result(config: Mapping[str, Any], folder: Path) -> dict[str, Any] | None:
    """The result that `folder` has of exactly this configuration; None if there is none, and the job has to be done.

    What shapes no number does not count: loggers, paths, `debug`, and of `lightning` all but precision and the limit
    of steps. Images, labels, weights of the backbone and whatever else lies in files count with their contents: the
    fingerprint of the result has to be the one that the configuration makes now. So does the
    code that the configuration names: the user's own by its source, the project's by its version.

    Raises:
        UserError: There is such a result, but what it was made from is no longer there or has become wrong.
    """
    from cl_bench.experiment.earlier_result import what_counts
    from cl_bench.store import fingerprint, read_result

    try:
        found = read_result(folder / "result.json")
    except UserError:  # none, or damaged, or of another version: all are run anew
        return None
    if what_counts(found["config"]) != what_counts(config):
        return None
    from cl_bench.experiment.parts import build_here

    parts = build_here(config)
    if found.get("fingerprint") != fingerprint(parts.training) or found.get("code") != parts.code:
        log.info("done anew, since %s: %s", _what_has_changed(found, parts), os.path.relpath(folder))
        return None
    log.info("skipped, its result is there: %s", os.path.relpath(folder))
    return found


def _what_has_changed(found: Mapping[str, Any], parts: "Parts") -> str:
    from cl_bench.runtime.source_code import changes

    changed = []
    if code := changes(found.get("code") or {}, parts.code):
        changed.append(f"code has changed ({', '.join(code)})")
    before = [data.get("sha256") for data in found.get("datasets", ())]
    if before != [data.identity for data in parts.scenario.datasets]:
        changed.append("images have changed")
    return " and ".join(changed) or "the backbone's weights or what cl_bench makes of the data have changed"
