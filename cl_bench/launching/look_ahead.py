"""Checks all jobs of a sweep before the first one starts, so that none fails hours later for a reason known now.

It checks the settings and whether they fit together, and reads each data set and backbone once. Data or weights that
are not on this machine are no mistake: jobs may run on other machines, and a job that fails does not stop the others.
An unexpected error is no mistake either: the job's own run shows it with its traceback.
"""

import contextlib
import gc
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from cl_bench.experiment.check import check as check_parts
from cl_bench.launching.launch import check_cores
from cl_bench.launching.messages import message
from cl_bench.launching.sweep import MISTAKES
from cl_bench.runtime.errors import Missing, UserError
from cl_bench.runtime.memo import Memo

Job: TypeAlias = Any
"""What `compose` identifies a job by."""


@dataclass(frozen=True)
class Findings:
    """Jobs, each with what is wrong with it.

    Attributes:
        mistakes: To be mended before anything starts.
        absent: Data or weights that are not on this machine.
    """

    mistakes: list[tuple[Job, str]] = field(default_factory=list)
    absent: list[tuple[Job, str]] = field(default_factory=list)


def check(
    jobs: Sequence[Job],
    compose: Callable[[int, Job], tuple[Mapping[str, Any], Path]],
    here: bool = True,
    at_a_time: int = 1,
) -> Findings:
    """Checks all jobs.

    Args:
        jobs: The jobs.
        compose: Takes a job's number and the job; returns the resolved configuration, as plain data, and the folder.
        here: Whether the jobs run on this machine, so that its devices limit them.
        at_a_time: How many of them run at the same time.
    """
    found, known, folders = Findings(), Memo(), dict[Path, tuple[Job, Any]]()
    with _silence():
        for number, job in enumerate(jobs):
            try:
                config, folder = compose(number, job)
                other, same = folders.setdefault(folder, (job, config))
                if same != config:
                    raise UserError(_same_folder(folder, other))
                devices = check_parts(config, known)
                if here:
                    check_cores(devices, at_a_time)
            except Missing as error:
                found.absent.append((job, str(error)))
            except MISTAKES as error:
                found.mistakes.append((job, message(error)))
            except Exception:  # unexpected: the job's own run shows its traceback
                continue
    del known
    gc.collect()  # models refer to themselves in circles
    return found


def report(findings: Sequence[tuple[Sequence[str], str]], jobs: int, what: str) -> str:
    """The text about jobs: each reason once, followed by the jobs that it concerns.

    Args:
        findings: Jobs, by their overrides, each with a reason.
        jobs: How many jobs the sweep has.
        what: What becomes of the jobs.
    """
    by_reason: dict[str, list[str]] = {}
    for overrides, reason in findings:
        by_reason.setdefault(reason, []).append(" ".join(overrides))
    lines = [f"{len(findings)} of {jobs} jobs {what}"]
    for reason, named in by_reason.items():
        lines += ["  " + reason.replace("\n", "\n  "), *(f"    {job}" for job in named)]
    return "\n".join(lines)


def _same_folder(folder: Path, other: Job) -> str:
    return (
        f"{folder} is the folder of {' '.join(other)}, too, whose result would be overwritten; name in "
        "hydra.sweep.subdir=… whatever the jobs differ in."
    )


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Logs nothing within the block: the run of a job will log it."""
    loggers = logging.getLogger(), logging.getLogger("cl_bench")
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
