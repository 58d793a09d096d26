"""The ten textures, each image with its own period and phase, all of them sheared."""

from functools import cache

import numpy as np

from cl_bench.datasets.rendering.captions import PROMPTS
from cl_bench.datasets.rendering.concepts import of_group
from cl_bench.datasets.rendering.drawing import Distortion
from cl_bench.datasets.rendering.patterns import draw_textures
from cl_bench.datasets.rendering.splits import PerClass, Seed, Shear, draw_split
from cl_bench.images.images import ImageDataset
from cl_bench.runtime import seeds


@cache
def load(
    train_per_class: PerClass = 40, test_per_class: PerClass = 20, shear: Shear = 0.45, seed: Seed = 0
) -> ImageDataset:
    """Draws the textures.

    Args:
        train_per_class: Training images of each class.
        test_per_class: Test images of each class.
        shear: How far all pictures lean to the right, as the tangent of the angle.
        seed: Of everything random.
    """
    names = tuple(concept.names[0] for concept in of_group("textures"))
    splits = []
    for split, per_class in (("train", train_per_class), ("test", test_per_class)):
        shapes_generator = np.random.default_rng(seeds.derive(seed, "textures", split, "shapes"))
        shapes = [draw_textures(name, per_class, shapes_generator) for name in names]
        generator = seeds.generator(seed, "textures", split)
        splits.append(draw_split(shapes, per_class, Distortion(stroke=0, shear=shear), generator))
    train, test = splits
    return ImageDataset("textures", names, PROMPTS, train, test)
