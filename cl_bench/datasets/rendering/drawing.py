"""From masks to images, in batches: distortion, ink, ground and noise."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from cl_bench.datasets.rendering.captions import COLOR_NAMES, COLORS

IMAGE_SIZE = 32
_BATCH = 256
_LARGEST_BLUR = 1.2  # standard deviation in pixels
_INKS = torch.tensor([COLORS[name] for name in COLOR_NAMES])


@dataclass(frozen=True)
class Distortion:
    """How far a picture may stray, and by what all pictures are moved.

    Attributes:
        rotation: Largest angle in degrees, either way.
        scale: Smallest and largest magnification.
        slant: Largest random shear and change of aspect, either way.
        shift: Largest shift as a share of the picture, either way.
        elastic: Standard deviation of the smooth displacement, as a share of half the picture.
        stroke: How far strokes vary in softness and weight, from 0 (as the font has them) to 1.
        noise: Standard deviation of the pixel noise, of a range of 0..1.
        shear: Shear that all pictures share, to the right at the top.
    """

    rotation: float = 8.0
    scale: tuple[float, float] = (0.85, 1.15)
    slant: float = 0.1
    shift: float = 0.06
    elastic: float = 0.02
    stroke: float = 1.0
    noise: float = 0.05
    shear: float = 0.0


def draw_images(masks: Tensor, colors: Tensor, distortion: Distortion, generator: torch.Generator) -> NDArray[np.uint8]:
    """Draws one image per mask: light ink on near black.

    Args:
        masks: (N, 48, 48) float in 0..1.
        colors: (N,) indices into `captions.COLOR_NAMES`.
        distortion: The geometry and the noise.
        generator: Source of what is random.

    Returns:
        (N, 32, 32, 3) uint8.
    """
    parts = [
        _draw_batch(some_masks, some_colors, distortion, generator)
        for some_masks, some_colors in zip(masks.split(_BATCH), colors.split(_BATCH), strict=True)
    ]
    return torch.cat(parts).numpy()


def draw_colors(count: int, generator: torch.Generator) -> Tensor:
    """(count,) indices into `captions.COLOR_NAMES`, half of them white."""
    colored = torch.randint(1, len(COLOR_NAMES), (count,), generator=generator)
    return torch.where(torch.rand(count, generator=generator) < 0.5, 0, colored)


def _draw_batch(masks: Tensor, colors: Tensor, distortion: Distortion, generator: torch.Generator) -> Tensor:
    count = len(masks)
    grid = _sampling_grid(count, distortion, generator)
    # (N, 1, 32, 32): how much of a pixel is ink.
    sampled = F.grid_sample(masks[:, None], grid, mode="bilinear", align_corners=False)
    ink_share = _vary_strokes(sampled, distortion.stroke, generator)
    brightness = _uniform(generator, 0.75, 1.0, count, 1, 1, 1)
    ink = _INKS[colors][:, :, None, None] * brightness
    ground = _uniform(generator, 0.0, 0.12, count, 3, 1, 1)
    image = ground + ink_share * (ink - ground)
    image = image + distortion.noise * torch.randn(image.shape, generator=generator)
    return (image.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def _vary_strokes(ink_share: Tensor, stroke: float, generator: torch.Generator) -> Tensor:
    """Blurs each picture (N, 1, 32, 32), then stretches some grays to 0..1: soft or hard, thin or bold."""
    count = len(ink_share)
    deviation = _uniform(generator, 0.0, 1.0, count, 1, 1, 1) * stroke * _LARGEST_BLUR
    position = torch.arange(IMAGE_SIZE)
    squared_distance = (position[:, None] - position) ** 2
    blur = torch.exp(-squared_distance / (2 * deviation**2 + 1e-6))
    blur = blur / blur.sum(dim=-1, keepdim=True)
    pictures = blur @ ink_share @ blur.mT
    black = _uniform(generator, 0.0, 0.3, count, 1, 1, 1) * stroke
    white = 1 - _uniform(generator, 0.0, 0.5, count, 1, 1, 1) * stroke
    return ((pictures - black) / (white - black)).clamp(0, 1)


def _sampling_grid(count: int, distortion: Distortion, generator: torch.Generator) -> Tensor:
    """(N, 32, 32, 2): where in the mask each pixel of the image looks, in -1..1."""
    angle = _uniform(generator, -1, 1, count) * np.deg2rad(distortion.rotation)
    scale = _uniform(generator, *distortion.scale, count)
    aspect = 1 + _uniform(generator, -1, 1, count) * distortion.slant
    # The vertical axis points down, so a lean to the right at the top is a negative shear of x by y.
    shear = _uniform(generator, -1, 1, count) * distortion.slant - distortion.shear
    shift = _uniform(generator, -1, 1, count, 2) * 2 * distortion.shift

    cos, sin, one, zero = angle.cos(), angle.sin(), torch.ones(count), torch.zeros(count)
    rotation = _matrices(cos, -sin, sin, cos)
    shearing = _matrices(one, shear, zero, one)
    stretching = _matrices(scale * aspect, zero, zero, scale / aspect)
    look_up = torch.linalg.inv(rotation @ shearing @ stretching)
    grid = F.affine_grid(
        torch.cat([look_up, -look_up @ shift[:, :, None]], dim=2),
        [count, 1, IMAGE_SIZE, IMAGE_SIZE],
        align_corners=False,
    )
    coarse = torch.randn(count, 2, 4, 4, generator=generator) * distortion.elastic
    smooth = F.interpolate(coarse, size=(IMAGE_SIZE, IMAGE_SIZE), mode="bicubic", align_corners=True)
    return grid + smooth.permute(0, 2, 3, 1)


def _matrices(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    """(N, 2, 2) of [[a, b], [c, d]]."""
    return torch.stack([a, b, c, d], dim=1).reshape(-1, 2, 2)


def _uniform(generator: torch.Generator, low: float, high: float, *shape: int) -> Tensor:
    return low + (high - low) * torch.rand(shape, generator=generator)
