"""Looks at all jobs of a sweep before the first is started, so that none fails hours later on what can be seen now.

Settings and whether they go together are looked at; each distinct data set and backbone is read once. Data or weights
that are not here are no mistake: jobs may run on other machines, and those that fail do not stop the others. Nor is an
error that nobody expects: the job's own run shows it, with its traceback.
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
"""Whatever `compose` knows a job by."""


@dataclass(frozen=True)
class Findings:
    """Jobs with what is wrong with each.

    Attributes:
        mistakes: What has to be mended before anything is started.
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
    """Looks at all jobs.

    Args:
        jobs: The jobs.
        compose: Gives, from its number and the job, the resolved configuration, as plain data, and its folder.
        here: Whether they run on this machine, whose devices are then counted.
        at_a_time: So many of them.
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
            except Exception:  # what nobody expects is left to the job's own run, which shows its traceback
                continue
    del known
    gc.collect()  # models refer to themselves in circles
    return found


def told(findings: Sequence[tuple[Sequence[str], str]], jobs: int, what: str) -> str:
    """What people are told of jobs: each reason with the jobs, by their overrides, that it is of."""
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
    """What is worth a line is told when a job is run."""
    loggers = logging.getLogger(), logging.getLogger("cl_bench")
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
