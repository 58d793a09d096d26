"""The protocol's image transforms, on whole batches and on the device.

Training: RandomResizedCrop(size, scale 0.9 to 1, bicubic). Evaluation: Resize(size, bicubic) of the short side,
CenterCrop. Both end with the backbone's mean and standard deviation, and neither flips.

Resampling is linear in the pixels and separable, so a batch is resized by two batched matrix products, one matrix
per image and axis. The matrices hold Pillow's antialiased bicubic kernel, and the result is rounded to 8 bits after
each axis as Pillow's is. Where images are enlarged, `batched` and `pillow` differ by one gray level here and there,
by two at most. Where they shrink, Pillow 13 takes the vertical axis first for some shapes, by a rule of
its own; rounding and clipping in between then make single pixels of pure noise differ by up to 25 levels, and all of
them by less than one on average.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional

from cl_bench.images.resizing import resize_short_side, short_side_to
from cl_bench.runtime.float32_products import float32_products
from cl_bench.runtime.to_device import to_device

Resampling = Literal["batched", "pillow"]

VERSION = 1
"""Rises when the same images and draws give other pixels; part of every backbone's identity."""

_SCALE = (0.9, 1.0)  # of the image's area
_RATIO = (3 / 4, 4 / 3)  # width to height
_ATTEMPTS = 10


def draw_crops(count: int, generator: torch.Generator) -> Tensor:
    """Random numbers for one random crop per image: (4, count, 10) float64, uniform in 0 to 1."""
    return torch.rand((4, count, _ATTEMPTS), generator=generator, dtype=torch.float64)


def crop_boxes(sizes: Tensor, draws: Tensor) -> Tensor:
    """One random crop per image, as torchvision's RandomResizedCrop takes it.

    Ten boxes are drawn at once (area uniform in 0.9 to 1 of the image's, aspect ratio log-uniform in 3/4 to 4/3). The
    first one that fits is taken; if none does, the largest centered box with an allowed aspect ratio.

    Args:
        sizes: (N, 2) heights and widths.
        draws: (4, N, 10) from `draw_crops`.

    Returns:
        (N, 4) int64: top, left, height, width.
    """
    height, width = sizes[:, :1].double(), sizes[:, 1:].double()
    area = height * width * (_SCALE[0] + (_SCALE[1] - _SCALE[0]) * draws[0])
    low, high = np.log(_RATIO)
    ratio = torch.exp(low + (high - low) * draws[1])
    w, h = torch.round(torch.sqrt(area * ratio)), torch.round(torch.sqrt(area / ratio))
    fits = (w > 0) & (w <= width) & (h > 0) & (h <= height)
    first = fits.int().argmax(dim=1, keepdim=True)
    w, h, u, v = (x.gather(1, first) for x in (w, h, draws[2], draws[3]))
    drawn = torch.cat([torch.floor(u * (height - h + 1)), torch.floor(v * (width - w + 1)), h, w], dim=1)
    return torch.where(fits.any(dim=1, keepdim=True), drawn, _central_crops(height, width)).long()


def _central_crops(height: Tensor, width: Tensor) -> Tensor:
    w = torch.minimum(width, torch.round(height * _RATIO[1]))
    h = torch.minimum(height, torch.round(width / _RATIO[0]))
    return torch.cat([(height - h) // 2, (width - w) // 2, h, w], dim=1)


class ImageTransform:
    """Turns 8-bit images into the input of a backbone.

    Args:
        size: Side of the square output, in pixels.
        mean: Per channel, of pixel values in 0 to 1.
        std: Per channel, of pixel values in 0 to 1.
        resampling: `batched` (matrix products, on the images' device) or `pillow` (image by image, on the CPU).
    """

    def __init__(
        self, size: int, mean: tuple[float, ...], std: tuple[float, ...], resampling: Resampling = "batched"
    ) -> None:
        self.size = size
        self.resampling = resampling
        self._mean = torch.tensor(mean).view(1, 3, 1, 1) * 255
        self._std = torch.tensor(std).view(1, 3, 1, 1) * 255

    def __call__(self, pixels: Tensor, crops: Tensor | None = None) -> Tensor:
        """Transforms a batch of images of one size.

        Args:
            pixels: (B, H, W, 3) uint8.
            crops: (B, 4) int64 boxes (top, left, height, width) for training; None: the evaluation transform.

        Returns:
            (B, 3, size, size) float32 on the device of `pixels`.
        """
        if crops is None and pixels.shape[1:3] == (self.size, self.size):
            resized = pixels.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format)
        elif self.resampling == "pillow":
            resized = self._pillow(pixels, crops)
        elif crops is None:
            resized = self._evaluation(pixels)
        else:
            resized = self._training(pixels, crops)
        return resized.sub_(to_device(self._mean, resized.device)).div_(to_device(self._std, resized.device))

    def squares(self, images: Sequence[NDArray[np.uint8]], draws: Tensor | None = None) -> Tensor:
        """Brings images of any size to the backbone's size, one by one on the CPU.

        Args:
            images: B arrays (H, W, 3).
            draws: (4, B, 10) from `draw_crops` for training; None: the square that evaluation sees.

        Returns:
            (B, size, size, 3) uint8; the evaluation transform only subtracts the mean and divides by the deviation.
        """
        squares = torch.empty(
            len(images), 3, self.size, self.size, dtype=torch.uint8
        )  # the memory order of the fast crop
        if torch.utils.data.get_worker_info() is not None:
            squares.share_memory_()  # before it is filled, which saves a copy for the training process
        if draws is None:
            for square, image in zip(squares, images, strict=True):
                square.copy_(_channels_first(short_side_square(image, self.size)))
        else:
            sizes = torch.tensor([image.shape[:2] for image in images]).view(-1, 2)
            crop = self._pillow_crop if self.resampling == "pillow" else self._fast_crop
            for square, image, box in zip(squares, images, crop_boxes(sizes, draws).tolist(), strict=True):
                square.copy_(crop(image, box))
        return squares.permute(0, 2, 3, 1)

    def _fast_crop(self, image: NDArray[np.uint8], box: list[int]) -> Tensor:
        top, left, height, width = box
        part = _channels_first(image[top : top + height, left : left + width])
        return functional.interpolate(part[None], (self.size, self.size), mode="bicubic", antialias=True)[0]

    def _pillow_crop(self, image: NDArray[np.uint8], box: list[int]) -> Tensor:
        top, left, height, width = box
        part = Image.fromarray(image).crop((left, top, left + width, top + height))
        return _channels_first(np.array(part.resize((self.size, self.size), Image.Resampling.BICUBIC)))

    def _training(self, pixels: Tensor, crops: Tensor) -> Tensor:
        top, left, height, width = crops.unbind(dim=1)
        rows = resampling_matrices(top, height, pixels.shape[1], self.size)
        columns = resampling_matrices(left, width, pixels.shape[2], self.size)
        return _resample(pixels, rows, columns)

    def _evaluation(self, pixels: Tensor) -> Tensor:
        (height, width), device = pixels.shape[1:3], pixels.device
        new_height, new_width = short_side_to(self.size, height, width)
        matrices = []
        for old, new in ((height, new_height), (width, new_width)):
            whole = torch.full((1,), 0, device=device), torch.full((1,), old, device=device)  # nothing is copied
            start = _center(new, self.size)
            matrices.append(resampling_matrices(*whole, old, new)[:, start : start + self.size])
        return _resample(pixels, *matrices)

    def _pillow(self, pixels: Tensor, crops: Tensor | None) -> Tensor:
        images = pixels.cpu().numpy()
        if crops is None:
            squares = [_channels_first(short_side_square(image, self.size)) for image in images]
        else:
            squares = [self._pillow_crop(image, box) for image, box in zip(images, crops.tolist(), strict=True)]
        return torch.stack(squares).to(pixels.device).float()


def _channels_first(image: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(image).permute(2, 0, 1)


def short_side_square(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Resize(size, bicubic) of the short side and CenterCrop, with Pillow: (H, W, 3) to (size, size, 3)."""
    resized = resize_short_side(image, size)
    top, left = (_center(length, size) for length in resized.shape[:2])
    return np.ascontiguousarray(resized[top : top + size, left : left + size])


def resampling_matrices(start: Tensor, length: Tensor, old: int, new: int) -> Tensor:
    """Bicubic resampling of part of an axis, as one matrix per image.

    Output pixel i looks at the part's position (i + 1/2) · length / new; its weights are Keys' cubic kernel (a = -1/2),
    widened by length / new where the axis shrinks, cut off at the part's ends and normalized to sum 1.

    Args:
        start: (B,) first pixel of the part.
        length: (B,) pixels of the part.
        old: Pixels of the whole axis.
        new: Pixels wanted.

    Returns:
        (B, new, old) float32; row i holds the weights of output pixel i.
    """
    device = start.device
    start, length = start.double().view(-1, 1, 1), length.double().view(-1, 1, 1)
    scale = length / new
    width = scale.clamp(min=1.0)
    center = (torch.arange(new, device=device).view(1, -1, 1) + 0.5) * scale
    pixel = torch.arange(old, device=device).view(1, 1, -1) - start
    first = torch.floor(center - 2 * width + 0.5).clamp(min=0)
    last = torch.minimum(torch.floor(center + 2 * width + 0.5), length)
    weights = _cubic((pixel - center + 0.5) / width) * ((pixel >= first) & (pixel < last))
    return (weights / weights.sum(dim=2, keepdim=True)).float()


def _cubic(x: Tensor) -> Tensor:
    x = x.abs()
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return torch.where(x < 1, near, torch.where(x < 2, far, torch.zeros_like(x)))


def _resample(pixels: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """(B, H, W, 3) uint8 and matrices (B or 1, new, H), (B or 1, new, W) to (B, 3, new, new) in 0 to 255."""
    planes = pixels.permute(0, 3, 1, 2).float()
    with torch.autocast(pixels.device.type, enabled=False), float32_products("highest"):
        horizontal = torch.matmul(planes, columns.transpose(1, 2).unsqueeze(1)).round_().clamp_(0, 255)
        return torch.matmul(rows.unsqueeze(1), horizontal).round_().clamp_(0, 255)


def _center(length: int, size: int) -> int:
    return round((length - size) / 2)
