"""Scikit-learn's 1,797 real handwritten digits (Alpaydin and Kaynak 1998, UCI): shipped with scikit-learn."""

from functools import cache
from typing import Annotated, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field

from cl_bench.datasets.rendering.captions import PROMPTS
from cl_bench.images.images import ImageDataset, Images
from cl_bench.runtime.errors import UserError

SplitSeed: TypeAlias = Annotated[int, Field(ge=0, lt=2**32)]

_BORDER = 4
_SIZE = 24


@cache
def load(train: int = 1347, test: int = 450, seed: SplitSeed = 0) -> ImageDataset:
    """The digits as 32 x 32 images: 8 x 8 pixels, bicubic to 24 x 24, a black border of 4.

    Args:
        train: Number of training images.
        test: Number of test images; at most 1,797 together with `train`.
        seed: Of the split, which is stratified: each class has its share in both parts.

    Raises:
        UserError: There are not as many digits, or fewer than one of each class are asked for.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    data = load_digits()
    pixels = np.stack([_enlarge(image) for image in data.images])
    labels = data.target.astype(np.int64)
    if min(train, test) < 10 or train + test > len(labels):
        raise UserError(
            f"digits: dataset.train={train} and dataset.test={test}: each must be at least 10, one of each class, and "
            f"both together at most {len(labels)}."
        )
    rows = train_test_split(
        np.arange(len(labels)), train_size=train, test_size=test, stratify=labels, random_state=seed
    )
    train_images, test_images = (Images(pixels[part], labels[part]) for part in rows)
    return ImageDataset("digits", tuple(f"digit {i}" for i in range(10)), PROMPTS, train_images, test_images)


def _enlarge(image: NDArray[np.float64]) -> NDArray[np.uint8]:
    """(8, 8) in 0..16 to (32, 32, 3) in 0..255."""
    gray = Image.fromarray((image * (255 / 16)).round().astype(np.uint8))
    large = np.asarray(gray.resize((_SIZE, _SIZE), Image.Resampling.BICUBIC))
    return np.repeat(np.pad(large, _BORDER)[..., None], 3, axis=-1)
