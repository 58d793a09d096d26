"""From samples to batches: whole arrays of 8-bit images, the same ones whatever the number of devices."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from cl_bench import distributed
from cl_bench.backbones.transforms import ImageTransform, random_crops
from cl_bench.scenarios.samples import Part, Samples
from cl_bench.seeds import generator


class Batch(NamedTuple):
    """This process's share of one batch."""

    parts: list[Part]  # 8-bit images
    crops: Tensor | None  # (b, 4) in training
    labels: Tensor  # (b,)
    groups: Tensor  # (b,)
    global_size: int  # images of the batch on all devices together


class _Request(NamedTuple):
    positions: Tensor
    crops: Tensor | None
    global_size: int


class TrainingOrder(Sampler[_Request]):
    """Every image once per epoch, in batches whose images and crops depend on seed, task and epoch alone.

    Each process takes every world-size-th image of a batch. The last batch of an epoch may be smaller, also empty for
    some of the processes.
    """

    def __init__(self, samples: Samples, batch_size: int, seed: int, task: int) -> None:
        self._samples, self._batch_size, self._place = samples, batch_size, (seed, task)
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning at the start of each epoch."""
        self._epoch = epoch

    def __len__(self) -> int:
        return -(-len(self._samples) // self._batch_size)

    def __iter__(self) -> Iterator[_Request]:
        seed, task = self._place
        order = torch.randperm(len(self._samples), generator=generator(seed, task, "order", self._epoch))
        crops = random_crops(self._samples.sizes, generator(seed, task, "crops", self._epoch))
        for batch in order.split(self._batch_size):
            mine = batch[distributed.rank() :: distributed.world_size()]
            yield _Request(mine, crops[mine], len(batch))


class EvaluationOrder(Sampler[_Request]):
    """Every image once over all processes, without padding."""

    def __init__(self, samples: Samples, batch_size: int) -> None:
        self._batches = torch.arange(distributed.rank(), len(samples), distributed.world_size()).split(batch_size)

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[_Request]:
        for positions in self._batches:
            yield _Request(positions, None, len(positions))


class _Fetch(Dataset[Batch]):
    def __init__(self, samples: Samples) -> None:
        self._samples = samples

    def __getitem__(self, request: _Request) -> Batch:
        positions, crops, global_size = request
        samples = self._samples
        parts = samples.fetch(positions)
        return Batch(parts, crops, samples.labels[positions], samples.groups[positions], global_size)


def loader(samples: Samples, order: Sampler[_Request], workers: int) -> DataLoader[Batch]:
    """Batches in the order given, fetched by `workers` processes (0: this one)."""
    return DataLoader(_Fetch(samples), sampler=order, batch_size=None, num_workers=workers, pin_memory=False)


def to_images(batch: Batch, transform: ImageTransform) -> Tensor:
    """The batch's images as the backbone reads them, (b, 3, size, size) float32, in the batch's order."""
    shape = (len(batch.labels), 3, transform.size, transform.size)
    images = torch.empty(shape, dtype=torch.float32, device=batch.labels.device)
    for pixels, places in batch.parts:
        images[places] = transform(pixels, None if batch.crops is None else batch.crops[places])
    return images
