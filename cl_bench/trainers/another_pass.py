"""One more pass over a task's images, beside its training."""

import sys
from collections.abc import Iterator

import torch
from rich.progress import track

from cl_bench import batches, distributed
from cl_bench.scenarios.samples import Samples
from cl_bench.trainers.task_trainer import TaskTrainer


def another_pass(trainer: TaskTrainer, samples: Samples, seed: int, title: str) -> Iterator[batches.Batch]:
    """The images once, in training's batches and crops, on the trainer's device.

    Args:
        trainer: Whose batch size, transform and device they are.
        samples: The images.
        seed: Decides order and crops, and the global random state.
        title: Of the progress bar.
    """
    order = batches.TrainingOrder(samples, trainer.optimization.batch_size, seed, task=0)
    images = batches.loader(samples, order, trainer.transform, workers=None)
    torch.manual_seed(seed)  # for encoders with random parts
    silent = not (distributed.is_main() and sys.stdout.isatty())
    for batch in track(images, title, transient=True, disable=silent):
        yield trainer.transfer_batch_to_device(batch, trainer.device, 0)
