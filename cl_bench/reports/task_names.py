"""How the tasks of a run are called on the axes of a picture."""

from collections.abc import Mapping, Sequence
from typing import Any

_NAMED_KINDS = ("domain-incremental", "dataset-incremental")
_MOST = 25  # names that can be read beside each other
_LONGEST = 20  # letters


def task_names(scenario: Mapping[str, Any], tasks: Sequence[str]) -> list[str] | None:
    """Short names that differ from each other; None where tasks are called by their numbers.

    Domains and data sets have names of their own. What a class-incremental task has for a name is a list of classes,
    which does not fit on an axis.

    Args:
        scenario: Has the scenario's `kind`.
        tasks: The tasks' names in full, in order of arrival.
    """
    if scenario["kind"] not in _NAMED_KINDS or len(tasks) > _MOST:
        return None
    short = [name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…" for name in tasks]
    return [name if short.count(name) == 1 else f"{i} {name}" for i, name in enumerate(short, start=1)]
