"""A few training images of each class, drawn by a seed."""

import hashlib
from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cl_bench.images.files import ImageFiles
from cl_bench.images.images import ImageDataset, Images, Pixels, Shots, SingleImages
from cl_bench.runtime.source_code import outside


def draw(dataset: ImageDataset, per_class: int, seed: int) -> ImageDataset:
    """The data set with `per_class` training images of each class; test images stay.

    A class that has fewer keeps them all. Where there are several domains, those of a class take turns, so that each
    gives the same number to within one image as long as it has any. A larger draw with the same seed contains a
    smaller one.

    Args:
        dataset: The data set, whole.
        per_class: Number of images, at least 1.
        seed: Of the draw.
    """
    rows = _rows(dataset.train, per_class, seed)
    domains = None if dataset.train.domains is None else dataset.train.domains[rows]
    few = Images(_selected(dataset.train.pixels, rows), dataset.train.labels[rows], domains)
    return replace(dataset, train=few, shots=Shots(per_class, seed, len(dataset.train)))


def short_classes(dataset: ImageDataset) -> list[str]:
    """Names of the classes that had too few training images for a draw."""
    assert dataset.shots is not None  # it was drawn
    counts = np.bincount(dataset.train.labels, minlength=len(dataset.class_names))
    return [dataset.class_names[label] for label in np.flatnonzero(counts < dataset.shots.per_class)]


def _rows(images: Images, per_class: int, seed: int) -> NDArray[np.int64]:
    """The rows that are drawn, sorted."""
    order = np.random.default_rng(seed).permutation(len(images))
    labels = images.labels
    if images.domains is not None:
        strata = labels * (int(images.domains.max(initial=0)) + 1) + images.domains
        order = order[np.argsort(_ranks(strata[order]), kind="stable")]
    rows: NDArray[np.int64] = np.sort(order[_ranks(labels[order]) < per_class])
    return rows


def _ranks(groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N,) how many earlier entries are in the same group."""
    order = np.argsort(groups, kind="stable")
    sizes = np.bincount(groups)
    ranks = np.empty(len(groups), dtype=np.int64)
    ranks[order] = np.arange(len(groups)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return ranks


def _selected(pixels: Pixels, rows: NDArray[np.int64]) -> Pixels:
    if isinstance(pixels, np.ndarray):
        return pixels[rows]
    return pixels.select(rows) if isinstance(pixels, ImageFiles) else _Selected(pixels, rows)


class _Selected:
    """Some images of a sequence that a class of the user's reads."""

    def __init__(self, pixels: SingleImages, rows: NDArray[np.int64]) -> None:
        self._pixels, self._rows = pixels, rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, row: int) -> NDArray[np.uint8]:
        """(H, W, 3) RGB."""
        return self._pixels[int(self._rows[row])]

    @cached_property
    def identity(self) -> str:
        """Differs whenever the images, the selection, or the code that decodes them does."""
        digest = hashlib.sha256(self._pixels.identity.encode())
        digest.update(self._rows.tobytes())
        for name, sha256 in outside(type(self._pixels)).items():
            digest.update(f"{name} {sha256}".encode())
        return digest.hexdigest()
