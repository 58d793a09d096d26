"""What the tasks of a run are called on the axes of a picture."""

from collections.abc import Mapping, Sequence
from typing import Any

_KINDS_WITH_NAMES = ("domain-incremental", "dataset-incremental", "dataset-incremental, task unknown")
_MOST = 25  # names that can be read beside each other
_LONGEST = 20  # letters


def task_names(scenario: Mapping[str, Any], tasks: Sequence[str]) -> list[str] | None:
    """Shortens the tasks' names so that they fit an axis and still differ from each other.

    Domains and data sets have names of their own. The name of a class-incremental task is a list of classes, which does
    not fit.

    Args:
        scenario: Has the scenario's `kind`.
        tasks: The tasks' full names, in order of arrival.

    Returns:
        The short names; None where tasks go by their numbers.
    """
    if scenario["kind"] not in _KINDS_WITH_NAMES or len(tasks) > _MOST:
        return None
    short = [name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…" for name in tasks]
    return [name if short.count(name) == 1 else f"{i} {name}" for i, name in enumerate(short, start=1)]
