"""A finished run, opened again: its parts, and the weights that training left in the store."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cl_bench.errors import UserError
from cl_bench.parts import Parts, build
from cl_bench.store import Stream, read_result
from cl_bench.trainers import Weights


@dataclass(frozen=True)
class Run:
    """What analyses look at; nothing of it is changed.

    Attributes:
        record: The content of `result.json`.
        parts: As they took part in the run, on one device of this machine.
        stream: What training left in the store.
        finetuned: θ_t of each task, mapped from their files.
    """

    record: Mapping[str, Any]
    parts: Parts
    stream: Stream
    finetuned: list[Weights]


def open_run(path: Path) -> Run:
    """Opens the run of a record.

    Args:
        path: Of its `result.json`.

    Raises:
        UserError: Its stream is gone or damaged, or its configuration makes another stream by now.
    """
    record = read_result(path)
    parts = build(_here(record["config"]))
    problems: list[str] = []
    stream = Stream(parts.store_dir / "streams", parts.training, problems.append)
    if stream.fingerprint != record["fingerprint"]:
        raise UserError(
            f"{path} is of the stream {record['fingerprint']}, but its configuration makes {stream.fingerprint} by now "
            "(other data, weights or version of cl_bench). Run it anew."
        )
    finetuned = []
    for task in range(len(parts.experiences)):
        stored = stream.read(task)
        if stored is None:
            reason = problems[0].partition(": ")[0] if problems else f"there is none in {stream.path}"
            raise UserError(
                f"{path} needs the weights of task {task + 1}: {reason}. Start the analyses in the folder in which "
                "the run was started, or run it anew."
            )
        finetuned.append(stored[0])
    return Run(record, parts, stream, finetuned)


def _here(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration for this machine: one device of whichever kind there is, and nothing is logged."""
    own = {"accelerator": "auto", "devices": 1, "nodes": 1, "compile": False}
    lightning = {key: own.get(key, value) for key, value in config["lightning"].items()}
    return {**config, "lightning": lightning, "logger": {"_target_": "pytorch_lightning.loggers.logger.DummyLogger"}}
