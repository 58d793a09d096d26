"""What a run may end with: 0 and a record whose numbers can be right, or 2 and one message. Nothing else."""

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from safetensors import safe_open

from cl_bench.store.plain import text_keys
from tests.fuzz.draws import Draw

_SHOWN_BY_RUNNING = ("loss", "too large", "paths.store_dir")
"""What only a run shows: training or merging that leaves the range of numbers, folders that cannot be made."""


def faults(draw: Draw, done: subprocess.CompletedProcess, folder: Path) -> Iterator[str]:
    """What is wrong with the end of a run.

    Args:
        draw: What was typed.
        done: Exit code and outputs.
        folder: Where it ran.
    """
    records = list(folder.glob("**/result.json"))
    if "Traceback" in done.stdout + done.stderr:
        yield "there is a traceback"
    if done.returncode == 0:
        if draw.refused:
            yield f"{' and '.join(draw.refused)} should have been refused"
        if len(records) != draw.jobs:
            yield f"there are {len(records)} records"
        for record in records:
            yield from _wrong(_read(record), draw)
    elif done.returncode == 2:
        if records:
            yield "there is a record of a run that failed"
        yield from _wrong_message(done.stderr, draw)
        if draw.jobs > 1 and " failed:" in done.stderr and not any(text in done.stderr for text in _SHOWN_BY_RUNNING):
            yield "a job was started that could have been refused"
    else:
        yield f"the exit code is {done.returncode}"
    yield from _broken_files(folder)


def _wrong_message(text: str, draw: Draw) -> Iterator[str]:
    if len(re.findall("^Error: ", text, re.MULTILINE)) not in (1, draw.jobs):
        yield "there is not just one message"
    if len(draw.refused) == 1 and not any(part in text for part in _names(draw)):
        yield f"the message does not name {draw.refused[0]}"


def _names(draw: Draw) -> set[str]:
    """The settings that the message may be about: any that was drawn, since several may be wrong."""
    return {override.lstrip("+~").partition("=")[0].removesuffix("._target_") for override in draw.overrides}


def _wrong(record: Mapping[str, Any], draw: Draw) -> Iterator[str]:
    for kind, matrix in record["matrix"].items():
        for value in (value for row in matrix or () for value in row if value is not None):
            if not 0 <= value <= 100:
                yield f"matrix.{kind} has {value}"
    value, left_out = (
        record["headline"]["value"],
        any(kind in record["headline"]["name"] for kind in record["left_out"]),
    )
    if (value is None) != left_out or not 0 <= (value or 0) <= 100:
        yield f"the headline is {value}"
    for where, wanted in draw.kept.items():
        node: Any = record["config"]
        for name in where.split("."):
            node = node.get(name) if isinstance(node, Mapping) else None
        if node != text_keys(wanted) and not (wanted is None and node is None):
            yield f"the record has {where}={node!r}, not {wanted!r}"
    limit = record["config"]["lightning"]["limit_train_batches"]
    epochs = record["config"]["optim"]["epochs"]
    if limit == 1 and epochs:
        for task in record["training"]:
            if task["steps"] != epochs:
                yield f"{task['steps']} steps, not {epochs}"
    if any(task["images"] < 1 or task["classes"] < 1 for task in record["tasks"]):
        yield "a task was evaluated on nothing"


def _read(path: Path) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{path} has {constant}")

    record: dict[str, Any] = json.loads(path.read_text(), parse_constant=refuse)
    return record


def _broken_files(folder: Path) -> Iterator[str]:
    for path in folder.rglob("*"):
        if path.name.endswith(".tmp"):
            yield f"{path.relative_to(folder)} was left"
        elif path.suffix == ".safetensors":
            with safe_open(path, "pt") as file:
                file.keys()
        elif path.suffix == ".json":
            _read(path)
