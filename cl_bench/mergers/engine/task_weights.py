"""A weight for each task: how much it counts in the merge."""

import math
from collections.abc import Sequence
from typing import Annotated, TypeAlias

from pydantic import Field, FiniteFloat

TaskWeights: TypeAlias = Annotated[list[FiniteFloat], Field(min_length=1)] | None
"""One weight for each task, in order; None: all count alike, without being multiplied by anything.

A rule whose constructor takes ``weights`` of this type gets a list, also where a configuration names tasks,
``merger.weights={cars: 0.3}``: rules know no names.
"""


_LEAST = 1e-20
"""Of the largest weight. Values times less than that would leave float32, and with them their task's share."""


def shares(weights: TaskWeights) -> list[float] | None:
    """The weights of a mean, divided by the power of two that leaves the largest between 1 and 2.

    No bit of the mean changes, but no value times a weight leaves float32 because all weights are small, or large.

    Raises:
        ValueError: A weight is negative or not finite, all are 0, or one counts next to nothing beside the largest.
    """
    if weights is None:
        return None
    if not all(map(math.isfinite, weights)):
        raise ValueError(f"weights must be finite numbers, but are {weights}")
    least, largest = min(weights), max(weights)
    if least < 0:
        raise ValueError(f"weights must not be negative, since tasks have shares of a mean, but one is {least}")
    if not largest:
        raise ValueError("weights are all 0, so that no task counts")
    for weight in filter(None, weights):
        if weight / largest < _LEAST:
            raise ValueError(f"weights: {weight} is less than {_LEAST} of the largest, {largest}; give 0 instead")
    _, exponent = math.frexp(largest)
    return [math.ldexp(weight, 1 - exponent) for weight in weights]


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
