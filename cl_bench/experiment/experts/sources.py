"""Where each task's expert may be, from the setting `trainer.weights`."""

from collections.abc import Sequence
from typing import NamedTuple

from cl_bench.experiment.experts.published import published
from cl_bench.runtime.errors import UserError, shortened
from cl_bench.runtime.spelling import nearest_first
from cl_bench.trainers.imported import Sources

ALL_TASKS = "all tasks"
"""Stands for the task of a finished model."""

_EXAMPLES = "trainer.weights=experts/%s reads experts/NAME for the task NAME; a list names one place for each task"


class Source(NamedTuple):
    """A task, and the places where its expert may be: paths or names on the hub; the first one that exists counts."""

    task: str
    places: tuple[str, ...]


def sources(weights: Sources | None, tasks: Sequence[str], model: str) -> list[Source]:
    """Spells out `trainer.weights` for each task.

    Args:
        weights: The setting.
        tasks: Names of the tasks, in order of arrival.
        model: The backbone's name in open_clip, for which experts may be published.

    Raises:
        UserError: The setting is missing, or does not fit the tasks.
    """
    if weights is None:
        weights = published().patterns.get(model)
        if weights is None:
            raise UserError(f"trainer.weights is missing, since no experts are published for {model}. {_EXAMPLES}.")
    if isinstance(weights, str):
        _check_pattern(weights, tasks)
        return [Source(task, _places(weights, task)) for task in tasks]
    if isinstance(weights, list):
        if len(weights) != len(tasks):
            raise UserError(
                f"trainer.weights lists {len(weights)} places, but the scenario has {len(tasks)} tasks: "
                f"{shortened(tasks)}."
            )
        return [Source(task, (place,)) for task, place in zip(tasks, weights, strict=True)]
    if missing := [task for task in tasks if task not in weights]:
        there = ", ".join(nearest_first(missing[0], weights)) or "nothing"
        raise UserError(f"trainer.weights has no place for {shortened(missing)}; it names {there}.")
    return [Source(task, (weights[task],)) for task in tasks]


def _check_pattern(pattern: str, tasks: Sequence[str]) -> None:
    if pattern.count("%s") != 1 and len(tasks) > 1:
        raise UserError(
            f"trainer.weights={pattern} has {'no' if '%s' not in pattern else 'more than one'} %s, which stands for a "
            f"task's name, but there are {len(tasks)} tasks. {_EXAMPLES}."
        )


def _places(pattern: str, task: str) -> tuple[str, ...]:
    """The publisher's name of a data set comes first, then ours."""
    names = (published().name(task), task)
    return tuple(dict.fromkeys(pattern.replace("%s", name) for name in names))
