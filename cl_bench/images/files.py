"""Images in files of any size, decoded when they are asked for."""

import hashlib
from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cl_bench.images.images import ImageDataset
from cl_bench.runtime.errors import UserError


class ImageFiles:
    """A sequence of images, one file each.

    Args:
        root: The folder that the names are relative to.
        names: Paths of the files, with '/' between folders.
        remedy: How to mend a missing or damaged file, for the message.
        kept_in: Folder that keeps the SHA-256 of each file, see `file_hashes`; None: every file is read for it.
    """

    def __init__(self, root: Path, names: Sequence[str], remedy: str, kept_in: Path | None = None) -> None:
        self.root, self.names, self._remedy, self._kept_in = Path(root), tuple(names), remedy, kept_in

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, row: int) -> NDArray[np.uint8]:
        """(H, W, 3) RGB.

        Raises:
            UserError: The file is missing or damaged, or has more than 8 bits per channel; names it.
        """
        path = self.root / self.names[row]
        try:
            with Image.open(path) as image:
                if image.mode.startswith(("I", "F")):  # Pillow would clip nearly all of it to white or black
                    raise ValueError("it has more than 8 bits per channel: save it with 8")
                return np.array(image.convert("RGB"))
        except (OSError, SyntaxError, TypeError, ValueError, Image.DecompressionBombError) as error:
            raise UserError(f"{path} is missing or damaged ({error}).\n{self._remedy}") from error

    def select(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> "ImageFiles":
        """The images of these rows, or those where a mask is true."""
        selected = self._copy()
        selected.names = tuple(np.array(self.names, dtype=object)[rows].tolist())
        return selected

    def refreshed(self, kept_in: Path) -> "ImageFiles":
        """The same files, not read yet; their hashes are kept in `kept_in`."""
        again = self._copy()
        again._kept_in = kept_in
        return again

    @cached_property
    def identity(self) -> str:
        """SHA-256 (hex) of all files' contents in their order, whatever the files are called.

        Raises:
            UserError: Files are missing or cannot be read; names up to ten of them.
        """
        from cl_bench.store.file_hashes import (
            hashes,
        )  # with PyTorch, which whoever looks at lists of files does without

        contents = hashes(self.root, self.names, self._kept_in, self._problem)
        return hashlib.sha256("\n".join(contents).encode()).hexdigest()

    def _copy(self) -> "ImageFiles":
        """A copy without the identity; it keeps the class, since a subclass may decode its files in its own way."""
        again = copy(self)
        vars(again).pop("identity", None)
        return again

    def _problem(self, path: Path, problem: str) -> UserError:
        return UserError(f"{path} {problem}.\n{self._remedy}")


def refreshed(dataset: ImageDataset, kept_in: Path) -> ImageDataset:
    """The data set with its image files as they are now: a process that does many runs may have read them long ago.

    Args:
        dataset: The data set.
        kept_in: Folder that keeps the SHA-256 of each file, see `file_hashes`.
    """
    train, test = (
        replace(images, pixels=images.pixels.refreshed(kept_in)) if isinstance(images.pixels, ImageFiles) else images
        for images in (dataset.train, dataset.test)
    )
    return dataset if train is dataset.train and test is dataset.test else replace(dataset, train=train, test=test)
