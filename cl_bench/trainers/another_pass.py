"""One more pass over a task's images, beside its training."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import torch
from rich.progress import track
from torch import Tensor

from cl_bench.images import batches
from cl_bench.images.samples import Samples
from cl_bench.runtime import distributed

if TYPE_CHECKING:
    from cl_bench.trainers.task_trainer import TaskTrainer


def another_pass(
    trainer: TaskTrainer, samples: Samples, seed: int, title: str, enough: int | None = None
) -> Iterator[batches.Batch]:
    """The images once, in training's batches and crops, on the trainer's device.

    Args:
        trainer: Whose batch size, transform and device they are.
        samples: The images.
        seed: Decides order and crops, and the global random state.
        title: Of the progress bar.
        enough: After so many images, no further batch is read; None: all are.
    """
    size = trainer.optimization.batch_size
    limit = None if enough is None else -(-enough // size)
    order = batches.TrainingOrder(samples, size, seed, task=0, limit=limit)
    images = batches.loader(samples, order, trainer.transform, workers=None)
    torch.manual_seed(seed)  # for encoders with random parts
    silent = not (distributed.is_main() and sys.stdout.isatty())
    for batch in track(images, title, transient=True, disable=silent):
        yield trainer.transfer_batch_to_device(batch, trainer.device, 0)


def to_means(sums: Iterable[Tensor], images: int) -> None:
    """Overwrites sums over this process's images with means over those of all processes.

    Args:
        sums: The same ones on every process.
        images: Of all processes together.
    """
    for tensor in sums:
        distributed.average(tensor)
        tensor *= distributed.world_size() / images
