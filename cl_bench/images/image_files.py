"""Images that lie in files of any size, decoded when they are asked for."""

import hashlib
from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cl_bench.images.file_hashes import hashes
from cl_bench.runtime.errors import UserError

if TYPE_CHECKING:
    from cl_bench.images.images import ImageDataset


class ImageFiles:
    """A sequence of images, one file each.

    Args:
        root: The folder that the names are relative to.
        names: Paths of the files, with '/' between folders.
        remedy: What mends a missing or damaged file, for the message.
        kept_in: Folder in which the SHA-256 of files are kept, see `file_hashes`; None: all files are read for them.
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
                if image.mode.startswith(("I", "F")):  # which Pillow would clip, nearly all of it to white or black
                    raise ValueError("it has more than 8 bits per channel: save it with 8")
                return np.array(image.convert("RGB"))
        except (OSError, SyntaxError, TypeError, ValueError, Image.DecompressionBombError) as error:
            raise UserError(f"{path} is missing or damaged ({error}).\n{self._remedy}") from error

    def select(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> "ImageFiles":
        """The images of these rows, or where a mask is true."""
        some = copy(self)
        vars(some).pop("identity", None)
        some.names = tuple(np.array(self.names, dtype=object)[rows].tolist())
        return some

    @cached_property
    def identity(self) -> str:
        """SHA-256 (hex) of all files' contents, one after another; what the files are called does not matter.

        Raises:
            UserError: Files are missing, or cannot be read; names up to ten of them.
        """
        contents = hashes(self.root, self.names, self._kept_in, self._problem)
        return hashlib.sha256("\n".join(contents).encode()).hexdigest()

    def _anew(self, kept_in: Path) -> "ImageFiles":
        """The same files, not looked at yet; of the same class, which may decode them in a way of its own."""
        again = copy(self)
        vars(again).pop("identity", None)
        again._kept_in = kept_in
        return again

    def _problem(self, path: Path, problem: str) -> UserError:
        return UserError(f"{path} {problem}.\n{self._remedy}")


def looked_at_anew(dataset: "ImageDataset", kept_in: Path) -> "ImageDataset":
    """The data set with its image files as they are now; a process that does many runs may have read it long ago.

    Args:
        dataset: The data set.
        kept_in: Folder in which the SHA-256 of files are kept, see `file_hashes`.
    """
    splits = {
        name: replace(images, pixels=images.pixels._anew(kept_in))
        for name, images in (("train", dataset.train), ("test", dataset.test))
        if isinstance(images.pixels, ImageFiles)
    }
    return replace(dataset, **splits) if splits else dataset
