"""How fast a device evaluates beside its forward pass alone, and how fast the prepared cache feeds it."""

import itertools
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from benchmarks import gpu_models
from cl_bench.evaluation import Evaluator
from cl_bench.images import batches
from cl_bench.images.images import Images
from cl_bench.images.prepared import PreparedImages
from cl_bench.images.samples import Samples

_ROUNDS = 3
_MOST = 10_000  # images of an evaluation: CIFAR-100's test images


def batch_size(device: torch.device) -> int:
    """Images of an evaluation's step: `evaluation.batch_size`, and fewer where a step would take long."""
    return 256 if device.type == "cuda" else 32


class Evaluated(NamedTuple):
    """Images per second, medians over rounds in which the two take turns."""

    evaluation: float
    forward: float  # the same encoder on one batch that lies on the device, again and again


def evaluated(model: str, way: str, device: torch.device, seconds: float) -> Evaluated:
    """Evaluates as a run does, on as many images as the forward pass takes a third of the seconds for, about."""
    found, devices = gpu_models.backbone(model), gpu_models.devices(device.type, way)
    batch = batch_size(device)
    given = gpu_models.given(model, batch, compile=False)
    encoder = given.encoder.to(device).eval()
    images = torch.randn(batch, 3, found.transform.size, found.transform.size, device=device)

    def forward(times: int) -> None:
        with torch.inference_mode():
            for _ in range(times):
                with devices.autocast():
                    encoder(images)

    _seconds(device, lambda: forward(2))
    once = _seconds(device, lambda: forward(2)) / 2
    times = max(1, min(_MOST // batch, int(seconds / (2 * _ROUNDS * once))))
    evaluator = Evaluator(
        encoder, given.head, given.transform, _small_images(times * batch),
        torch.ones(1, gpu_models.CLASSES, dtype=torch.bool), batch, None, device, devices.autocast,
    )  # fmt: skip
    weights = found.encoder.state_dict()  # on the CPU, as a merged model is
    evaluator(weights)
    taken = [
        (_seconds(device, lambda: evaluator(weights)), _seconds(device, lambda: forward(times))) for _ in range(_ROUNDS)
    ]
    whole, alone = (statistics.median(each) for each in zip(*taken, strict=True))
    return Evaluated(times * batch / whole, times * batch / alone)


class Fed(NamedTuple):
    """How images of the prepared cache arrive on a device, normalized; medians over epochs."""

    images: float  # per second
    gigabytes: float  # of 8-bit squares per second
    copy: float  # GB per second of a large copy from page-locked memory to the device, the fastest


def fed(model: str, device: torch.device, folder: Path, images: int) -> Fed:
    """Reads crops of photographs of 224 × 299 pixels, as CIFAR has none; they are random, which costs the same."""
    transform = gpu_models.backbone(model).transform
    samples, batch = _cached_images(folder, images), 128
    order = batches.TrainingOrder(samples, batch, 0, 0, epochs=_ROUNDS + 1)
    ends = [time.perf_counter()]
    loader = batches.loader(samples, order, transform, None, for_gpu=device.type == "cuda")
    for number, found in enumerate(loader, start=1):
        batches.to_images(batches.on_device(found, device), transform)
        if number % order.steps_per_epoch == 0:
            gpu_models.wait(device)
            ends.append(time.perf_counter())
    epoch = statistics.median(after - before for before, after in itertools.pairwise(ends[1:]))
    rate = len(samples) / epoch
    return Fed(rate, rate * 3 * transform.size**2 / 1e9, _copying(device) / 1e9)


def _copying(device: torch.device, size: int = 2**28) -> float:
    source = torch.empty(size, dtype=torch.uint8, pin_memory=device.type == "cuda")
    target = torch.empty(size, dtype=torch.uint8, device=device)
    return size / min(_seconds(device, lambda: target.copy_(source)) for _ in range(5))


def _seconds(device: torch.device, work: Callable[[], object]) -> float:
    gpu_models.wait(device)
    begin = time.perf_counter()
    work()
    gpu_models.wait(device)
    return time.perf_counter() - begin


def _small_images(count: int) -> Samples:
    pixels = np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    return Samples.select(Images(pixels, np.arange(count) % gpu_models.CLASSES), np.arange(count))


def _cached_images(folder: Path, count: int) -> Samples:
    """Images as the cache has them, without the work of decoding any."""
    sizes = np.tile(np.array([[224, 299]], dtype=np.int64), (count, 1))
    path, random = folder / "pixels.bin", np.random.default_rng(0)
    with open(path, "wb") as file:
        for _ in range(count):
            file.write(random.bytes(3 * 224 * 299))
    return Samples.select(Images(PreparedImages(path, sizes, 0, "noise"), np.zeros(count, np.int64)), np.arange(count))
