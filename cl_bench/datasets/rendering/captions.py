"""How captions speak of a concept: 12 templates × {name, color and name, name and color on black}."""

import torch

from cl_bench.datasets.rendering.concepts import Concept

PROMPTS = (
    "{}",
    "a {}.",
    "the {}.",
    "this is a {}.",
    "a photo of a {}.",
    "a photo of the {}.",
    "a picture of a {}.",
    "a picture of the {}.",
    "an image of the {}.",
    "a drawing of the {}.",
    "a blurry photo of the {}.",
    "a noisy image of the {}.",
)

# Light ink only, red-green-blue in 0..1. White is as frequent as all others together.
COLORS = {
    "white": (1.0, 1.0, 1.0),
    "red": (1.0, 0.3, 0.3),
    "green": (0.3, 1.0, 0.3),
    "blue": (0.4, 0.5, 1.0),
    "yellow": (1.0, 1.0, 0.3),
    "cyan": (0.3, 1.0, 1.0),
    "pink": (1.0, 0.5, 0.9),
    "orange": (1.0, 0.65, 0.25),
    "purple": (0.75, 0.4, 1.0),
}
COLOR_NAMES = tuple(COLORS)


def draw_caption(concept: Concept, color: str, generator: torch.Generator) -> str:
    """One random caption of a concept drawn in a color."""
    name = concept.names[_draw(len(concept.names), generator)]
    phrase = (name, f"{color} {name}", f"{name} in {color} on black")[_draw(3, generator)]
    return PROMPTS[_draw(len(PROMPTS), generator)].format(phrase)


def _draw(count: int, generator: torch.Generator) -> int:
    return int(torch.randint(count, (), generator=generator))
