"""What every data set is made of: images, labels and, if there are several, domains."""

import hashlib
import inspect
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cl_bench.runtime.errors import UserError


class SingleImages(Protocol):
    """A sequence of images of any size, read one by one: from files, the prepared cache, or a class of the user's."""

    @property
    def identity(self) -> str:
        """Differs whenever an image does."""

    def __len__(self) -> int: ...

    def __getitem__(self, row: int, /) -> NDArray[np.uint8]:
        """(H, W, 3) RGB."""


Pixels: TypeAlias = NDArray[np.uint8] | SingleImages
"""One array of images of one size, (N, H, W, 3) RGB; or a sequence of (H, W, 3) images of any size."""


@dataclass(frozen=True, eq=False)
class Images:
    """One split of a data set, in memory, memory-mapped or in files.

    Attributes:
        pixels: N images, uint8 RGB.
        labels: (N,) int64, indices into the data set's class names.
        domains: (N,) int64, indices into the data set's domain names; None if there is only one domain.
        origin: Identity of the files that the pixels were decoded and shrunk from; empty for pixels as they came.

    Raises:
        ValueError: If a shape or dtype is not the one above, or an index is negative.
    """

    pixels: Pixels
    labels: NDArray[np.int64]
    domains: NDArray[np.int64] | None = None
    origin: str = ""

    def __post_init__(self) -> None:
        if isinstance(self.pixels, np.ndarray):
            self._check_array(self.pixels)
        elif (
            inspect.getattr_static(self.pixels, "identity", None) is None
        ):  # reading the identity itself may read all files
            kind = type(self.pixels).__name__
            raise ValueError(f"pixels must be uint8 of shape (N, H, W, 3), or images with an identity, not {kind}")
        _check_indices("labels", self.labels, len(self.pixels))
        if self.domains is not None:
            _check_indices("domains", self.domains, len(self.pixels))

    @staticmethod
    def _check_array(pixels: NDArray[Any]) -> None:
        if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[-1] != 3:
            raise ValueError(f"pixels must be uint8 of shape (N, H, W, 3), not {pixels.dtype} of {pixels.shape}")

    def __len__(self) -> int:
        return len(self.labels)


class Shots(NamedTuple):
    """How a data set's training images were drawn, see `shots`.

    Attributes:
        per_class: Number of images of each class.
        seed: Of the draw.
        drawn_from: Number of all training images.
    """

    per_class: int
    seed: int
    drawn_from: int


@dataclass(frozen=True, eq=False)
class ImageDataset:
    """A data set: two splits, and the words for its classes.

    Attributes:
        name: Name of the data set.
        class_names: One name per label.
        prompts: Templates of the zero-shot head; '{}' stands for the class name.
        train: Training images.
        test: Test images.
        domain_names: One name per domain; empty if there is only one.
        split: `official`; or for a split of our own, see `split`, the SHA-256 of the list of test images.
        shots: How `train` was drawn from all training images; None where it has them all.

    Raises:
        ValueError: If a label or domain has no name, a prompt has no '{}', or only one of domain names and
            domain indices is given.
        UserError: If a name cannot be written as text.
    """

    name: str
    class_names: tuple[str, ...]
    prompts: tuple[str, ...]
    train: Images
    test: Images
    domain_names: tuple[str, ...] = ()
    split: str = "official"
    shots: Shots | None = None

    def __post_init__(self) -> None:
        if not self.name.isprintable():
            raise UserError(f"dataset.name={self.name!a} has characters that cannot be printed; name it otherwise.")
        for kind, names in (("class", self.class_names), ("domain", self.domain_names), ("prompt", self.prompts)):
            _check_text(f"{self.name}: the {kind}", names)
        if isinstance(self.prompts, str):
            raise ValueError(f"{self.name}: prompts are a tuple of texts, not one text: ({self.prompts!r},)")
        if not self.prompts or any("{}" not in prompt for prompt in self.prompts):
            raise ValueError(f"{self.name}: there must be prompts, each with a '{{}}' for the class name")
        for split, images in (("train", self.train), ("test", self.test)):
            _check_range(f"{self.name}: {split} labels", images.labels, len(self.class_names))
            if (images.domains is not None) != bool(self.domain_names):
                raise ValueError(f"{self.name}: domain names and {split} domains belong together")
            if images.domains is not None:
                _check_range(f"{self.name}: {split} domains", images.domains, len(self.domain_names))

    @cached_property
    def identity(self) -> str:
        """SHA-256 (hex) of everything that shapes what is learned: words, prompts and both splits' arrays.

        The name of the data set does not count, so a folder may be moved.
        """
        digest = hashlib.sha256(json.dumps([self.class_names, self.prompts, self.domain_names]).encode())
        for images in (self.train, self.test):
            _update(digest, images.pixels, images.labels, images.domains)
        return digest.hexdigest()

    @cached_property
    def images_identity(self) -> str:
        """SHA-256 (hex) of both splits' images, labels and domains as they came, before any preparation.

        Runs on the same images share it, whatever their model and prompts.
        """
        digest = hashlib.sha256()
        for images in (self.train, self.test):
            _update(digest, images.origin or images.pixels, images.labels, images.domains)
        return digest.hexdigest()


def _update(digest: Any, *contents: Pixels | NDArray[np.int64] | str | None) -> None:
    for content in contents:
        if isinstance(content, np.ndarray):
            digest.update(f"{content.dtype.str}{content.shape}".encode())
            digest.update(np.ascontiguousarray(content))
        elif content is not None:
            digest.update((content if isinstance(content, str) else content.identity).encode())


def _check_text(what: str, names: tuple[str, ...]) -> None:
    for name in names:
        try:
            name.encode()
        except UnicodeEncodeError as error:  # the bytes of a folder's name are not UTF-8
            raise UserError(
                f"{what} {name!a} is no text that could be written down: rename its folder, or name it by a list "
                "of all names in the order of the sorted folders, 'dataset.class_names=[…]'."
            ) from error


def _check_indices(name: str, array: NDArray[np.int64], count: int) -> None:
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{name} must be int64 of shape ({count},), not {type(array).__name__}")
    if array.dtype != np.int64 or array.shape != (count,):
        raise ValueError(f"{name} must be int64 of shape ({count},), not {array.dtype} of {array.shape}")
    if count and array.min() < 0:
        raise ValueError(f"{name} must not be negative, but one is {array.min()}")


def _check_range(name: str, array: NDArray[np.int64], count: int) -> None:
    if len(array) and array.max() >= count:
        raise ValueError(f"{name} reach {array.max()}, but there are only {count} names; they count from 0")
