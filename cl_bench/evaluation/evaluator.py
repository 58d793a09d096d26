"""One pass over the images for each evaluated model."""

import contextlib
import copy
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader

from cl_bench.evaluation.counting import Counts, TaskAccuracy
from cl_bench.heads.head import ArrivedHead
from cl_bench.images import batches
from cl_bench.images.samples import Samples
from cl_bench.images.transforms import ImageTransform
from cl_bench.runtime import distributed


class Evaluator:
    """Counts, task by task, how many images an encoder and a head classify correctly.

    Several processes share the images without padding, so that each image is counted once.

    Args:
        encoder: Copied. Its own weights are used only where heads are evaluated.
        head: (C, D), see `zero_shot_head`.
        transform: Turns 8-bit images into what the encoder reads.
        samples: The images; their groups are their tasks.
        class_masks: (T, C) bool, the classes of each task.
        batch_size: Images per process and step.
        workers: Number of processes that fetch images, see `batches.loader`.
        device: The device that the encoder runs on.
        autocast: Makes the context that it runs in.
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
        self._samples, self._batch_size, self._workers = samples, batch_size, workers
        self._loader = self._loaded(batches.EvaluationOrder(samples, batch_size))

    @torch.inference_mode()
    def __call__(
        self, weights: Mapping[str, Tensor], task: int | None = None, arrived: ArrivedHead | None = None
    ) -> Counts:
        """Counts for an encoder with these weights or, where `head` is the only entry, for another (C, D) head.

        All ranks use the weights of rank 0.

        Args:
            weights: Of the model.
            task: Whose images are looked at, from 0; None for those of all tasks. Other tasks then have no images.
            arrived: The head as far as its classes have arrived, the same on all ranks; None: the evaluator's, whole.
        """
        if arrived is not None:
            self._head.copy_(arrived.rows)
        known = None if arrived is None else arrived.known.to(self._device)
        if distributed.is_main() and weights.keys() == {"head"}:
            self._head.copy_(weights["head"])
        elif distributed.is_main():
            self._encoder.load_state_dict(weights)
        distributed.copy_from_main([*self._encoder.state_dict().values(), self._head])
        accuracy = TaskAccuracy(len(self._masks)).to(self._device)
        for batch in self._loader if task is None else self._of_task(task):
            batch = batches.on_device(batch, self._device)
            images = batches.to_images(batch, self._transform)
            with self._autocast():
                features = batches.encoded(self._encoder, images)
            logits = functional.linear(functional.normalize(features.float(), dim=1), self._head)
            accuracy.update(logits, batch.labels, batch.groups, self._masks, known)
        return accuracy.compute()

    def _of_task(self, task: int) -> DataLoader[batches.Batch]:
        return self._loaded(batches.EvaluationOrder(self._samples, self._batch_size, task))

    def _loaded(self, order: batches.Order) -> DataLoader[batches.Batch]:
        for_gpu = self._device.type == "cuda"
        return batches.loader(self._samples, order, self._transform, self._workers, for_gpu)
