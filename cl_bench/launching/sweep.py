"""The jobs of a sweep: one that already has its result is skipped, and one that fails does not stop the others.

The launcher decides whether jobs run in this process, in others or on other machines. So they report through files.
Each job writes a note when it begins, adds the reason if it fails, and removes the note when it has succeeded. The
notes that are left at the end name the jobs that failed, including those whose process was killed. Another kind of note
says where a job's result lies.
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
"""Errors that the user can mend."""

FOLDERS = "hydra.run.dir=…, in a sweep hydra.sweep.dir=…, or paths.store_dir=…"
"""The settings that name the folders that a run writes to, for messages."""

_NOTES = "CL_BENCH_SWEEP"  # a variable with the folder of the notes, which all jobs of a sweep inherit
_MAIN = "CL_BENCH_SWEEP_PROCESS"  # a variable with the number of the main process, for joblib's workers


@dataclass(frozen=True)
class Failure:
    """A job that failed.

    Attributes:
        overrides: Its settings, as they were typed.
        reason: Why it failed, in one line or more.
        mistake: Whether the user can mend it.
    """

    overrides: str
    reason: str
    mistake: bool


def begin() -> None:
    """Chooses the folder for the notes of this sweep; to be called once, before any job."""
    os.environ[_MAIN] = str(os.getpid())
    os.environ[_NOTES] = str(Path.cwd() / "multirun" / f".unfinished-{os.getpid()}-{secrets.token_hex(4)}")


def note_worker() -> None:
    """Registers this process, which the main process has started on the same machine to do jobs."""
    folder = Path(os.environ[_NOTES])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{os.getpid()}.worker").touch()


def end_workers() -> None:
    """Stops the registered processes and waits for them; joblib would kill them in the middle of a step."""
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
        return (
            os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
        )  # joblib asks for the exit code, too
    except ChildProcessError:
        return False


def main_process() -> int:
    """The number of the process that started the sweep."""
    return int(os.environ[_MAIN])


def failures() -> list[Failure]:
    """The jobs that failed or were killed, in their order; removes their notes."""
    folder = Path(os.environ[_NOTES])
    notes = sorted(folder.glob("*.json"), key=lambda path: int(path.stem))
    found = [Failure(**json.loads(note.read_text(encoding="utf-8"))) for note in notes]
    shutil.rmtree(folder, ignore_errors=True)
    return found


def note_result(number: int, folder: Path) -> None:
    """Reports to the main process where the result of a job lies.

    Args:
        number: Of the job, within the sweep.
        folder: That of its `result.json`, which only the first of several nodes has.
    """
    from cl_bench.store import atomic

    atomic.write_bytes(Path(os.environ[_NOTES]) / f"{number}.done", os.fsencode(folder))


def results() -> list[Path]:
    """The results of this sweep in the order of its jobs, including skipped ones; to be called before `failures`."""
    notes = sorted(Path(os.environ[_NOTES]).glob("*.done"), key=lambda path: int(path.stem))
    found = [Path(os.fsdecode(note.read_bytes())) / "result.json" for note in notes]
    return [path for path in dict.fromkeys(found) if path.is_file()]


@contextlib.contextmanager
def job(number: int, overrides: Sequence[str], debug: bool) -> Iterator[None]:
    """Around one job: prints a failure at once, notes it for the end of the sweep, and lets the other jobs go on.

    Args:
        number: Of the job, within the sweep.
        overrides: The settings that distinguish it from the others.
        debug: Whether mistakes of the user's are shown with their traceback as well.
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
    """Reads the result in `folder`, if it is one of exactly this configuration; None if the job has to be done.

    Settings that shape no number do not count, see `what_counts`. Images, labels, the backbone's weights and other
    files count by their contents: the fingerprint of the result must be the one that the configuration has now. Code
    that the configuration names counts, too: the user's own by its source, the project's by its version.

    Raises:
        UserError: There is such a result, but what it was made from is missing or has become invalid.
    """
    from cl_bench.experiment.earlier_result import what_counts
    from cl_bench.experiment.merged_file import is_as_asked
    from cl_bench.store import fingerprint, read_result

    try:
        found = read_result(folder / "result.json")
    except UserError:  # missing, damaged, or of another version: the job is done again
        return None
    if what_counts(found["config"]) != what_counts(config):
        return None
    if not is_as_asked(found, config, folder):
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
