"""A stream of three tasks, learned by a trainer and by a plain PyTorch loop, in double precision."""

import functools
import math

import torch
from torch.nn import functional

from cl_bench.callbacks import StepSeeds
from cl_bench.images import batches
from cl_bench.images.transforms import crop_boxes
from cl_bench.runtime import distributed, seeds
from cl_bench.runtime.devices import Devices
from cl_bench.scenarios import SeveralDatasets
from cl_bench.trainers import Sequential
from tests.helpers.small import TRANSFORM, SmallEncoder, domains, head, optimization, pixels_at, scenario, small_given
from tests.scenarios.conftest import make_dataset

SEED = 3
STREAM = scenario(tasks=3)
DATASETS = SeveralDatasets({name: make_dataset(2, 10, name=name, seed=i) for i, name in enumerate("abc")})
DOMAINS = domains()  # 24 images each
SETTINGS = optimization(epochs=4)  # 20 steps a task


def made(trainer_class, settings=SETTINGS, stream=STREAM, keep=frozenset(), **options):
    """A trainer at θ₀, and θ₀."""
    trainer = trainer_class(small_given(settings, keep=keep), **options)
    trainer.experiences(stream)
    return trainer, trainer.weights()


def learned(trainer, task, weights, settings=SETTINGS, stream=STREAM, resumed=None, callbacks=(), precision="32-true"):
    """One task as a run learns it: weights and statistics."""
    experience, done = stream.train_stream[task], resumed.step if resumed else 0
    order = batches.TrainingOrder(experience.samples, settings.batch_size, SEED, task, settings.epochs, done=done)
    assert order.steps >= 20
    seeds.reseed(SEED, task, "training")
    trainer.begin_task(weights, experience, order.steps, resumed)
    devices = Devices(accelerator="cpu", devices=distributed.world_size(), precision=precision)
    runner = devices.trainer(settings.gradient_clip, [StepSeeds(SEED, task, done), *callbacks])
    runner.fit(trainer, batches.loader(experience.samples, order, TRANSFORM, workers=0))
    weights, statistics = trainer.end_task()
    trainer.remember(experience, weights, statistics)
    return weights, statistics


def fold(running, trainer, task, weights, statistics, stream=STREAM):
    """One task into the merged model, which is then refined, as a run does it."""
    previous = running.merged()
    running.add(weights, statistics)
    if trainer.refines and task > 0:
        seeds.reseed(SEED, task, "refinement")
        changed = trainer.refine(stream.train_stream[task], previous, running.merged())
        running.restart({**running.merged(), **changed})


def trained(trainer_class, settings=SETTINGS, stream=STREAM, **options):
    """The weights after each task."""
    trainer, weights = made(trainer_class, settings, stream, **options)
    after = []
    for task in range(len(stream.train_stream)):
        weights, _ = learned(trainer, task, weights, settings, stream)
        after.append(weights)
    return after


@functools.cache
def without_help(settings=SETTINGS, stream=STREAM):
    """The weights after the last task of sequential fine-tuning."""
    return trained(Sequential, settings, stream)[-1]


def plain_loop(loss, after_task=lambda task, encoder: None, settings=SETTINGS, stream=STREAM):
    """The weights after each task, without Lightning, schedulers, loaders or masks.

    Args:
        loss: Called with task, step, encoder, images and labels.
        after_task: Called with task and encoder.
        settings: Of the optimization.
        stream: The tasks.
    """
    encoder, trained = SmallEncoder().double(), []
    for task, experience in enumerate(stream.train_stream):
        optimizer = settings.optimizer(encoder.parameters(), lr=settings.lr)
        order = batches.TrainingOrder(experience.samples, settings.batch_size, SEED, task, settings.epochs)
        for step, (images, labels) in enumerate(images_of(experience.samples, order)):
            optimizer.param_groups[0]["lr"] = learning_rate(settings, step, len(order))
            optimizer.zero_grad()
            loss(task, step, encoder, images, labels).backward()
            if settings.gradient_clip is not None:
                torch.nn.utils.clip_grad_norm_(encoder.parameters(), settings.gradient_clip)
            optimizer.step()
        after_task(task, encoder)
        trained.append({name: tensor.clone() for name, tensor in encoder.state_dict().items()})
    return trained


def learning_rate(settings, step, steps):
    """Of one step of a task, as the publications set it."""
    if step < settings.warmup_steps:
        return settings.lr * (step + 1) / settings.warmup_steps
    done = (step - settings.warmup_steps) / (steps - settings.warmup_steps)
    return settings.lr * 0.5 * (1 + math.cos(math.pi * done))


def images_of(samples, order):
    """Cropped images and labels, batch by batch."""
    for positions, draws, _ in order:
        pixels = pixels_at(samples, positions)
        crops = crop_boxes(torch.tensor([pixels.shape[1:3]] * len(pixels)), draws)
        yield TRANSFORM(pixels, crops), samples.labels[positions]


def logits(encoder, images, classes):
    """(B, len(classes)): the classes given, in their order."""
    return functional.normalize(encoder(images), dim=1) @ head().double()[classes].T


def classes_of(task, stream=STREAM):
    return stream.train_stream[task].classes_in_this_experience


def cross_entropy(encoder, images, labels, classes):
    """Mean over the batch, among `classes`."""
    local = torch.tensor([classes.index(label) for label in labels.tolist()])
    return functional.cross_entropy(logits(encoder, images, classes), local)


def distance(one, other):
    """Largest relative distance of a parameter."""
    return max(float((one[name] - other[name]).norm() / other[name].norm()) for name in other)


def assert_same_streams(mine, plain):
    """All tasks, to 1e-9 relative."""
    assert len(mine) == len(plain) == 3
    for one, other in zip(mine, plain, strict=True):
        assert distance(one, other) < 1e-9
