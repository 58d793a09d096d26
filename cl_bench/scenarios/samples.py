"""A selection of images from one or more data sets, seen as one sequence."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from cl_bench.datasets.images import Images


class Part(NamedTuple):
    """Those images of a batch that come from one array."""

    pixels: Tensor  # (b, H, W, 3) uint8
    places: Tensor  # (b,) int64: their places in the batch


class Samples(torch.utils.data.Dataset):
    """Images with the label that the scenario gives them.

    Holds references to whole arrays and four numbers per image, never a copy of an image.

    Attributes:
        labels: (N,) int64, the scenario's class, that is, the row of the head.
        groups: (N,) int64, which of the owner's sets of classes the image is classified among.
        sizes: (N, 2) int64, height and width in pixels.
    """

    def __init__(self, arrays: Sequence[np.ndarray], source: Tensor, row: Tensor, labels: Tensor, groups: Tensor):
        self.arrays = tuple(arrays)
        self._source, self._row = source, row
        self.labels, self.groups = labels, groups
        self.sizes = torch.tensor([array.shape[1:3] for array in self.arrays]).view(-1, 2)[source]

    @classmethod
    def select(cls, images: Images, positions: np.ndarray, first_class: int = 0) -> "Samples":
        """The images at `positions`, their labels shifted by `first_class`, all in group 0."""
        rows = torch.as_tensor(positions, dtype=torch.int64)
        labels = torch.as_tensor(images.labels[positions]) + first_class
        return cls([images.pixels], torch.zeros_like(rows), rows, labels, torch.zeros_like(rows))

    @classmethod
    def concatenate(cls, parts: Iterable["Samples"], groups: Sequence[int]) -> "Samples":
        """All parts one after another; part i becomes group `groups[i]`."""
        parts = list(parts)
        arrays = list({id(array): array for part in parts for array in part.arrays}.values())
        place = {id(array): i for i, array in enumerate(arrays)}
        sources = [torch.tensor([place[id(array)] for array in part.arrays])[part._source] for part in parts]
        return cls(
            arrays,
            torch.cat(sources),
            torch.cat([part._row for part in parts]),
            torch.cat([part.labels for part in parts]),
            torch.cat([torch.full_like(part.groups, group) for part, group in zip(parts, groups, strict=True)]),
        )

    @property
    def targets(self) -> list[int]:
        """The labels as Avalanche and torchvision name them."""
        return self.labels.tolist()

    @property
    def rows(self) -> np.ndarray:
        """(N, 2): which array, and which image of it; what a fingerprint needs to know of the selection."""
        return torch.stack([self._source, self._row], dim=1).numpy()

    def __len__(self) -> int:
        return len(self._row)

    def __getitem__(self, position: int) -> tuple[Tensor, int]:
        """One image, (3, H, W) float in 0 to 1, and its label: what an Avalanche strategy trains on."""
        pixels = self.arrays[int(self._source[position])][int(self._row[position])]
        return torch.from_numpy(np.array(pixels)).permute(2, 0, 1).float() / 255, int(self.labels[position])

    def fetch(self, positions: Tensor) -> list[Part]:
        """The images at `positions` as whole arrays, one part for each array that they come from."""
        sources, rows, parts = self._source[positions], self._row[positions].numpy(), []
        for source in sources.unique().tolist():
            places = torch.nonzero(sources == source).flatten()
            pixels = np.ascontiguousarray(self.arrays[source][rows[places.numpy()]])
            parts.append(Part(torch.from_numpy(pixels), places))
        return parts
