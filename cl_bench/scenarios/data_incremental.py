"""Data-incremental: every task brings more images of the same classes."""

from typing import Annotated

import numpy as np
import torch
from pydantic import Field, InstanceOf

from cl_bench.images.images import ImageDataset, Images
from cl_bench.images.samples import Samples
from cl_bench.runtime.errors import UserError
from cl_bench.scenarios import validation
from cl_bench.scenarios.scenario import Experience, Scenario


class DataIncremental(Scenario):
    """The images are dealt out to T tasks, class by class.

    Tasks differ by at most one image, in each class and in all. Test images are dealt out, too, so that every task has
    test images; each image is classified among all classes.

    Args:
        dataset: The images.
        tasks: Number of tasks T.
        deal_seed: Seed of the dealing.
        validation_share: Share of each class's training images that is set aside.

    Raises:
        UserError: More tasks than images.
    """

    kind = "data-incremental"

    def __init__(
        self,
        dataset: InstanceOf[ImageDataset],
        tasks: Annotated[int, Field(ge=1)],
        deal_seed: Annotated[int, Field(ge=0)] = 0,
        validation_share: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    ) -> None:
        kept, aside = validation.split(dataset.train.labels, validation_share)
        fewest = min(len(kept), len(dataset.test), len(aside) or len(kept))
        if tasks > fewest:
            raise UserError(f"scenario.tasks={tasks}: {dataset.name} has only {fewest} images to deal out.")

        def experiences(images: Images, positions: np.ndarray) -> list[Experience]:
            every_class = torch.ones(1, len(dataset.class_names), dtype=torch.bool)
            shares = _deal(images.labels[positions], tasks, deal_seed)
            return [
                Experience(
                    f"share {task + 1} of {tasks}", Samples.select(images, positions[shares == task]), every_class
                )
                for task in range(tasks)
            ]

        super().__init__(
            [dataset],
            train=experiences(dataset.train, kept),
            test=experiences(dataset.test, np.arange(len(dataset.test))),
            validation=experiences(dataset.train, aside) if validation_share else None,
        )


def _deal(labels: np.ndarray, tasks: int, seed: int) -> np.ndarray:
    """(N,) the task of each image: images are shuffled, sorted by class, and go to each task in turn."""
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    shares = np.empty(len(labels), dtype=np.int64)
    shares[by_class] = np.arange(len(labels)) % tasks
    return shares
