"""The 26 capital letters in six renderings, as domains; the pre-training of `tiny_clip` saw none of them."""

import string
from collections.abc import Iterable
from dataclasses import replace
from functools import cache

import numpy as np
import torch

from cl_bench.datasets.rendering.captions import PROMPTS
from cl_bench.datasets.rendering.concepts import of_group
from cl_bench.datasets.rendering.drawing import Distortion
from cl_bench.datasets.rendering.fonts import held_out_fonts
from cl_bench.datasets.rendering.masks import draw_character, draw_concept, outline
from cl_bench.datasets.rendering.splits import PerClass, Seed, draw_split
from cl_bench.images.images import ImageDataset, Images
from cl_bench.runtime import seeds

# Unicode has rows of mathematical letters; those that it already had elsewhere are missing in the row.
_SCRIPT = dict(zip("BEFHILMR", "ℬℰℱℋℐℒℳℛ", strict=True))
_DOUBLE_STRUCK = dict(zip("CHNPQRZ", "ℂℍℕℙℚℝℤ", strict=True))

_PLAIN = Distortion(stroke=0)
_DISTORTIONS = {
    "script": _PLAIN,
    "double-struck": _PLAIN,
    "circled": _PLAIN,
    "outline": _PLAIN,
    "sheared": replace(_PLAIN, shear=0.3),
    "small": replace(_PLAIN, scale=(0.5, 0.65)),
}


@cache
def load(train_per_class: PerClass = 25, test_per_class: PerClass = 8, seed: Seed = 0) -> ImageDataset:
    """Draws the letters in all domains.

    Args:
        train_per_class: Training images of each class in each domain.
        test_per_class: Test images of each class in each domain: other draws of the same shapes.
        seed: Of everything random.
    """
    domains = tuple(_DISTORTIONS)
    train, test = (
        _join(
            [
                draw_split(_shapes(domain), per_class, _DISTORTIONS[domain], seeds.generator(seed, domain, split))
                for domain in domains
            ]
        )
        for split, per_class in (("train", train_per_class), ("test", test_per_class))
    )
    names = tuple(concept.names[0] for concept in of_group("capitals"))
    return ImageDataset("glyph_domains", names, PROMPTS, train, test, domains)


def _join(parts: list[Images]) -> Images:
    return Images(
        np.concatenate([part.pixels for part in parts]),
        np.concatenate([part.labels for part in parts]),
        np.arange(len(parts), dtype=np.int64).repeat([len(part) for part in parts]),
    )


@cache
def _shapes(domain: str) -> list[torch.Tensor]:
    """Per letter, (M, 48, 48) masks."""
    if domain == "script":
        return [
            _draw(
                [
                    (_SCRIPT.get(letter, chr(0x1D49C + i)), "STIXGeneral"),
                    (chr(0x1D4D0 + i), "STIXGeneral"),
                    (letter, "cmsy10"),
                ]
            )
            for i, letter in enumerate(string.ascii_uppercase)
        ]
    if domain == "double-struck":
        with_double = ("STIXGeneral", "DejaVuSans", "DejaVuSerif")
        return [
            _draw((_DOUBLE_STRUCK.get(letter, chr(0x1D538 + i)), font) for font in with_double)
            for i, letter in enumerate(string.ascii_uppercase)
        ]
    if domain == "circled":
        with_circled = ("STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "STIXGeneralBolIta")
        return [_draw((chr(0x24B6 + i), font) for font in with_circled) for i in range(26)]
    letters = [draw_concept(concept, held_out_fonts("capitals")) for concept in of_group("capitals")]
    if domain == "outline":
        return [torch.from_numpy(np.stack([outline(mask) for mask in masks.numpy()])) for masks in letters]
    return letters


def _draw(characters: Iterable[tuple[str, str]]) -> torch.Tensor:
    return torch.from_numpy(np.stack([draw_character(c, font, "centered") for c, font in characters]))
