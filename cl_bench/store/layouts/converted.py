"""Tensors of one layout under another one's names, made anew only where they have to be, and only when they are read.

Twenty large models are merged at once, from files that are mapped into memory. So a name stands for a recipe, and the
tensor that it makes lives as long as its reader needs it.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

import torch
from torch import Tensor

How = Literal["same", "transposed", "stacked", "first third", "second third", "last third"]
THIRDS: tuple[How, How, How] = ("first third", "second third", "last third")


class Place(NamedTuple):
    """Where a tensor comes from.

    Attributes:
        names: Of the tensors in the other layout: three for a stack, one for everything else.
        how: What is done with them.
    """

    names: tuple[str, ...]
    how: How = "same"

    def source_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape that each of the sources must have, so that the tensor has this one."""
        if self.how == "transposed":
            return shape[::-1]
        if self.how == "stacked":
            return (shape[0] // len(self.names), *shape[1:]) if shape else shape
        return (3 * shape[0], *shape[1:]) if self.how in THIRDS and shape else shape


class Converted(Mapping[str, Tensor]):
    """A model under other names; nothing is kept of what was made.

    Args:
        tensors: The model as it is.
        places: For each name, in their order, where its tensor comes from.
        pretrained: θ₀, whose order and whose names without a place come first; nothing without one.
    """

    def __init__(
        self,
        tensors: Mapping[str, Tensor],
        places: Mapping[str, Place],
        pretrained: Mapping[str, Tensor] = MappingProxyType({}),
    ) -> None:
        self._tensors, self._places, self._pretrained = tensors, places, pretrained
        self._names = dict.fromkeys([*pretrained, *places])

    def __getitem__(self, name: str) -> Tensor:
        place = self._places.get(name)
        if place is None:
            return self._pretrained[name]
        sources = [self._tensors[source].detach() for source in place.names]
        if place.how == "stacked":
            return torch.cat(sources)
        if place.how == "transposed":
            return sources[0].T.contiguous()
        return sources[0].chunk(3)[THIRDS.index(place.how)] if place.how in THIRDS else sources[0]

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
