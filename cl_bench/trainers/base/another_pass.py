"""One more pass over a task's images, beside its training."""

import sys
from collections.abc import Iterator

import torch
from lightning_fabric.utilities import move_data_to_device
from rich.progress import track

from cl_bench.images import batches
from cl_bench.images.samples import Samples
from cl_bench.images.transforms import ImageTransform
from cl_bench.runtime import distributed


def another_pass(
    samples: Samples,
    seed: int,
    batch_size: int,
    transform: ImageTransform,
    device: torch.device,
    title: str,
    enough: int | None = None,
) -> Iterator[batches.Batch]:
    """Yields the images once, in training's batches and crops.

    Args:
        samples: The images.
        seed: Decides order and crops, and seeds torch.
        batch_size: Images per batch, of all processes together.
        transform: Turns 8-bit images into what the encoder reads.
        device: Where batches are moved.
        title: Of the progress bar.
        enough: After so many images, no further batch is read; None: all are.
    """
    limit = None if enough is None else -(-enough // batch_size)
    order = batches.TrainingOrder(samples, batch_size, seed, task=0, limit=limit)
    images = batches.loader(samples, order, transform, workers=None, for_gpu=device.type == "cuda")
    torch.manual_seed(seed)  # for encoders with random parts
    silent = not (distributed.is_main() and sys.stdout.isatty())
    for batch in track(images, title, transient=True, disable=silent):
        yield move_data_to_device(batch, device)
