"""Which of the two kinds of accuracy a result is about."""

from collections.abc import Mapping
from functools import reduce
from typing import Any


def headline_kind(result: Mapping[str, Any]) -> str:
    """Says `task_aware` or `task_agnostic`: the kind of the headline is never left out of a record."""
    return "task_aware" if "task_aware" in result["headline"]["name"] else "task_agnostic"


def headline_at(part: Mapping[str, Any], result: Mapping[str, Any]) -> float:
    """Finds the headline in a part of the result that has the same keys: in that of one λ, say."""
    found: Any = reduce(lambda node, key: node[key], result["headline"]["name"].split("."), part)
    number: float = found
    return number
