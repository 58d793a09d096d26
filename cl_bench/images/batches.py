"""From samples to batches of 8-bit images, which are the same for any number of devices."""

import functools
import logging
import os
import sys
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from cl_bench.images.samples import Samples
from cl_bench.images.transforms import ImageTransform, crop_boxes, draw_crops
from cl_bench.runtime import distributed
from cl_bench.runtime.cores import available_cores
from cl_bench.runtime.errors import each
from cl_bench.runtime.seeds import generator
from cl_bench.runtime.to_device import to_device

log = logging.getLogger(__name__)

_MOST_WORKERS = 8
_PREFETCHED = 3  # batches per worker: two that wait, the loader's default, and one in use
_ROOM_BESIDE = 2**16  # bytes of a batch beside its pixels, about, at most
_SHARED_MEMORY = "/dev/shm"


class Part(NamedTuple):
    """The images of a batch that come from one source."""

    pixels: Tensor  # (b, H, W, 3) uint8
    crops: Tensor | None  # (b, 4): what training still has to crop
    places: Tensor  # (b,) int64: their places in the batch


class Batch(NamedTuple):
    """This process's share of one batch."""

    parts: list[Part]
    labels: Tensor  # (b,)
    groups: Tensor  # (b,)
    global_size: int  # images of the batch on all devices together


class Request(NamedTuple):
    """What this process fetches for one batch."""

    # Its tensors are copies, not views: a thread of the loader moves a tensor's whole memory to where a worker can read
    # it, and reading another view of that memory at the same moment would give garbage.
    positions: Tensor
    draws: Tensor | None  # see `draw_crops`; None in evaluation
    global_size: int


class Order(Sampler[Request]):
    """Says which images make up each batch.

    Attributes:
        most_images: The most images of a batch for this process.
    """

    most_images: int


class TrainingOrder(Order):
    """All steps of a task: every image once per epoch, in an order and with crops drawn from seed, task and epoch.

    Of P processes, each takes every P-th image of a batch. The last batch of an epoch may be smaller, and empty for
    some of the processes.

    Args:
        samples: The images.
        batch_size: Images per batch, of all processes together.
        seed: Of the run.
        task: The task's number.
        epochs: Passes over the images.
        limit: The most batches per epoch, or a share of them if it is a float; None: all.
        done: The number of batches, from the beginning, that an earlier run has done.

    Attributes:
        steps_per_epoch: Batches per epoch.
        steps: Batches of all epochs, `done` included.
        most_images: The most images of a batch for this process.
    """

    def __init__(
        self,
        samples: Samples,
        batch_size: int,
        seed: int,
        task: int,
        epochs: int = 1,
        limit: int | float | None = None,
        done: int = 0,
    ) -> None:
        self._samples, self._batch_size, self._place, self._done = samples, batch_size, (seed, task), done
        batches = -(-len(samples) // batch_size)
        most = max(1, int(limit * batches)) if isinstance(limit, float) else limit
        self.steps_per_epoch = batches if most is None else min(batches, most)
        self.steps = self.steps_per_epoch * epochs
        self.most_images = -(-min(batch_size, len(samples)) // distributed.world_size())

    def __len__(self) -> int:
        return self.steps - self._done

    def __iter__(self) -> Iterator[Request]:
        first_epoch, first = divmod(self._done, self.steps_per_epoch)
        for epoch in range(first_epoch, self.steps // self.steps_per_epoch):
            yield from self._epoch(epoch, first)
            first = 0

    def _epoch(self, epoch: int, first: int) -> Iterator[Request]:
        seed, task = self._place
        order = torch.randperm(len(self._samples), generator=generator(seed, task, "order", epoch))
        draws = draw_crops(len(self._samples), generator(seed, task, "crops", epoch))
        for batch in order.split(self._batch_size)[first : self.steps_per_epoch]:
            mine = batch[distributed.rank() :: distributed.world_size()].clone()
            yield Request(mine, draws[:, mine], len(batch))


class EvaluationOrder(Order):
    """Every image, or every one of a group, once over all processes, without padding."""

    def __init__(self, samples: Samples, batch_size: int, group: int | None = None) -> None:
        wanted = torch.ones_like(samples.groups) if group is None else samples.groups == group
        mine = wanted.nonzero().flatten()[distributed.rank() :: distributed.world_size()]
        self.most_images = min(batch_size, len(mine))
        self._batches = mine.split(batch_size)  # one empty batch if there are fewer images than processes

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[Request]:
        for positions in self._batches:
            yield Request(positions.clone(), None, len(positions))


class _Fetch(Dataset[Batch]):
    """Fetches a batch: images in arrays unchanged, for the device to crop; others cropped here, one by one."""

    def __init__(self, samples: Samples, transform: ImageTransform) -> None:
        self._samples, self._transform = samples, transform

    def __getitem__(self, request: Request) -> Batch:
        positions, draws, global_size = request
        parts = []
        for source, rows, places in self._samples.located(positions):
            mine = None if draws is None else draws[:, places]
            if isinstance(source, np.ndarray):
                pixels = torch.from_numpy(np.ascontiguousarray(source[rows]))
                sizes = torch.tensor([source.shape[1:3]] * len(rows))
                parts.append(Part(pixels, None if mine is None else crop_boxes(sizes, mine), places))
            else:
                pixels = self._transform.squares(each(rows.tolist(), source.__getitem__), mine)
                parts.append(Part(pixels, None, places))
        return Batch(parts, self._samples.labels[positions], self._samples.groups[positions], global_size)


def loader(
    samples: Samples, order: Order, transform: ImageTransform, workers: int | None, for_gpu: bool = False
) -> DataLoader[Batch]:
    """Batches in the order given.

    Args:
        samples: The images.
        order: Which images make up each batch.
        transform: Crops the images that are not in an array.
        workers: Number of processes that fetch images; 0: this process does. None: this process for arrays, up to
            eight others for other images.
        for_gpu: Whether batches lie in page-locked memory, from which copies to a GPU do not wait.
    """
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))  # processes of this machine, as torchrun says
    most = max(1, available_cores() // here)
    if workers is None:
        workers = 0 if samples.in_arrays else min(_MOST_WORKERS, most)
    elif workers > most:
        _say(f"lightning.workers={workers}: {most} fetch images, one for each core that may be used")
        workers = most
    if workers and (free := _free_shared_memory()) is not None:
        arrays = [source.shape[1] * source.shape[2] for source in samples.sources if isinstance(source, np.ndarray)]
        batch = order.most_images * 3 * max([transform.size**2, *arrays]) + _ROOM_BESIDE
        needed = here * workers * _PREFETCHED * batch
        if needed > free:
            _say(
                f"/dev/shm has {free / 2**20:.0f} MiB free, {workers} workers may need {needed / 2**20:.0f} MiB: the "
                "training process fetches images itself (docker run --shm-size=8g, or lightning.workers=1)"
            )
            workers = 0
    return DataLoader(
        _Fetch(samples, transform),
        sampler=order,
        batch_size=None,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=for_gpu,
    )


@functools.cache
def _say(line: str) -> None:
    """Logs a line once: each task has two loaders, which mostly have the same to say."""
    if distributed.is_main():
        log.info(line)


def _free_shared_memory() -> int | None:
    """Free bytes in the shared memory through which workers pass batches; None on other systems than Linux."""
    if sys.platform != "linux":
        return None
    try:
        found = os.statvfs(_SHARED_MEMORY)
    except OSError:
        return 0
    is_usable = os.access(_SHARED_MEMORY, os.W_OK) and not found.f_flag & os.ST_RDONLY
    return found.f_bavail * found.f_frsize if is_usable else 0


def encoded(encode: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """(B, D) features of B images; B may be 0, which encoders refuse.

    A process whose share of a batch is empty takes part in the step with a gradient of zero, since the others wait for
    it.
    """
    if len(images):
        return encode(images)
    return encode(images.new_zeros(1, *images.shape[1:]))[:0]


def on_device(batch: Batch, device: torch.device) -> Batch:
    """The batch with its tensors on a device; images of evaluation have no crops."""
    parts = [Part(to_device(part.pixels, device), None, to_device(part.places, device)) for part in batch.parts]
    labels, groups = to_device(batch.labels, device), to_device(batch.groups, device)
    return batch._replace(parts=parts, labels=labels, groups=groups)


def to_images(batch: Batch, transform: ImageTransform) -> Tensor:
    """The images of a batch as the backbone's input: (b, 3, size, size) float32, in the batch's order."""
    if len(batch.parts) == 1:
        return transform(batch.parts[0].pixels, batch.parts[0].crops)
    shape = (len(batch.labels), 3, transform.size, transform.size)
    images = torch.empty(shape, dtype=torch.float32, device=batch.labels.device)
    for pixels, crops, places in batch.parts:
        images[places] = transform(pixels, crops)
    return images
