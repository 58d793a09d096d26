"""Several data sets, one after another, each with its own classes."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field, InstanceOf

from cl_bench.images.images import ImageDataset
from cl_bench.images.samples import Samples
from cl_bench.runtime.errors import UserError
from cl_bench.scenarios import order, validation
from cl_bench.scenarios.scenario import Experience, Scenario


class SeveralDatasets(Scenario):
    """One task per data set; an image is classified among the classes of its data set.

    The headline is therefore the mean over data sets of the task-aware accuracy. The task-agnostic accuracy, among the
    classes of all data sets together, is reported beside it.

    Where the task is not known, the headline is the mean over data sets of the task-agnostic accuracy. A task is still
    learned among the classes of its own data set.

    Args:
        datasets: The data sets by name, or functions that read them; only those that arrive are read.
        dataset_order: The order in which they arrive, see `order.Order`; a list may leave some out.
        epochs: Passes over the images of each data set, by name; used where `optim.epochs` is null.
        task_known: Whether the model is told which data set an image comes from.
        validation_share: Share of each class's training images that is set aside.

    Raises:
        UserError: The order or `epochs` name a data set that is not there.
    """

    kind = "dataset-incremental"
    headline = "metrics.task_aware.average_accuracy"
    one_label_space = False

    def __init__(
        self,
        datasets: dict[str, InstanceOf[ImageDataset] | Callable[[], ImageDataset]],
        dataset_order: order.Order = None,
        epochs: dict[str, Annotated[int, Field(ge=1)]] | None = None,
        task_known: bool = True,
        validation_share: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    ) -> None:
        if not task_known:
            self.kind = "dataset-incremental, task unknown"
            self.headline = "metrics.task_agnostic.average_accuracy"
            self.one_label_space = True
        names = list(datasets)
        if unknown := sorted(set(epochs or {}) - set(names)):
            raise UserError(f"scenario.epochs names {unknown[0]!r}, which is none of: {', '.join(names)}.")
        chosen = [names[i] for i in order.resolve(dataset_order, names, "datasets", "dataset_order", some=True)]
        loaded = [data if isinstance(data, ImageDataset) else data() for data in (datasets[name] for name in chosen)]
        # The scenario's names count, since two data sets may have the same name, such as two kinds of digits.
        arrival = [replace(data, name=name) for name, data in zip(chosen, loaded, strict=True)]
        passes = [(epochs or {}).get(name) for name in chosen]
        kept, aside = zip(*(validation.split(data.train.labels, validation_share) for data in arrival), strict=True)
        super().__init__(
            arrival,
            train=_experiences(arrival, "train", kept, passes),
            test=_experiences(arrival, "test", [np.arange(len(data.test)) for data in arrival], passes),
            validation=_experiences(arrival, "train", aside, passes) if validation_share else None,
        )

    def identity(self) -> dict[str, Any]:
        """See `Scenario.identity`; joint training and replay differ where the task is not known."""
        identity = super().identity()
        return {**identity, "task_known": False} if self.one_label_space else identity


def _experiences(
    arrival: Sequence[ImageDataset],
    split: Literal["train", "test"],
    positions: Sequence[np.ndarray],
    epochs: Sequence[int | None],
) -> list[Experience]:
    ends = np.cumsum([len(data.class_names) for data in arrival])
    experiences = []
    for task, data in enumerate(arrival):
        first = int(ends[task]) - len(data.class_names)
        mask = torch.zeros(1, int(ends[-1]), dtype=torch.bool)
        mask[0, first : ends[task]] = True
        samples = Samples.select(getattr(data, split), positions[task], first)
        experiences.append(Experience(data.name, samples, mask, task, epochs[task]))
    return experiences
