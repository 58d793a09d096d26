"""One split of a drawn data set: every class equally often, its shapes in equal shares."""

from typing import Annotated, TypeAlias

import numpy as np
import torch
from pydantic import Field, FiniteFloat
from torch import Tensor

from cl_bench.datasets.rendering.drawing import Distortion, draw_colors, draw_images
from cl_bench.images.images import Images

PerClass: TypeAlias = Annotated[int, Field(ge=1)]
"""Images of each class."""

Seed: TypeAlias = Annotated[int, Field(ge=0)]

Shear: TypeAlias = Annotated[FiniteFloat, Field(ge=-1, le=1)]
"""Tangent of the angle by which pictures lean to the right; beyond 45 degrees they leave their frame."""


def draw_split(shapes: list[Tensor], per_class: int, distortion: Distortion, generator: torch.Generator) -> Images:
    """Draws `per_class` images of each class, each distorted and inked for itself.

    Args:
        shapes: Per class, (M, 48, 48) masks; M may differ between classes.
        per_class: Images of each class. Shapes are used equally often, up to one.
        distortion: The geometry and the noise.
        generator: Source of what is random.
    """
    masks = torch.cat([some[_equal_shares(len(some), per_class, generator)] for some in shapes])
    pixels = draw_images(masks, draw_colors(len(masks), generator), distortion, generator)
    return Images(pixels, np.arange(len(shapes), dtype=np.int64).repeat(per_class))


def _equal_shares(choices: int, count: int, generator: torch.Generator) -> Tensor:
    """(count,) indices below `choices`, each equally often up to one; what is left over is random."""
    rounds = [torch.randperm(choices, generator=generator) for _ in range(-(-count // choices))]
    return torch.cat(rounds)[:count]
