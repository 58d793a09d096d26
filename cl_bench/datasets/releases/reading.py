"""Reads what several releases have in common: lists of images, MATLAB files, arrays of labels."""

import posixpath
import zlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cl_bench.datasets.releases.list_files import lines
from cl_bench.datasets.releases.release import Release
from cl_bench.images.images import Images


def read_lines(release: Release, root: Path, part: str) -> list[str]:
    """The lines of a text file that are not empty, without spaces around them.

    Args:
        release: The data set.
        root: The folder of all data sets.
        part: The file, below `root`.

    Raises:
        UserError: The file is missing, empty, or not text.
    """
    path = release.find(root, part)
    found = [line.strip() for line in lines(path, partial(release.error, root))]
    if not any(found):
        raise release.error(root, f"{path} is empty")
    return [line for line in found if line]


def read_mat(release: Release, root: Path, part: str) -> dict[str, Any]:
    """The variables of a MATLAB file; dimensions of size 1 are removed.

    Raises:
        UserError: The file is missing or damaged.
    """
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    path = release.find(root, part)
    # What scipy raises for files that are cut off or overwritten; found by trying many.
    damage = (OSError, ValueError, TypeError, LookupError, NotImplementedError, zlib.error, MatReadError)
    try:
        variables: dict[str, Any] = loadmat(path, squeeze_me=True)
    except damage as error:
        raise release.error(root, f"{path} is damaged ({error})") from error
    return variables


def by_folder(
    release: Release, root: Path, part: str, names: Sequence[str], classes: Sequence[str], listing: str
) -> Images:
    """Images whose folder is their class.

    Args:
        release: The data set.
        root: The folder of all data sets.
        part: The folder of the images, below `root`.
        names: The images, below that folder.
        classes: The folders' names in the order of the class ids.
        listing: The file or folder below `root` that lists the names, for the message.

    Raises:
        UserError: The folder is missing, or a name is not that of a JPEG file in the folder of a class.
    """
    folder = release.find(root, part)
    numbers = {class_name: number for number, class_name in enumerate(classes)}
    for name in names:
        if posixpath.dirname(name) not in numbers or not name.endswith(".jpg"):
            raise release.error(root, f"{Path(root) / listing} is damaged: {name!r} is no image of a known class")
    labels = np.array([numbers[posixpath.dirname(name)] for name in names], dtype=np.int64)
    return Images(release.images(root, folder, names), labels)


def checked_labels(release: Release, root: Path, part: str, labels: ArrayLike, first: int = 0) -> NDArray[np.int64]:
    """Labels as (N,) int64, from 0.

    Args:
        release: The data set.
        root: The folder of all data sets.
        part: The file below `root` that has them, for the message.
        labels: Class ids, as in the file.
        first: The smallest class id in the file.

    Raises:
        UserError: There are no labels, or one is not the id of a class.
    """
    path = Path(root) / part
    try:
        numbers = np.asarray(labels).astype(np.int64).reshape(-1) - first
    except (ValueError, TypeError, OverflowError) as error:
        raise release.error(root, f"{path} is damaged: its labels are no numbers ({error})") from error
    if not len(numbers):
        raise release.error(root, f"{path} is damaged: it holds no label")
    for wrong in numbers[(numbers < 0) | (numbers >= release.classes)]:
        raise release.error(root, f"{path} is damaged: it has the label {wrong + first}, which is no class")
    return numbers
