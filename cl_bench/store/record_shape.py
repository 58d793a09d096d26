"""Checks the types of a record that is valid JSON, since anybody may have written or edited it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from cl_bench.runtime.errors import UserError

Name = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]*$")]  # terminals obey control characters
Number = float | None
Settings = dict[str, Any]


def _rectangular(rows: list[list[Number]]) -> list[list[Number]]:
    if len({len(row) for row in rows}) != 1:
        raise ValueError("it has no rows, or some that differ in length")
    return rows


Matrix = Annotated[list[list[Number]], AfterValidator(_rectangular)]


class _Choices(TypedDict, total=False):
    scenario: Name
    trainer: Name
    merger: Name


class _Scenario(TypedDict, total=False):
    name: Name
    datasets: list[Name]
    kind: Name
    tasks: int


class _Config(TypedDict, total=False):
    method: Name | None
    scenario: Settings
    published: dict[str, Settings]
    trainer: Settings
    merger: Settings
    backbone: Settings
    optim: Settings
    lightning: Settings


class _Headline(TypedDict, total=False):
    name: Name
    value: Number


class _Task(TypedDict, total=False):
    name: str
    classes: int
    images: int
    training_images: int
    class_names: list[str] | None


class _Dataset(TypedDict, total=False):
    name: Name
    sha256: str
    images: str
    class_names: list[str]


class _Expert(TypedDict, total=False):
    task: str
    source: str
    commit: str | None
    files: list[str]
    sha256: list[str]
    layout: str
    licence: str | None
    relative_change: float
    accuracy: dict[str, Number] | None


class _Retention(TypedDict, total=False):
    datasets: list[Name]
    matrix: Matrix
    zero_shot: float
    last: float
    change: float


class _Training(TypedDict, total=False):
    seconds: Number
    steps: int
    peak_memory_mib: Number


class _Seconds(TypedDict, total=False):
    training: float
    merging: float
    evaluation: float


class _Scaling(TypedDict, total=False):
    scaling: float
    validation: Number
    chosen: bool


class _PerTask(TypedDict, total=False):
    chosen: list[Number]


class _Devices(TypedDict, total=False):
    kind: str
    count: int


@with_config(ConfigDict(strict=True, extra="ignore"))
class _Record(TypedDict, total=False):
    choices: _Choices
    config: _Config
    scenario: _Scenario
    fingerprint: str
    code: dict[str, Settings]
    split: str
    headline: _Headline
    metrics: dict[str, dict[str, Number | list[Any] | dict[str, Any]] | None]
    matrix: dict[str, Matrix | None]
    accuracy_after_task: dict[str, list[Number] | None]
    scalings: list[_Scaling] | None
    finetuned: Settings | None
    retention: _Retention | None
    per_task: _PerTask | None
    sees_test_images: bool
    experts: list[_Expert] | None
    notes: list[Name]
    tasks: list[_Task]
    datasets: list[_Dataset]
    training: list[_Training]
    seconds: _Seconds
    peak_memory_mib: dict[str, Number]
    seed: int
    devices: _Devices
    versions: dict[str, str]


_RECORD = TypeAdapter(_Record)


def check(record: Mapping[str, Any], path: Path, needs: Sequence[str] = ()) -> None:
    """Refuses a record that has values of a wrong type, or lacks what its reader needs.

    Args:
        record: What was read.
        path: Where from, for messages.
        needs: Dotted keys that have to be there; `KIND` stands for the matrix that the headline is of, `*` for each
            item of a list.

    Raises:
        UserError: Names the file and the key.
    """
    try:
        _RECORD.validate_python(record)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise _damaged(path, f"{key}: {first['msg'][0].lower()}{first['msg'][1:]}") from error
    headline = record.get("headline", {}).get("name", "")
    if "task_agnostic" in (record.get("left_out") or {}):
        headline = headline.replace("task_agnostic", "task_aware")
    for one in (record.get("scalings") or ()) if needs else ():
        if not (_has(one, ["scaling"]) and _has(one, headline.split("."))):
            raise _damaged(path, f"scalings: one of them has no scaling, or no {headline}")
    aware = "task_aware" in headline
    for key in needs:
        if not _has(record, key.replace("KIND", "task_aware" if aware else "task_agnostic").split(".")):
            raise _damaged(path, f"it has no {key}")


def _has(node: Any, keys: Sequence[str]) -> bool:
    if not keys:
        return True
    if keys[0] == "*":
        return isinstance(node, list) and all(_has(item, keys[1:]) for item in node)
    return isinstance(node, Mapping) and keys[0] in node and _has(node[keys[0]], keys[1:])


def _damaged(path: Path, what: str) -> UserError:
    return UserError(f"{path} is damaged, or no record of this version ({what}). Remove it, or run it again.")
