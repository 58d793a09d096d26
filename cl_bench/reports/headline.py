"""Which of the two kinds of accuracy a result is about."""

from collections.abc import Iterable, Mapping
from functools import reduce
from typing import Any, TypeVar

Record = TypeVar("Record", bound=Mapping[str, Any])


def headline_kind(result: Mapping[str, Any]) -> str:
    """Says `task_aware` or `task_agnostic`: the kind of the headline, or the other where the headline is null."""
    return "task_aware" if "task_aware" in _answered_by(result) else "task_agnostic"


def headline_at(part: Mapping[str, Any], result: Mapping[str, Any]) -> float:
    """Finds the headline, or what stands for it, in a part of the result with the same keys: in that of one λ, say."""
    found: Any = reduce(lambda node, key: node[key], _answered_by(result).split("."), part)
    number: float = found
    return number


def is_null(result: Mapping[str, Any]) -> bool:
    """Whether the headline is of a kind of accuracy that is left out, as where each task has a model of its own."""
    return bool(_answered_by(result) != result["headline"]["name"])


def as_answered(result: Record) -> Record | dict[str, Any]:
    """The record, with the task-aware accuracy in the place of a headline that is null."""
    if not is_null(result):
        return result
    return {**result, "headline": {"name": _answered_by(result), "value": headline_at(result, result)}}


def with_headline(results: Iterable[Record]) -> tuple[list[Record], str | None]:
    """Keeps the records that have a headline, for readers that show nothing else.

    Returns:
        These records, and a line about those that are left out, if there are any.
    """
    results = list(results)
    null = [result for result in results if is_null(result)]
    reasons = "; ".join(dict.fromkeys(result["left_out"]["task_agnostic"] for result in null))
    count = "1 run" if len(null) == 1 else f"{len(null)} runs"
    line = f"Left out: {count} without a task-agnostic accuracy ({reasons})." if null else None
    return [result for result in results if not is_null(result)], line


def _answered_by(result: Mapping[str, Any]) -> str:
    name: str = result["headline"]["name"]
    return name.replace("task_agnostic", "task_aware") if "task_agnostic" in (result.get("left_out") or {}) else name
