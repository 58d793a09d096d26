"""Several data sets, one after another, each with classes of its own."""

from typing import Annotated, ClassVar

import numpy as np
import torch
from pydantic import Field, InstanceOf

from cl_bench.datasets.images import ImageDataset, Images
from cl_bench.scenarios import order, validation
from cl_bench.scenarios.samples import Samples
from cl_bench.scenarios.scenario import Experience, Scenario


class SeveralDatasets(Scenario):
    """One task per data set; an image is classified among its own data set's classes.

    The headline is therefore the task-aware accuracy, as a mean over data sets. The task-agnostic one, among the
    classes of all data sets together, is reported beside it.

    Args:
        datasets: The data sets by name.
        dataset_order: In which order they arrive, see `order.Order`.
        validation_share: Share of each class's training images that is set aside.
    """

    headline: ClassVar[str] = "metrics.task_aware.average_accuracy"
    one_label_space: ClassVar[bool] = False

    def __init__(
        self,
        datasets: dict[str, InstanceOf[ImageDataset]],
        dataset_order: order.Order = None,
        validation_share: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    ) -> None:
        names = list(datasets)
        arrival = [datasets[names[i]] for i in order.resolve(dataset_order, names, "datasets", "dataset_order")]
        splits = [validation.split(data.train.labels, validation_share) for data in arrival]
        super().__init__(
            arrival,
            train=_experiences(arrival, [(data.train, kept) for data, (kept, _) in zip(arrival, splits, strict=True)]),
            test=_experiences(arrival, [(data.test, np.arange(len(data.test.labels))) for data in arrival]),
            validation=_experiences(
                arrival, [(data.train, aside) for data, (_, aside) in zip(arrival, splits, strict=True)]
            )
            if validation_share
            else None,
        )


def _experiences(arrival: list[ImageDataset], chosen: list[tuple[Images, np.ndarray]]) -> list[Experience]:
    ends = np.cumsum([len(data.class_names) for data in arrival])
    experiences = []
    for task, (data, (images, positions)) in enumerate(zip(arrival, chosen, strict=True)):
        first = int(ends[task]) - len(data.class_names)
        mask = torch.zeros(1, int(ends[-1]), dtype=torch.bool)
        mask[0, first : ends[task]] = True
        experiences.append(Experience(data.name, Samples.select(images, positions, first), mask, task))
    return experiences
