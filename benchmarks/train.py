"""Steps per second of each trainer beside the plain PyTorch loop; `make bench-train`.

All in one run, since machines differ and are noisy: the ways take turns, and medians are compared. Every way trains
the miniature on the same images with the same optimizer; the steps of its second task are timed, after the first few.
"""

import itertools
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytorch_lightning as pl
import torch
from torch.nn import functional

from cl_bench.backbones import TinyClip
from cl_bench.heads.zero_shot import zero_shot_head
from cl_bench.images import batches
from cl_bench.images.images import ImageDataset, Images
from cl_bench.reports.tables.formats.markdown import grid
from cl_bench.runtime.devices import Devices
from cl_bench.scenarios import ClassIncremental
from cl_bench.store.atomic import write_text
from cl_bench.trainers import TRAINERS, Given, Optimization, TaskTrainer

_BATCH, _STEPS, _WARM, _ROUNDS = 128, 20, 4, 5
_PLAIN = "plain PyTorch loop"
_SAME_STEP = {"independent", "joint", "zero_shot", "imported", "finished"}  # sequential's step, or none
_TRAINERS = {name: kind for name, kind in TRAINERS.items() if name not in _SAME_STEP}


class _Clock(pl.Callback):
    """Notes when each step has ended."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_train_batch_end(self, *_: Any) -> None:
        self.ends.append(time.perf_counter())


class _Cost(NamedTuple):
    """Of one way of training a task."""

    step: float  # median seconds of a step
    after: float  # seconds between the last step and the next task, per batch of the task


def main(path: Path) -> None:
    """Measures and writes `path`, a Markdown file."""
    scenario = _scenario()
    ways: dict[str, Callable[[], _Cost]] = {_PLAIN: lambda: _plain(scenario)}
    ways |= {name: lambda kind=kind: _trained(kind, scenario) for name, kind in _TRAINERS.items()}
    costs: dict[str, list[_Cost]] = {way: [] for way in ways}
    ratios: dict[str, list[float]] = {way: [] for way in ways}
    for _, (way, measure) in itertools.product(range(_ROUNDS), ways.items()):
        plain, cost = _plain(scenario), measure()  # one after the other, since machines have moods
        costs[way].append(cost)
        ratios[way].append(cost.step / plain.step)
    step = {way: statistics.median(cost.step for cost in measured) for way, measured in costs.items()}
    times = {way: statistics.median(found) for way, found in ratios.items()}
    after = {way: statistics.median(cost.after for cost in measured) for way, measured in costs.items()}
    text = _TEXT.format(
        machine=f"{torch.get_num_threads()} threads of an {platform.machine()} CPU, torch {torch.__version__}",
        batch=_BATCH,
        rounds=_ROUNDS,
        table=grid(
            ["trained by", "ms per step", "steps per second", "times the plain loop's step", "ms per batch afterwards"],
            [
                [
                    way,
                    f"{1000 * s:.1f}",
                    f"{1 / s:.2f}",
                    f"{times[way]:.2f}",
                    f"{1000 * after[way]:.1f}",
                ]
                for way, s in step.items()
            ],
        ),
    )
    write_text(path, text)
    print(text)


def _scenario() -> ClassIncremental:
    """Two tasks with as many images of CIFAR's size as a measurement needs."""
    count = 2 * _BATCH * _STEPS
    pixels = np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    train, test = Images(pixels, np.arange(count) % 10), Images(pixels[:10], np.arange(10))
    return ClassIncremental(ImageDataset("noise", tuple("abcdefghij"), ("a photo of a {}.",), train, test), 2)


def _plain(scenario: ClassIncremental) -> _Cost:
    """Without Lightning and trainers, from the batch to the optimizer's step."""
    backbone, samples = TinyClip(), scenario.train_stream[1].samples
    encoder, head = backbone.encoder.requires_grad_(True).train(), zero_shot_head(backbone, *scenario.labels[0])
    optimizer, ends = torch.optim.AdamW(encoder.parameters(), lr=1e-5, fused=True), []
    order = batches.TrainingOrder(samples, _BATCH, 0, 1)
    for batch in batches.loader(samples, order, backbone.transform, workers=0):
        features = encoder(batches.to_images(batch, backbone.transform))
        loss = functional.cross_entropy(functional.normalize(features, dim=1) @ head.T, batch.labels)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
        optimizer.step()
        ends.append(time.perf_counter())
    return _Cost(_median_step(ends), 0.0)


def _trained(kind: type[TaskTrainer], scenario: ClassIncremental) -> _Cost:
    """A second task, as a run learns it, after two steps of a first one."""
    backbone = TinyClip()
    optimization = Optimization(lambda p, lr: torch.optim.AdamW(p, lr=lr, fused=True), 1e-5, 1, _BATCH)
    head = zero_shot_head(backbone, *scenario.labels[0])
    trainer = kind(Given(backbone.encoder, head, backbone.transform, optimization))
    weights = trainer.weights()
    for task, limit in enumerate((2, None)):
        previous, experience, clock = weights, scenario.train_stream[task], _Clock()
        order = batches.TrainingOrder(experience.samples, _BATCH, 0, task, limit=limit)
        trainer.begin_task(weights, experience, order.steps)
        runner = Devices(accelerator="cpu").trainer(optimization.gradient_clip, [clock])
        runner.fit(trainer, batches.loader(experience.samples, order, backbone.transform, workers=0))
        begin = time.perf_counter()
        weights, statistics = trainer.end_task()
        if trainer.refines and task > 0:
            trainer.refine(experience, previous, weights)
        after = (time.perf_counter() - begin) / _STEPS
        trainer.remember(experience, weights, statistics)
    return _Cost(_median_step(clock.ends), after)


def _median_step(ends: list[float]) -> float:
    return statistics.median(after - before for before, after in itertools.pairwise(ends[_WARM:]))


_TEXT = """# What a step costs

Made by `make bench-train` on {machine}. Medians of {rounds} rounds in
one run; the ways take turns. A step trains `tiny_clip` on {batch} images of 32 × 32, from making the batch to the
optimizer's step, in the second task of a stream. Times the plain loop's step: the median of ratios, each to a plain
loop right before it. Afterwards: what a trainer does between the last step of a task and the next task, over the
batches of one epoch: EWC's pass for the Fisher information and CMM's refinement, once per task, and copies of the
weights.

{table}"""


if __name__ == "__main__":
    main(Path(sys.argv[1]))
