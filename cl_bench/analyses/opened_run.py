"""A finished run, opened again: its parts, and the weights that training has stored."""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cl_bench.experiment import trust
from cl_bench.experiment.parts import Parts, build_here
from cl_bench.runtime.errors import UserError
from cl_bench.runtime.source_code import changes
from cl_bench.store import Stream, read_result
from cl_bench.trainers import Weights


@dataclass(frozen=True)
class OpenedRun:
    """What analyses read; they change nothing.

    Attributes:
        record: The content of `result.json`.
        parts: The parts of the run, on one device of this machine.
        stream: What training has stored.
        finetuned: θ_t of each task, mapped from files.
    """

    record: Mapping[str, Any]
    parts: Parts
    stream: Stream
    finetuned: list[Weights]


def open_run(path: Path, trusted: Sequence[str] = ()) -> OpenedRun:
    """Opens the run of a record.

    Args:
        path: Its `result.json`.
        trusted: What its configuration may name besides the project's own classes, see `trust`.

    Raises:
        UserError: Its configuration names something that is not trusted, its stream is missing or damaged, or its
            configuration now leads to another stream.
    """
    record = read_result(path)
    trust.check(record["config"], path, trusted)
    _check_folders(record, path)
    parts = build_here(record["config"])
    problems: list[str] = []
    stream = parts.stream(problems.append)
    _check_code(record, parts, path)
    if stream.fingerprint != record["fingerprint"]:
        raise UserError(
            f"{path} is of the stream {record['fingerprint']}, but its configuration makes {stream.fingerprint} by now "
            "(other data, weights or version of cl_bench). Run it anew."
        )
    finetuned: list[Weights] = []
    for task in range(len(parts.experiences)):
        stored = stream.read(task)
        if stored is None:
            reason = problems[0].partition(": ")[0] if problems else f"there is none in {stream.path}"
            raise _without_weights(path, task, reason)
        finetuned.append(stored[0])
        if (rows := stream.read_extra(task, "head")) is not None:  # of a head that learns
            parts.trainer.head_rows.freeze(parts.head.rows, rows)
    return OpenedRun(record, parts, stream, finetuned)


def _check_code(record: Mapping[str, Any], parts: Parts, path: Path) -> None:
    """Refuses a run whose classes have changed: results of the new code would be filed under the old run."""
    if changed := changes(record.get("code") or {}, parts.code):
        raise UserError(f"{path}: code has changed since this run ({', '.join(changed)}). Run it anew.")


def _check_folders(record: Mapping[str, Any], path: Path) -> None:
    """Refuses folders that only the record speaks of: the store must have the stream, and other folders must exist."""
    fingerprint, paths = record.get("fingerprint"), record["config"].get("paths")
    names = ("store_dir", "prepared_dir")
    if not isinstance(paths, Mapping) or not all(isinstance(paths.get(name), str) for name in names):
        raise UserError(
            f"{path} is damaged: its configuration has no {' or '.join(f'paths.{name}' for name in names)}."
        )
    if not isinstance(fingerprint, str) or not re.fullmatch("[0-9a-f]+", fingerprint):
        raise UserError(f"{path} is damaged: {fingerprint!r} is no fingerprint.")
    store, prepared = (Path(paths[name]).expanduser() for name in names)
    if not (stream := store / "streams" / fingerprint).is_dir():
        raise _without_weights(path, 0, f"there is none in {stream}")
    if not prepared.is_dir() and not prepared.resolve().is_relative_to(Path.cwd().resolve()):
        raise UserError(
            f"{path} keeps prepared images in {prepared}, which is not there. If that is where you want them: "
            f"mkdir -p {shlex.quote(str(prepared))}"
        )


def _without_weights(path: Path, task: int, reason: str) -> UserError:
    return UserError(
        f"{path} needs the weights of task {task + 1}: {reason}. Start the analyses in the folder in which the run was "
        "started, or run it anew."
    )
