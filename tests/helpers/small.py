"""A scenario and an encoder so small that tests can compute everything a second time."""

import torch

from cl_bench.scenarios import ClassIncremental, DomainIncremental
from cl_bench.testing.small import TRANSFORM, SmallEncoder, head
from cl_bench.trainers import Given, Optimization
from tests.scenarios.conftest import make_dataset


def scenario(tasks=2, classes=6, per_class=10, **options):
    return ClassIncremental(make_dataset(classes, per_class), tasks, **options)


def domains(number=3, classes=6, per_class=4):
    return DomainIncremental(make_dataset(classes, per_class, number))


def pixels_at(samples, positions):
    """(b, H, W, 3): the images at `positions`, which come from one array."""
    ((array, rows, _),) = samples.located(positions)
    return torch.from_numpy(array[rows])


def optimization(**options):
    settings = {"optimizer": torch.optim.AdamW, "lr": 1e-2, "epochs": 3, "batch_size": 4, "warmup_steps": 5}
    return Optimization(**{**settings, **options})


def small_given(settings=None, **changed):
    """What a trainer is given, in double precision."""
    parts = {"encoder": SmallEncoder().double(), "head": head().double(), "transform": TRANSFORM}
    return Given(**{**parts, "optimization": settings or optimization(), **changed})
