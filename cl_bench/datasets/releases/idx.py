"""Reads gray images and labels from IDX files, the format of MNIST and of the data sets made after it."""

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cl_bench.datasets.releases.reading import checked_labels
from cl_bench.datasets.releases.release import Release
from cl_bench.images.images import Images


def read_split(release: Release, root: Path, prefix: str, first: int = 0) -> Images:
    """Reads `<prefix>-images-idx3-ubyte` and `<prefix>-labels-idx1-ubyte`, also with `.gz`; gray becomes RGB.

    Args:
        release: The data set.
        root: The folder of all data sets.
        prefix: Of the two files, below `root`: `MNIST/raw/train`.
        first: The smallest class id in the file.

    Raises:
        UserError: A file is missing or damaged.
    """
    images, labels = f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte"
    gray = read_array(release, root, images, 3)
    numbers = checked_labels(release, root, labels, read_array(release, root, labels, 1), first)
    if len(gray) != len(numbers):
        raise release.error(root, f"{Path(root) / images} is damaged: {len(gray)} images for {len(numbers)} labels")
    return Images(np.repeat(gray[..., None], 3, axis=-1), numbers)


def read_array(release: Release, root: Path, part: str, dimensions: int) -> NDArray[np.uint8]:
    """The array in an IDX file: a magic number, the shape (32-bit numbers, most significant byte first), the bytes.

    Args:
        release: The data set.
        root: The folder of all data sets.
        part: The file, below `root`; where it is missing, the same name with `.gz`.
        dimensions: Of the array.

    Raises:
        UserError: The file is missing or damaged.
    """
    path = release.find(root, part, f"{part}.gz")
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
            content = file.read()
        magic, *shape = struct.unpack_from(f">{1 + dimensions}I", content)
        if magic != 0x800 + dimensions:
            raise ValueError(f"it begins with {magic}")
        return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)
    except (OSError, EOFError, ValueError, struct.error, zlib.error) as error:
        raise release.error(root, f"{path} is damaged ({error})") from error
