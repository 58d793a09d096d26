"""Steps per second of each trainer beside the plain PyTorch loop; `make bench-train`.

All in one run, since machines differ and are noisy: the ways take turns, and medians are compared. Every way trains
the miniature on the same images with the same optimizer; the steps after the first few of a task are timed.
"""

import itertools
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch.nn import functional

from cl_bench import batches
from cl_bench.backbones import TinyClip, zero_shot_head
from cl_bench.datasets.images import ImageDataset, Images
from cl_bench.devices import Devices
from cl_bench.reports.markdown import grid
from cl_bench.scenarios import ClassIncremental
from cl_bench.store.atomic import write_text
from cl_bench.trainers import HeadOnly, LoRA, Optimization, Sequential, TaskTrainer

_BATCH, _STEPS, _WARM, _ROUNDS = 128, 25, 5, 5
_PLAIN = "plain PyTorch loop"
_TRAINERS: dict[str, type[TaskTrainer]] = {"sequential": Sequential, "lora": LoRA, "head_only": HeadOnly}


class _Clock(pl.Callback):
    """Notes when each step has ended."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_train_batch_end(self, *_: Any) -> None:
        self.ends.append(time.perf_counter())


def main(path: Path) -> None:
    """Measures and writes `path`, a Markdown file."""
    scenario = _scenario()
    ways: dict[str, Callable[[], float]] = {_PLAIN: lambda: _plain(scenario)}
    ways |= {name: lambda kind=kind: _trained(kind, scenario) for name, kind in _TRAINERS.items()}
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _, (way, measure) in itertools.product(range(_ROUNDS), ways.items()):
        seconds[way].append(measure())
    plain = statistics.median(seconds[_PLAIN])
    rows = []
    for way, measured in seconds.items():
        step = statistics.median(measured)
        rows.append([way, f"{1000 * step:.1f}", f"{1 / step:.2f}", f"{step / plain:.2f}"])
    text = _TEXT.format(
        machine=f"{torch.get_num_threads()} threads of an {platform.machine()} CPU, torch {torch.__version__}",
        batch=_BATCH,
        rounds=_ROUNDS,
        table=grid(["trained by", "ms per step", "steps per second", "times the plain loop's step"], rows),
    )
    write_text(path, text)
    print(text)


def _scenario() -> ClassIncremental:
    """As many images of CIFAR's size as a measurement needs."""
    count = _BATCH * _STEPS
    pixels = np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    train, test = Images(pixels, np.arange(count) % 10), Images(pixels[:10], np.arange(10))
    return ClassIncremental(ImageDataset("noise", tuple("abcdefghij"), ("a photo of a {}.",), train, test), 1)


def _plain(scenario: ClassIncremental) -> float:
    """Median seconds of a step without Lightning and trainers, from the batch to the optimizer's step."""
    backbone, (samples, order) = TinyClip(), _order(scenario)
    encoder, head = backbone.encoder.requires_grad_(True).train(), zero_shot_head(backbone, *scenario.labels[0])
    optimizer, ends = torch.optim.AdamW(encoder.parameters(), lr=1e-5, fused=True), []
    for batch in batches.loader(samples, order, backbone.transform, workers=0):
        features = encoder(batches.to_images(batch, backbone.transform))
        loss = functional.cross_entropy(functional.normalize(features, dim=1) @ head.T, batch.labels)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
        optimizer.step()
        ends.append(time.perf_counter())
    return _median_step(ends)


def _trained(kind: type[TaskTrainer], scenario: ClassIncremental) -> float:
    """Median seconds of a step of a trainer, as a run makes it."""
    backbone, (samples, order), clock = TinyClip(), _order(scenario), _Clock()
    optimization = Optimization(lambda p, lr: torch.optim.AdamW(p, lr=lr, fused=True), 1e-5, 1, _BATCH)
    head = zero_shot_head(backbone, *scenario.labels[0])
    trainer = kind(backbone.encoder, head, backbone.transform, optimization)
    trainer.begin_task(trainer.weights(), scenario.train_stream[0], order.steps)
    runner = Devices(accelerator="cpu").trainer(optimization.gradient_clip, [clock])
    runner.fit(trainer, batches.loader(samples, order, backbone.transform, workers=0))
    return _median_step(clock.ends)


def _order(scenario: ClassIncremental) -> tuple[Any, batches.TrainingOrder]:
    samples = scenario.train_stream[0].samples
    return samples, batches.TrainingOrder(samples, _BATCH, 0, 0)


def _median_step(ends: list[float]) -> float:
    return statistics.median(after - before for before, after in itertools.pairwise(ends[_WARM:]))


_TEXT = """# What a step costs

Made by `make bench-train` on {machine}. Medians of {rounds} rounds in one run; the ways take turns. A step trains
`tiny_clip` on {batch} images of 32 × 32, from making the batch to the optimizer's step.

{table}
"""


if __name__ == "__main__":
    main(Path(sys.argv[1]))
