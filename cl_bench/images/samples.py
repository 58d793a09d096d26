"""A selection of images from one or more data sets, as one sequence."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cl_bench.images.images import Images, Pixels
from cl_bench.images.transforms import short_side_square


class Samples(torch.utils.data.Dataset[tuple[Tensor, int]]):
    """Images with the labels that the scenario gives them.

    It holds references to the data sets' images and four numbers per image, but copies no image.

    Attributes:
        labels: (N,) int64, the scenario's class, which is the row of the head.
        groups: (N,) int64, the set of classes among which the image is classified, numbered by the owner.
    """

    def __init__(self, sources: Sequence[Pixels], source: Tensor, row: Tensor, labels: Tensor, groups: Tensor):
        self.sources = tuple(sources)
        self._source, self._row = source, row
        self.labels, self.groups = labels, groups
        self._size: int | None = None

    @classmethod
    def select(cls, images: Images, positions: NDArray[np.int64], first_class: int = 0) -> "Samples":
        """The images at `positions`, their labels shifted by `first_class`, all in group 0."""
        rows = torch.as_tensor(positions, dtype=torch.int64)
        labels = torch.as_tensor(images.labels[positions]) + first_class
        return cls([images.pixels], torch.zeros_like(rows), rows, labels, torch.zeros_like(rows))

    @classmethod
    def concatenate(cls, parts: Iterable["Samples"], groups: Sequence[int]) -> "Samples":
        """All parts one after another; part i becomes group `groups[i]`."""
        parts = list(parts)
        sources = list({id(source): source for part in parts for source in part.sources}.values())
        place = {id(source): i for i, source in enumerate(sources)}
        return cls(
            sources,
            torch.cat([torch.tensor([place[id(s)] for s in part.sources])[part._source] for part in parts]),
            torch.cat([part._row for part in parts]),
            torch.cat([part.labels for part in parts]),
            torch.cat([torch.full_like(part.groups, group) for part, group in zip(parts, groups, strict=True)]),
        )

    def where(self, wanted: Tensor) -> "Samples":
        """Those among the images for which `wanted`, (N,) bool, is true."""
        kept = (self._source, self._row, self.labels, self.groups)
        return Samples(self.sources, *(each[wanted] for each in kept))

    def replace(self, sources: Mapping[int, Pixels], size: int | None) -> None:
        """From now on, reads images from other sources.

        Args:
            sources: By the `id` of the old source, the same images, for example decoded and shrunk.
            size: Side of the squares, in pixels, as which `[]` returns images that are not in an array; None: whole.
        """
        self.sources = tuple(sources.get(id(source), source) for source in self.sources)
        self._size = size

    @property
    def targets(self) -> list[int]:
        """The labels as Avalanche and torchvision name them."""
        return self.labels.tolist()

    @property
    def rows(self) -> NDArray[np.int64]:
        """(N, 2): the source and the image's row in it; what a fingerprint needs to know of the selection."""
        return torch.stack([self._source, self._row], dim=1).numpy()

    @property
    def in_arrays(self) -> bool:
        """Whether all images are in arrays."""
        return all(isinstance(source, np.ndarray) for source in self.sources)

    def __len__(self) -> int:
        return len(self._row)

    def __getitem__(self, position: int) -> tuple[Tensor, int]:
        """One image, (3, H, W) float in 0 to 1, and its label, as an Avalanche strategy trains on them.

        An image from an array is whole, so that all have one size. Any other is the square that evaluation sees once
        `replace` has given its size, and whole before.
        """
        source, row = self.sources[int(self._source[position])], int(self._row[position])
        pixels = np.array(source[row])
        if self._size is not None and not isinstance(source, np.ndarray):
            pixels = short_side_square(pixels, self._size)
        return torch.from_numpy(pixels).permute(2, 0, 1).float() / 255, int(self.labels[position])

    def located(self, positions: Tensor) -> Iterator[tuple[Pixels, NDArray[np.int64], Tensor]]:
        """For each source of the images at `positions`: the source, the rows in it, and their places in `positions`."""
        sources, rows = self._source[positions], self._row[positions].numpy()
        for source in sources.unique().tolist():
            places = torch.nonzero(sources == source).flatten()
            yield self.sources[source], rows[places.numpy()], places
