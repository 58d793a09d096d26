"""Weights that were trained elsewhere, task by task."""

from typing import ClassVar, TypeAlias

from cl_bench.trainers.base.given import Given
from cl_bench.trainers.base.task_trainer import TaskTrainer

Sources: TypeAlias = str | list[str] | dict[str, str]
"""Where weights are: a pattern in which `%s` stands for a task's name, one place for each task in order of arrival, or
places by the tasks' names. A place is a path, or a name on the Hugging Face hub."""


class Imported(TaskTrainer):
    """Learns nothing: each task's weights θ_t are read from files. They must have been fine-tuned from θ₀.

    The run reads the files, and hands them to the merger as if they had been trained.

    Args:
        given: What every trainer is given.
        weights: Where the tasks' weights are; None: the experts that are published for the backbone.
    """

    leaves: ClassVar[frozenset[str]] = frozenset()
    one_for_all: ClassVar[bool] = False
    """Whether a single model stands for all tasks."""

    def __init__(self, given: Given, weights: Sources | None = None) -> None:
        super().__init__(given, "pretrained")
        self.sources = weights
