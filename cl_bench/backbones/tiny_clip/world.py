"""What pre-training sees: every concept in several shapes, with new distortions, colors and captions each time."""

from collections.abc import Callable, Collection

import numpy as np
import torch
from numpy.typing import NDArray

from cl_bench.datasets.rendering.captions import COLOR_NAMES, draw_caption
from cl_bench.datasets.rendering.concepts import CONCEPTS, Group
from cl_bench.datasets.rendering.drawing import Distortion, draw_colors, draw_images
from cl_bench.datasets.rendering.masks import draw_concept
from cl_bench.datasets.rendering.patterns import draw_textures
from cl_bench.runtime import seeds

_DRAWS_OF_A_TEXTURE = 60


class World:
    """All concepts, drawn in some fonts.

    Args:
        fonts: Maps a group of concepts to its fonts, `fonts.pretraining_fonts` for example.
        seed: Seed of the textures' shapes.
    """

    def __init__(self, fonts: Callable[[Group], tuple[str, ...]], seed: int) -> None:
        generator = np.random.default_rng(seed)
        shapes = [
            draw_textures(concept.names[0], _DRAWS_OF_A_TEXTURE, generator)
            if concept.group == "textures"
            else draw_concept(concept, fonts(concept.group))
            for concept in CONCEPTS
        ]
        self._shapes = torch.cat(shapes)
        self._counts = torch.tensor([len(some) for some in shapes])
        self._first = self._counts.cumsum(0) - self._counts

    def draw(self, count: int, generator: torch.Generator) -> tuple[NDArray[np.uint8], list[str], torch.Tensor]:
        """Draws images of concepts; the concept and its shape are uniformly random.

        Returns:
            Images (count, 32, 32, 3), one caption each, and (count,) indices into `CONCEPTS`.
        """
        concepts = torch.randint(len(CONCEPTS), (count,), generator=generator)
        which = (torch.rand(count, generator=generator) * self._counts[concepts]).long()
        colors = draw_colors(count, generator)
        images = draw_images(self._shapes[self._first[concepts] + which], colors, Distortion(), generator)
        captions = [
            draw_caption(CONCEPTS[concept], COLOR_NAMES[color], generator)
            for concept, color in zip(concepts.tolist(), colors.tolist(), strict=True)
        ]
        return images, captions, concepts


def draw_test(
    fonts: Callable[[Group], tuple[str, ...]], groups: Collection[Group], seed: int
) -> tuple[NDArray[np.uint8], torch.Tensor]:
    """Draws 4,000 new images and keeps those of some groups; returns them and (N,) indices into `CONCEPTS`."""
    world = World(fonts, seeds.derive(seed, "test shapes"))
    images, _, concepts = world.draw(4000, seeds.generator(seed, "test images"))
    wanted = torch.tensor([CONCEPTS[concept].group in groups for concept in concepts.tolist()])
    return images[wanted.numpy()], concepts[wanted]
