"""Resizing as the protocol has it: Pillow's bicubic, the short side to a given length."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def short_side_to(size: int, height: int, width: int) -> tuple[int, int]:
    """Height and width once the short side is `size`; the long one is rounded down, as torchvision's Resize does."""
    if height <= width:
        return size, int(size * width / height)
    return int(size * height / width), size


def resize_short_side(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """(H, W, 3) with the short side brought to `size` pixels; the image itself if that is what it has."""
    height, width = short_side_to(size, *image.shape[:2])
    if image.shape[:2] == (height, width):
        return image
    return np.array(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC))
