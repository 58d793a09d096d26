"""Which of the two kinds of accuracy a result is about."""

from collections.abc import Mapping
from functools import reduce
from typing import Any


def headline_kind(result: Mapping[str, Any]) -> str:
    """`task_aware` or `task_agnostic`; the headline's kind is never left out."""
    return "task_aware" if "task_aware" in result["headline"]["name"] else "task_agnostic"


def headline_at(part: Mapping[str, Any], result: Mapping[str, Any]) -> float | None:
    """The number of the headline's name in a part of the result that is laid out alike: of one λ, say."""
    return reduce(lambda found, key: found[key], result["headline"]["name"].split("."), part)
