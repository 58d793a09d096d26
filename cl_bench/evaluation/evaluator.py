"""One pass over the images for each evaluated model."""

import contextlib
import copy
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from cl_bench.evaluation.task_accuracy import Counts, TaskAccuracy
from cl_bench.images import batches
from cl_bench.images.samples import Samples
from cl_bench.images.transforms import ImageTransform
from cl_bench.runtime import distributed


class Evaluator:
    """Counts, task by task, how many images an encoder with a head gets right.

    Over several processes the images are dealt out without padding, so that each is counted once.

    Args:
        encoder: Copied; its weights matter only where those of a head are evaluated.
        head: (C, D), see `zero_shot_head`.
        transform: From 8-bit images to what the encoder reads.
        samples: The images, their task as group.
        class_masks: (T, C) bool, the classes of each task.
        batch_size: Images per process and step.
        workers: Processes that fetch images, see `batches.loader`.
        device: Where the encoder runs.
        autocast: Makes the context in which it runs.
    """

    def __init__(
        self,
        encoder: nn.Module,
        head: Tensor,
        transform: ImageTransform,
        samples: Samples,
        class_masks: Tensor,
        batch_size: int,
        workers: int | None,
        device: torch.device,
        autocast: Callable[[], contextlib.AbstractContextManager[object]],
    ) -> None:
        self._encoder = copy.deepcopy(encoder).eval().requires_grad_(False).to(device)
        self._head, self._masks = head.to(device, copy=True), class_masks.to(device)
        self._transform, self._device, self._autocast = transform, device, autocast
        self._loader = batches.loader(samples, batches.EvaluationOrder(samples, batch_size), transform, workers)

    @torch.inference_mode()
    def __call__(self, weights: Mapping[str, Tensor]) -> Counts:
        """Counts for an encoder with these weights, or for the (C, D) entry `head` alone as another head.

        Only rank 0's weights are looked at.
        """
        if distributed.is_main() and weights.keys() == {"head"}:
            self._head.copy_(weights["head"])
        elif distributed.is_main():
            self._encoder.load_state_dict(weights)
        distributed.copy_from_main([*self._encoder.state_dict().values(), self._head])
        accuracy = TaskAccuracy(len(self._masks)).to(self._device)
        for batch in self._loader:
            images = batches.to_images(_to(batch, self._device), self._transform)
            with self._autocast():
                features = batches.encoded(self._encoder, images)
            logits = functional.linear(functional.normalize(features.float(), dim=1), self._head)
            accuracy.update(logits, batch.labels.to(self._device), batch.groups.to(self._device), self._masks)
        return accuracy.compute()


def _to(batch: batches.Batch, device: torch.device) -> batches.Batch:
    parts = [batches.Part(part.pixels.to(device), None, part.places.to(device)) for part in batch.parts]
    return batch._replace(parts=parts, labels=batch.labels.to(device), groups=batch.groups.to(device))
