"""Kinds of runs that compete with no other, since their rules know more than one data-free model may."""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Kind(NamedTuple):
    """What such runs are called.

    Attributes:
        heading: Above their rows.
        flag: Beside one number, or a name.
        advice: To whom reads several of them.
    """

    heading: str
    flag: str
    advice: str


FOR_EACH_TASK = Kind(
    "With a model for each task",
    "a model for each task",
    "it answers only where the task is known, so compare it with its like alone",
)
SEES_TEST_IMAGES = Kind(
    "With unlabelled test images",
    "learned on unlabelled test images",
    "it learned on them, so compare it with nothing else",
)


def kind_of(result: Mapping[str, Any]) -> Kind | None:
    """The kind of a record's run; None where it competes. Earlier records say nothing of it, since no rule did so."""
    if result.get("sees_test_images"):
        return SEES_TEST_IMAGES
    return FOR_EACH_TASK if result.get("per_task") is not None else None
