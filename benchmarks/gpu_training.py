"""How fast tasks are trained on a device, by the project's trainers and by a plain loop as published code has it."""

import gc
import statistics
import time
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any, NamedTuple

import numpy as np
import pytorch_lightning as pl
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from benchmarks import gpu_models
from cl_bench.callbacks import FiniteLoss, MergeAndEvaluate, StepSeeds
from cl_bench.images import batches
from cl_bench.images.batches import Batch
from cl_bench.runtime.cores import available_cores
from cl_bench.trainers import Sequential, TaskTrainer

_CHUNK = 0.5  # seconds between two waits for the device, which are what chunks are made of
_FEWEST = 3  # chunks of a measurement
_WARM = 3  # steps


class Pace(NamedTuple):
    """How fast a device was."""

    images: float  # per second, the median over chunks
    step: float  # seconds of a step, the median over chunks
    warm_up: float  # seconds that the first steps took beyond their share


class Clock:
    """Takes the time of steps in chunks, since a device works behind the process that feeds it.

    Args:
        device: What is waited for at the end of a chunk.
        warm: Steps before the first chunk.
        seconds: How long chunks are measured.
    """

    def __init__(self, device: torch.device, warm: int, seconds: float) -> None:
        self._device, self._warm, self._seconds = device, warm, seconds
        self._steps = self._images = 0
        self._chunks: list[tuple[int, int, float]] = []  # steps, images, seconds
        self._begin = self._last = time.perf_counter()
        self._warm_up = 0.0

    def tick(self, images: int) -> bool:
        """A step with so many images was made; whether that is enough."""
        self._steps, self._images = self._steps + 1, self._images + images
        is_warming = self._warm_up == 0.0
        if self._steps < self._warm if is_warming else time.perf_counter() - self._last < _CHUNK:
            return False
        gpu_models.wait(self._device)
        now = time.perf_counter()
        if is_warming:
            self._warm_up, self._begin = now - self._begin, now
        else:
            self._chunks.append((self._steps, self._images, now - self._last))
        self._steps, self._images, self._last = 0, 0, now
        return len(self._chunks) >= _FEWEST and now - self._begin >= self._seconds

    def pace(self) -> Pace:
        """What was measured."""
        step = statistics.median(seconds / steps for steps, _, seconds in self._chunks)
        images = statistics.median(images / seconds for _, images, seconds in self._chunks)
        return Pace(images, step, max(0.0, self._warm_up - self._warm * step))


class _Ticks(pl.Callback):
    """Ends a task when the clock has enough."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        trainer.should_stop = self._clock.tick(len(batch.labels))


def trained(
    kind: type[TaskTrainer], model: str, way: str, device: torch.device, batch_size: int, images: int, seconds: float
) -> Pace:
    """Trains as a run does: a second task, after two steps of a first one for what a trainer remembers of it."""
    devices = gpu_models.devices(device.type, way)
    given = gpu_models.given(model, batch_size, devices.compile)
    scenario, trainer = gpu_models.scenario(images), kind(given)
    weights, clock, learned = trainer.weights(), None, list[tuple[Any, Any]]()
    for task in (1,) if kind is Sequential else (0, 1):
        experience, limit = scenario.train_stream[task], 2 if task == 0 else None
        order = batches.TrainingOrder(experience.samples, batch_size, 0, task, 1 if limit else 10**4, limit)
        trainer.begin_task(weights, experience, order.steps)
        callbacks: list[pl.Callback] = [StepSeeds(0, task, 0), FiniteLoss(task + 1)]
        loader = batches.loader(experience.samples, order, given.transform, None, for_gpu=device.type == "cuda")
        if task == 0:
            callbacks.append(MergeAndEvaluate(lambda: None, lambda trainer: learned.append(trainer.end_task())))
        else:
            # Compiled code meets the batch that ends an epoch, which is smaller, and may be made once more for it.
            clock = Clock(device, order.steps_per_epoch + _WARM if devices.compile else _WARM, seconds)
            callbacks.append(_Ticks(clock))
        with devices.products():
            devices.trainer(given.optimization.gradient_clip, callbacks).fit(trainer, loader)
        if task == 0:
            weights = learned[0][0]
            trainer.remember(experience, *learned[0])
    assert clock is not None
    return clock.pace()


class _OfImages(Dataset[tuple[Tensor, int]]):
    """CIFAR as torchvision has it: an array, whose images become PIL's one by one."""

    def __init__(self, images: int, size: int) -> None:
        self._pixels = np.random.default_rng(0).integers(0, 256, (images, 32, 32, 3), dtype=np.uint8)
        bicubic = transforms.InterpolationMode.BICUBIC
        self._transform = transforms.Compose(
            [
                transforms.RandomResizedCrop(size, (0.9, 1.0), interpolation=bicubic),
                transforms.ToTensor(),
                transforms.Normalize((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
            ]
        )

    def __len__(self) -> int:
        return len(self._pixels)

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        return self._transform(Image.fromarray(self._pixels[row])), row % gpu_models.CLASSES


def plain(model: str, device: torch.device, batch_size: int, images: int, seconds: float) -> Pace:
    """The loop of published code: float32, images through PIL in up to eight workers, AdamW with its defaults."""
    given = gpu_models.given(model, batch_size, compile=False)
    encoder, head = given.encoder.to(device).requires_grad_(True).train(), given.head.to(device)
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=1e-5, weight_decay=0.1)
    loader = DataLoader(
        _OfImages(images, given.transform.size),
        batch_size,
        shuffle=True,
        num_workers=min(8, available_cores()),
        persistent_workers=True,
    )
    clock = Clock(device, _WARM, seconds)
    for pixels, labels in _epochs(loader):
        features = functional.normalize(encoder(pixels.to(device)), dim=1)
        loss = functional.cross_entropy(features @ head.T, labels.to(device))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
        optimizer.step()
        if clock.tick(len(labels)):
            break
    return clock.pace()


def _epochs(loader: DataLoader[Any]) -> Iterator[Sequence[Tensor]]:
    for _ in count():
        yield from loader


def clean(device: torch.device) -> None:
    """Forgets compiled code, and gives back memory that the last measurement has left."""
    torch.compiler.reset()
    gc.collect()  # a `pl.Trainer` refers to itself in circles
    if device.type == "cuda":
        torch.cuda.empty_cache()
