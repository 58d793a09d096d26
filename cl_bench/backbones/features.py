"""The features that an encoder computes of images, as in evaluation."""

import contextlib
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from cl_bench.images import batches
from cl_bench.images.samples import Samples
from cl_bench.images.transforms import ImageTransform


def features_of(
    encoder: nn.Module,
    samples: Samples,
    transform: ImageTransform,
    batch_size: int,
    workers: int | None,
    device: torch.device,
    autocast: Callable[[], contextlib.AbstractContextManager[object]],
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yields (B, D) float32 features before normalization and (B,) labels, each image once over all processes.

    Args:
        encoder: In evaluation mode, on the device.
        samples: The images.
        transform: Turns 8-bit images into what the encoder reads.
        batch_size: Images per process and step.
        workers: Number of processes that fetch images, see `batches.loader`.
        device: Where features are computed, and stay.
        autocast: Makes the context that the encoder runs in.
    """
    order = batches.EvaluationOrder(samples, batch_size)
    for batch in batches.loader(samples, order, transform, workers, for_gpu=device.type == "cuda"):
        images = batches.to_images(batches.on_device(batch, device), transform)
        with torch.inference_mode(), autocast():
            features = batches.encoded(encoder, images)
        yield features.float(), batch.labels
