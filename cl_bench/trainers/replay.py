"""Experience replay."""

from collections.abc import Iterator, Mapping
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from cl_bench.images import batches
from cl_bench.images.samples import Samples
from cl_bench.images.transforms import draw_crops
from cl_bench.runtime import distributed
from cl_bench.runtime.seeds import generator
from cl_bench.scenarios import Experience, Scenario
from cl_bench.trainers.base.given import Given
from cl_bench.trainers.base.task_trainer import StartsFrom, TaskTrainer, Weights
from cl_bench.trainers.base.unfinished import UnfinishedTask
from cl_bench.trainers.parts.replay_buffer import Choice, ReplayBuffer


class Replay(TaskTrainer):
    """Adds images of earlier tasks, from a buffer, to each batch of a task.

    The loss is the mean cross-entropy over the batch's images and the replayed ones together. All are told apart among
    the classes of all tasks so far, so that the model learns to tell new classes from earlier ones. Where tasks are
    data sets with labels of their own, each image is told apart among the classes of its data set, as it is at test.

    Each step draws its replayed images without replacement, and their training crops. Which images the buffer holds
    follows from `buffer_seed` and the tasks so far.

    Source: Chaudhry et al. 2019, arXiv 1902.10486.

    Differs from the publication in: a task may be passed over several times, and the buffer takes in a task when the
    task is over, not batch by batch. The publication tells a model the task at test; here all tasks' classes compete.

    Version 2: statistics for mergers are taken among the classes of the task's own data set. In version 1, they were
    taken among those of the first one.

    Args:
        given: What every trainer is given.
        buffer_images: Size of the buffer.
        choice: How the buffer chooses, see `ReplayBuffer`.
        replay_batch_size: Replayed images per step, of all processes together; the whole buffer, if that is smaller.
            None: as many as `optim.batch_size`, as published.
        buffer_seed: Seed of the buffer's choice.
        starts_from: The weights that a task starts from.
    """

    version = 2

    def __init__(
        self,
        given: Given,
        buffer_images: Annotated[int, Field(ge=1)] = 1000,
        choice: Choice = "reservoir",
        replay_batch_size: Annotated[int, Field(ge=1)] | None = None,
        buffer_seed: Annotated[int, Field(ge=0)] = 0,
        starts_from: StartsFrom = "previous",
    ) -> None:
        super().__init__(given, starts_from)
        self._buffer = ReplayBuffer(buffer_images, choice, buffer_seed)
        self._replay_batch_size = replay_batch_size or self.optimization.batch_size
        self._masks: list[Tensor] = []
        self._one_label_space = True
        self._replayed: Iterator[batches.Batch] = iter(())

    def experiences(self, scenario: Scenario) -> list[Experience]:
        """Returns what is trained on, task by task."""
        self._one_label_space = scenario.one_label_space
        return super().experiences(scenario)

    def begin_task(
        self, weights: Weights, experience: Experience, steps: int, resumed: UnfinishedTask | None = None
    ) -> None:
        """Gets ready for a task; from now on, its classes and those of all tasks before compete."""
        super().begin_task(weights, experience, steps, resumed)
        # The task's own rows come first, since statistics read its images without replayed ones; then one of each task.
        masks = torch.cat([experience.class_masks, *self._masks])
        # A copy: process groups write to buffers, and refuse rows that share their memory.
        seen = masks.any(dim=0).expand_as(masks).clone() if self._one_label_space else masks
        self.class_masks = seen.to(self.class_masks.device)
        if self._buffer.samples is not None:
            # The run has just seeded torch for this task: what is drawn follows from seed, task and step alone.
            draws = ReplayOrder(
                self._buffer.samples,
                self._replay_batch_size,
                torch.initial_seed(),
                range(resumed.step if resumed else 0, steps),
            )
            self._replayed = iter(batches.loader(self._buffer.samples, draws, self.transform, workers=None))

    def training_step(self, batch: batches.Batch, batch_idx: int) -> Tensor:
        """Returns the loss of one batch and the images that join it."""
        if self._buffer.samples is not None:
            replayed = self.transfer_batch_to_device(next(self._replayed), self.device, 0)
            own = len(self.class_masks) - len(self._masks)
            batch = joined(batch, replayed._replace(groups=replayed.groups + own))
        return super().training_step(batch, batch_idx)

    def remember(self, experience: Experience, weights: Weights, statistics: Mapping[str, Weights]) -> None:
        """Offers the task's images to the buffer."""
        self._masks.append(experience.class_masks.any(dim=0, keepdim=True))
        self._buffer.add(experience.samples)


class ReplayOrder(batches.Order):
    """Draws, for each step of a task, the images of the buffer that join it, and their crops.

    Draws are for all processes together; each takes every world-size-th image.

    Args:
        samples: The buffer.
        batch_size: Images per step at most.
        seed: Seed of the task in this run.
        steps: Numbers of the steps.
    """

    def __init__(self, samples: Samples, batch_size: int, seed: int, steps: range) -> None:
        self._samples, self._batch_size, self._seed, self._steps = samples, batch_size, seed, steps
        self.most_images = min(batch_size, len(samples))

    def __len__(self) -> int:
        return len(self._steps)

    def __iter__(self) -> Iterator[batches.Request]:
        for step in self._steps:
            random = generator(self._seed, "replay", step)
            positions = torch.randperm(len(self._samples), generator=random)[: self._batch_size]
            draws = draw_crops(len(positions), random)
            mine = slice(distributed.rank(), None, distributed.world_size())
            yield batches.Request(positions[mine], draws[:, mine], len(positions))


def joined(one: batches.Batch, other: batches.Batch) -> batches.Batch:
    """Returns the images of two batches as one batch."""
    moved = [part._replace(places=part.places + len(one.labels)) for part in other.parts]
    return batches.Batch(
        [*one.parts, *moved],
        torch.cat([one.labels, other.labels]),
        torch.cat([one.groups, other.groups]),
        one.global_size + other.global_size,
    )
