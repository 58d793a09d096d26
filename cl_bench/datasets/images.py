"""What every data set is made of: images, labels and, where there are several, domains."""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Images:
    """One split of a data set, in memory or memory-mapped.

    Attributes:
        pixels: (N, H, W, 3) uint8, RGB.
        labels: (N,) int64, indices into the data set's class names.
        domains: (N,) int64, indices into the data set's domain names; None where there is one domain.

    Raises:
        ValueError: If a shape or dtype is not the one above, or an index is negative.
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    domains: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        if self.pixels.dtype != np.uint8 or self.pixels.ndim != 4 or self.pixels.shape[-1] != 3:
            raise ValueError(
                f"pixels must be uint8 of shape (N, H, W, 3), not {self.pixels.dtype} of {self.pixels.shape}"
            )
        _check_indices("labels", self.labels, len(self.pixels))
        if self.domains is not None:
            _check_indices("domains", self.domains, len(self.pixels))

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class ImageDataset:
    """A data set: its two splits and the words that go with them.

    Attributes:
        name: Name of the data set.
        class_names: One name per label.
        prompts: Templates of the zero-shot head; '{}' stands for the class name.
        train: Training images.
        test: Test images.
        domain_names: One name per domain; empty where there is one domain.

    Raises:
        ValueError: If a label or domain has no name, a prompt has no '{}', or only one of domain names and
            domain indices is given.
    """

    name: str
    class_names: tuple[str, ...]
    prompts: tuple[str, ...]
    train: Images
    test: Images
    domain_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
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
        """SHA-256 (hex) of everything that shapes what is learned: names, prompts and both splits' arrays."""
        words = [self.name, self.class_names, self.prompts, self.domain_names]
        digest = hashlib.sha256(json.dumps(words).encode())
        for images in (self.train, self.test):
            for array in (images.pixels, images.labels, images.domains):
                if array is None:
                    continue
                digest.update(f"{array.dtype.str}{array.shape}".encode())
                digest.update(np.ascontiguousarray(array))
        return digest.hexdigest()


def _check_indices(name: str, array: NDArray[np.int64], count: int) -> None:
    if array.dtype != np.int64 or array.shape != (count,):
        raise ValueError(f"{name} must be int64 of shape ({count},), not {array.dtype} of {array.shape}")
    if count and array.min() < 0:
        raise ValueError(f"{name} must not be negative, but one is {array.min()}")


def _check_range(name: str, array: NDArray[np.int64], count: int) -> None:
    if len(array) and array.max() >= count:
        raise ValueError(f"{name} reach {array.max()}, but there are only {count} names")
