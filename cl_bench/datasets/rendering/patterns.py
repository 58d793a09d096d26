"""The ten textures, as masks of the same size as a character's."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from cl_bench.datasets.rendering.masks import MASK_SIZE, Mask

_Field: TypeAlias = NDArray[np.float64]
_Ink: TypeAlias = NDArray[np.bool_] | NDArray[np.float64]  # truth, or 0 and 1
_PERIODS = (8, 16)  # smallest and largest distance between two repetitions, in pixels of the mask


def draw_textures(name: str, count: int, generator: np.random.Generator) -> torch.Tensor:
    """(count, 48, 48) masks of a texture, each drawn for itself."""
    return torch.from_numpy(np.stack([draw_texture(name, generator) for _ in range(count)]))


def draw_texture(name: str, generator: np.random.Generator) -> Mask:
    """Draws a texture with a random period, phase and share of ink.

    Args:
        name: Name of the texture, a class name of the group "textures".
        generator: Source of what is random.

    Returns:
        (48, 48) float32, 0 or 1.
    """
    period = generator.uniform(*_PERIODS)
    # Coordinates in periods; a random origin is the phase.
    row, column = generator.uniform(0, 1, 2)
    y, x = np.mgrid[0:MASK_SIZE, 0:MASK_SIZE] / period + np.array([row, column])[:, None, None]
    share = generator.uniform(0.35, 0.6)
    return _TEXTURES[name](x, y, share, generator).astype(np.float32)


def _stripes(position: _Field, share: float) -> _Ink:
    return position % 1 < share


def _checkerboard(x: _Field, y: _Field) -> _Ink:
    return (np.floor(2 * x) + np.floor(2 * y)) % 2


def _dots(x: _Field, y: _Field, share: float) -> _Ink:
    return np.hypot(x % 1 - 0.5, y % 1 - 0.5) < share * 0.65


def _grid(x: _Field, y: _Field, share: float) -> _Ink:
    return np.minimum(x % 1, y % 1) < share / 2


def _rings(x: _Field, y: _Field, share: float) -> _Ink:
    return _stripes(np.hypot(x - x.mean(), y - y.mean()), share)


def _waves(x: _Field, y: _Field, share: float) -> _Ink:
    return _stripes(y + 0.35 * np.sin(2 * np.pi * x), share)


def _bricks(x: _Field, y: _Field, share: float) -> _Ink:
    mortar = 0.12 + share / 4
    shifted = x / 1.5 + 0.5 * (np.floor(y) % 2)
    return (y % 1 > mortar) & (shifted % 1 > mortar / 1.5)


def _noise(share: float, generator: np.random.Generator) -> _Ink:
    coarse = generator.random((MASK_SIZE // 3, MASK_SIZE // 3)) < share
    return np.kron(coarse, np.ones((3, 3))).astype(np.float64)


_TEXTURES: dict[str, Callable[[_Field, _Field, float, np.random.Generator], _Ink]] = {
    "horizontal stripes": lambda x, y, share, _: _stripes(y, share),
    "vertical stripes": lambda x, y, share, _: _stripes(x, share),
    "diagonal stripes": lambda x, y, share, _: _stripes((x + y) / np.sqrt(2), share),
    "checkerboard": lambda x, y, share, _: _checkerboard(x, y),
    "dots": lambda x, y, share, _: _dots(x, y, share),
    "grid": lambda x, y, share, _: _grid(x, y, share),
    "rings": lambda x, y, share, _: _rings(x, y, share),
    "waves": lambda x, y, share, _: _waves(x, y, share),
    "bricks": lambda x, y, share, _: _bricks(x, y, share),
    "noise": lambda x, y, share, generator: _noise(share, generator),
}
