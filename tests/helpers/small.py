"""A scenario and an encoder so small that tests can compute everything a second time."""

import torch
from torch import nn

from cl_bench.images.transforms import ImageTransform
from cl_bench.scenarios import ClassIncremental, DomainIncremental
from cl_bench.trainers import Given, Optimization
from tests.scenarios.conftest import make_dataset

TRANSFORM = ImageTransform(8, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


class SmallEncoder(nn.Module):
    """(B, 3, 8, 8) to (B, 5): a patch embedding, one attention block, a projection, as a small ViT has them."""

    def __init__(self, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.patches = nn.Conv2d(3, 12, 4, stride=4)
        self.block = nn.TransformerEncoderLayer(12, 2, 24, dropout=0.0, batch_first=True)
        self.proj = nn.Parameter(torch.randn(12, 5))

    def forward(self, images):
        planes = self.patches(images.to(self.proj.dtype))
        tokens = planes.reshape(*planes.shape[:2], -1).transpose(1, 2)  # which refuses no images, as open_clip's do
        return self.block(tokens).mean(dim=1) @ self.proj


def scenario(tasks=2, classes=6, per_class=10, **options):
    return ClassIncremental(make_dataset(classes, per_class), tasks, **options)


def domains(number=3, classes=6, per_class=4):
    return DomainIncremental(make_dataset(classes, per_class, number))


def pixels_at(samples, positions):
    """(b, H, W, 3): the images at `positions`, which come from one array."""
    ((array, rows, _),) = samples.located(positions)
    return torch.from_numpy(array[rows])


def head(classes=6, seed=1):
    return 10 * nn.functional.normalize(torch.randn(classes, 5, generator=torch.Generator().manual_seed(seed)), dim=1)


def optimization(**options):
    settings = {"optimizer": torch.optim.AdamW, "lr": 1e-2, "epochs": 3, "batch_size": 4, "warmup_steps": 5}
    return Optimization(**{**settings, **options})


def small_given(settings=None, **changed):
    """What a trainer is given, in double precision."""
    parts = {"encoder": SmallEncoder().double(), "head": head().double(), "transform": TRANSFORM}
    return Given(**{**parts, "optimization": settings or optimization(), **changed})
