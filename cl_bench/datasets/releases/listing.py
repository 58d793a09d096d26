"""Lists the image files in folders of classes."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cl_bench.runtime.errors import shortened

SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".jp2",
)  # fmt: skip
"""What an image's name ends in, in lower case; Pillow reads all of them."""


class Listing(NamedTuple):
    """Image files by the folders they lie in.

    Attributes:
        files: N paths below the listed folder, with '/' between folders; part by part, class by class, sorted.
        classes: Names of the class folders of all parts together, ASCII-sorted.
        labels: (N,) int64, positions in `classes`; a class has the same one in each part, even if some lack it.
        parts: (N,) int64, the part that each file lies in.
    """

    files: list[str]
    classes: list[str]
    labels: NDArray[np.int64]
    parts: NDArray[np.int64]

    def names(self, parts: Sequence[str]) -> list[str]:
        """N names `<part>/<class>/<file>` that do not depend on the names of the parts' folders."""
        return [
            f"{parts[part]}/{self.classes[label]}/{file.rpartition('/')[2]}"
            for file, label, part in zip(self.files, self.labels, self.parts, strict=True)
        ]


def list_images(
    folder: Path,
    error: Callable[[str], Exception],
    parts: Sequence[str] = ("",),
    inside: Callable[[Path], list[str]] | None = None,
) -> Listing:
    """Lists `folder/<part>/<class>/<image>`: all files with an image's suffix, except hidden ones.

    Args:
        folder: The folder of the parts.
        error: Makes the exception from a problem.
        parts: Folders below it (train and test, or the domains); '' if the classes lie in `folder` itself.
        inside: Lists the images of a class folder, as names below it; None: `images`.

    Raises:
        Exception: From `error`: a part without class folders, a class folder without images, a folder that is missing
            or unreadable.
    """
    inside = inside or images
    try:
        found = [(part, {name: inside(folder / part / name) for name in subfolders(folder / part)}) for part in parts]
    except OSError as problem:
        raise error(f"{problem.filename} cannot be read ({problem.strerror})") from problem
    classes = sorted({name for _, by_class in found for name in by_class})
    number = {name: i for i, name in enumerate(classes)}
    files, labels, sources = [], [], []
    for part, by_class in found:
        if not by_class:
            raise error(f"{folder / part} holds no class folders")
    if empty := [folder / part / name for part, by_class in found for name in by_class if not by_class[name]]:
        raise error(f"{shortened(empty)} {'holds' if len(empty) == 1 else 'hold'} no images")
    for i, (part, by_class) in enumerate(found):
        for name, of_class in by_class.items():
            files += ["/".join(filter(None, (part, name, file))) for file in of_class]
            labels += [number[name]] * len(of_class)
            sources += [i] * len(of_class)
    return Listing(files, classes, np.array(labels, dtype=np.int64), np.array(sources, dtype=np.int64))


def subfolders(folder: Path) -> list[str]:
    """Sorted names of the folders directly in `folder`, except hidden ones and those that macOS puts into archives."""
    with os.scandir(folder) as entries:
        return sorted(
            entry.name
            for entry in entries
            if os.path.isdir(entry.path) and not entry.name.startswith(".") and entry.name != "__MACOSX"
        )


def images(folder: Path) -> list[str]:
    """Sorted names of the images directly in `folder`, except hidden ones."""
    with os.scandir(folder) as entries:
        return sorted(
            entry.name
            for entry in entries
            if entry.name.lower().endswith(SUFFIXES) and not entry.name.startswith(".") and entry.is_file()
        )
