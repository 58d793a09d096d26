"""A character in a font as a mask: 48 x 48 float in 0..1, 1 where there is ink."""

from collections.abc import Iterable
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from cl_bench.datasets.rendering.concepts import Concept
from cl_bench.datasets.rendering.fonts import open_font

MASK_SIZE = 48
_EM = 40
_BASELINE = 34  # centers what lies between the deepest descender and the highest ascender
_LARGEST_SIGN = 42

Mask = NDArray[np.float32]
Placement = Literal["baseline", "centered"]


def draw_concept(concept: Concept, fonts: Iterable[str]) -> torch.Tensor:
    """(M, 48, 48) masks of a character in M fonts; letters sit on their line, signs in the middle."""
    placement: Placement = "centered" if concept.group in ("symbols", "games") else "baseline"
    return torch.from_numpy(np.stack([draw_character(concept.character, font, placement) for font in fonts]))


def draw_character(character: str, font: str, placement: Placement = "baseline") -> Mask:
    """Draws one character.

    Args:
        character: What to draw.
        font: File name of one of matplotlib's fonts, without its ending.
        placement: "baseline" keeps size and height on the line as in running text, which tells a capital
            letter from a small one. "centered" moves the ink to the middle, and shrinks it where it would not
            fit.

    Returns:
        (48, 48) float32 in 0..1.

    Raises:
        ValueError: If the font draws nothing for the character.
    """
    if placement == "baseline":
        image = _write(character, font, _EM, MASK_SIZE)
    else:
        image = _center(character, font, _EM)
    if image.getbbox() is None:
        raise ValueError(f"{font} draws nothing for {character!r}")
    return _as_mask(image)


def _write(character: str, font: str, em: int, size: int) -> Image.Image:
    image = Image.new("L", (size, size))
    where = (size / 2, (size - MASK_SIZE) / 2 + _BASELINE)
    ImageDraw.Draw(image).text(where, character, fill=255, font=open_font(font, em), anchor="ms")
    return image


def _center(character: str, font: str, em: int) -> Image.Image:
    page = _write(character, font, em, size=2 * MASK_SIZE)
    left, top, right, bottom = page.getbbox() or (0, 0, 0, 0)
    extent = max(right - left, bottom - top)
    if extent > _LARGEST_SIGN:
        return _center(character, font, em * _LARGEST_SIGN // extent)
    x, y = (left + right - MASK_SIZE) // 2, (top + bottom - MASK_SIZE) // 2
    return page.crop((x, y, x + MASK_SIZE, y + MASK_SIZE))


def outline(mask: Mask) -> Mask:
    """The rim of a shape: what one pixel of growth adds, and the outermost pixel of ink."""
    image = Image.fromarray((mask * 255).astype(np.uint8))
    grown = _as_mask(image.filter(ImageFilter.MaxFilter(3)))
    shrunk = _as_mask(image.filter(ImageFilter.MinFilter(3)))
    return grown - shrunk


def _as_mask(image: Image.Image) -> Mask:
    return np.asarray(image, dtype=np.float32) / np.float32(255)
