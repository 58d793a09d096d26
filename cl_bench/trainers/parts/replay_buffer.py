"""The images of earlier tasks that are kept for replay."""

from typing import Literal, TypeAlias

import torch
from torch import Tensor

from cl_bench.images.samples import Samples
from cl_bench.runtime.seeds import generator

Choice: TypeAlias = Literal["reservoir", "class_balanced"]


class ReplayBuffer:
    """Holds up to `size` images of all tasks so far, as references to the data sets.

    Each image draws a random number when its task is added, and keeps it.

    - `reservoir`: the images with the smallest numbers stay. So every image seen so far is in the buffer with the same
      probability, as in reservoir sampling (Vitter 1985).
    - `class_balanced`: classes take turns, each with its image of the next smallest number. So the numbers of images
      per class differ by one at most, unless a class has no more images.

    Neither would choose a dropped image again later: the buffer holds what would be chosen from all images at once.

    Args:
        size: The most images that it holds.
        choice: See above.
        seed: Seed of the random numbers.

    Attributes:
        samples: The images; those of task i are group i. None before the first task.
    """

    def __init__(self, size: int, choice: Choice, seed: int) -> None:
        self._size, self._choice, self._seed = size, choice, seed
        self._numbers = torch.zeros(0, dtype=torch.float64)
        self._tasks = 0
        self.samples: Samples | None = None

    def add(self, samples: Samples) -> None:
        """Takes in the images of one more task, and drops those that no longer fit."""
        random = generator(self._seed, self._tasks, "replay")
        numbers = torch.cat([self._numbers, torch.rand(len(samples), generator=random, dtype=torch.float64)])
        parts = [part for part in (self.samples, samples) if part is not None]
        candidates = Samples.concatenate(parts, [0] * len(parts))
        tasks = torch.cat([*(part.groups for part in parts[:-1]), torch.full_like(samples.labels, self._tasks)])
        kept = self._order(numbers, candidates.labels)[: self._size]
        source, row = torch.from_numpy(candidates.rows)[kept].unbind(dim=1)
        self.samples = Samples(candidates.sources, source, row, candidates.labels[kept], tasks[kept])
        self._numbers = numbers[kept]
        self._tasks += 1

    def _order(self, numbers: Tensor, labels: Tensor) -> Tensor:
        order = numbers.argsort()
        if self._choice == "reservoir":
            return order
        turns = torch.empty_like(order)
        for label in labels.unique():
            of_class = order[labels[order] == label]
            turns[of_class] = torch.arange(len(of_class))
        return order[turns[order].argsort(stable=True)]
