"""A weight for each task: how much it counts in the merge."""

from collections.abc import Sequence
from typing import Annotated, TypeAlias

from pydantic import Field, FiniteFloat

TaskWeights: TypeAlias = Annotated[list[FiniteFloat], Field(min_length=1)] | None
"""One weight for each task, in order; None: all count alike, without being multiplied by anything.

A rule whose constructor takes ``weights`` of this type gets a list, also where a configuration names tasks,
``merger.weights={cars: 0.3}``: rules know no names.
"""


def check_weights(weights: TaskWeights) -> None:
    """Checks the weights of a mean, in which tasks have shares.

    Raises:
        ValueError: A weight is negative, or all are 0.
    """
    if weights is None:
        return
    if min(weights) < 0:
        raise ValueError(f"weights must not be negative, since tasks have shares of a mean, but one is {min(weights)}")
    if not any(weights):
        raise ValueError("weights are all 0, so that no task counts")


def weight_of(weights: Sequence[float], task: int) -> float:
    """The weight of a task.

    Args:
        weights: Of all tasks.
        task: The task's number, from 1.

    Raises:
        ValueError: There are fewer weights than tasks.
    """
    if task > len(weights):
        raise ValueError(f"weights has {len(weights)} entries, but there is a task {task}")
    return weights[task - 1]
