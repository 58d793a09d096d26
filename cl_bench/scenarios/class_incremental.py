"""Class-incremental: every task brings new classes of one data set."""

from typing import Annotated

import numpy as np
import torch
from pydantic import Field, InstanceOf

from cl_bench.images.images import ImageDataset, Images
from cl_bench.images.samples import Samples
from cl_bench.runtime.errors import UserError
from cl_bench.scenarios import order, validation
from cl_bench.scenarios.scenario import Experience, Scenario

_MOST_NAMED = 20  # classes in the name of a task


class ClassIncremental(Scenario):
    """The class order in chunks: task i of T gets positions floor(C·i/T) to floor(C·(i+1)/T).

    No class is dropped where T does not divide C (196 classes in 10 tasks: 19, 20, 19, 20, …). Where `first_task` is
    given, the first task has that many classes, and the others share the rest in the same way.

    Args:
        dataset: The images.
        tasks: Number of tasks T, at most the number of classes C.
        first_task: Number of classes of the first task; null: as many as the others have.
        class_order: The order in which classes arrive, see `order.Order`.
        validation_share: Share of each class's training images that is set aside.

    Raises:
        UserError: More tasks than classes, a first task that leaves too few classes to the others, or an order that is
            no permutation of the classes.
    """

    kind = "class-incremental"

    def __init__(
        self,
        dataset: InstanceOf[ImageDataset],
        tasks: Annotated[int, Field(ge=1)],
        first_task: Annotated[int, Field(ge=1)] | None = None,
        class_order: order.Order = None,
        validation_share: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    ) -> None:
        classes = len(dataset.class_names)
        if tasks > classes:
            raise UserError(f"scenario.tasks={tasks}: {dataset.name} has only {classes} classes.")
        arrival = order.resolve(class_order, dataset.class_names, dataset.name, "class_order")
        if first_task is None:
            chunks = _chunks(arrival, tasks)
        else:
            _check_first_task(first_task, tasks, classes, dataset.name)
            chunks = [arrival[:first_task], *_chunks(arrival[first_task:], tasks - 1)]
            self.kind = f"class-incremental, {first_task} classes first"
        kept, aside = validation.split(dataset.train.labels, validation_share)
        super().__init__(
            [dataset],
            train=_experiences(dataset, dataset.train, kept, chunks),
            test=_experiences(dataset, dataset.test, np.arange(len(dataset.test.labels)), chunks),
            validation=_experiences(dataset, dataset.train, aside, chunks) if validation_share else None,
        )


def _check_first_task(first_task: int, tasks: int, classes: int, name: str) -> None:
    left = classes - first_task
    if left < tasks - 1 or (tasks == 1 and left):
        problem = f"leaves {max(left, 0)} of the {classes} classes of {name} to {tasks - 1} other tasks"
        raise UserError(f"scenario.first_task={first_task} {problem}; change it, or scenario.tasks={tasks}.")


def _chunks(arrival: list[int], tasks: int) -> list[list[int]]:
    return [arrival[len(arrival) * i // tasks : len(arrival) * (i + 1) // tasks] for i in range(tasks)]


def _experiences(
    dataset: ImageDataset, images: Images, positions: np.ndarray, chunks: list[list[int]]
) -> list[Experience]:
    experiences = []
    for chunk in chunks:
        mask = torch.zeros(1, len(dataset.class_names), dtype=torch.bool)
        mask[0, chunk] = True
        samples = Samples.select(images, positions[np.isin(images.labels[positions], chunk)])
        experiences.append(Experience(_shortened([dataset.class_names[c] for c in chunk]), samples, mask))
    return experiences


def _shortened(names: list[str]) -> str:
    """The classes of a task, at most twenty of them, since the name goes into every message and record."""
    more = f", … ({len(names)} classes)" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more
