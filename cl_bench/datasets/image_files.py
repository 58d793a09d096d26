"""Images that lie in files of any size, decoded when they are asked for."""

import hashlib
import os
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cl_bench.errors import UserError


class ImageFiles:
    """A sequence of images, one file each.

    Args:
        root: The folder that the names are relative to.
        names: Paths of the files, with '/' between folders.
        remedy: What mends a missing or damaged file, for the message.
    """

    def __init__(self, root: Path, names: Sequence[str], remedy: str) -> None:
        self.root, self.names, self._remedy = Path(root), tuple(names), remedy

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
        return ImageFiles(self.root, np.array(self.names, dtype=object)[rows].tolist(), self._remedy)

    @cached_property
    def identity(self) -> str:
        """SHA-256 (hex) of the names and sizes of all files: the same for every copy of them."""
        return self._digest(lambda status: str(status.st_size))

    @cached_property
    def state(self) -> str:
        """SHA-256 (hex) of names, sizes and times of last change: another one whenever a file was touched.

        Raises:
            UserError: A file is missing.
        """
        return self._digest(lambda status: f"{status.st_size} {status.st_mtime_ns}")

    def _digest(self, describe: Callable[[os.stat_result], str]) -> str:
        digest = hashlib.sha256()
        for name in self.names:
            try:
                status = os.stat(self.root / name)
            except OSError as error:
                raise UserError(f"{self.root / name} is missing ({error.strerror}).\n{self._remedy}") from error
            digest.update(f"{name}\0{describe(status)}\n".encode(errors="surrogateescape"))
        return digest.hexdigest()
