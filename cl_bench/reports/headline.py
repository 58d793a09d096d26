"""Which of the two kinds of accuracy a result is about."""

from collections.abc import Mapping
from typing import Any


def headline_kind(result: Mapping[str, Any]) -> str:
    """`task_aware` or `task_agnostic`; the headline's kind is never left out."""
    return "task_aware" if "task_aware" in result["headline"]["name"] else "task_agnostic"
