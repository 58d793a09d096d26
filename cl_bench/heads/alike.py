"""Which classes a head cannot tell apart: those whose rows point in the same direction."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

SAME = 1e-3
"""Distance of unit rows below which two logits differ by less than rounding and small changes of an image do."""

CLOSE = 1e-2
"""Distance of unit rows below which the images of two classes are hard to tell apart."""

_AT_ONCE = 512  # rows compared with all others in one step, which bounds the memory


class Pair(NamedTuple):
    """Two classes, the smaller number first, and the distance between their unit rows."""

    first: int
    second: int
    distance: float


@dataclass(frozen=True)
class Alike:
    """The pairs of classes that a head hardly tells apart, or not at all.

    Attributes:
        confused: Classes that compete for an image and have the same row.
        tied: Classes that have the same row and never compete.
        close: Classes whose rows are nearly the same.
    """

    confused: list[Pair]
    tied: list[Pair]
    close: list[Pair]


def alike(head: Tensor, competing: Tensor) -> Alike:
    """Finds the classes of a head whose rows are the same, or nearly so.

    Args:
        head: (C, D).
        competing: (G, C) bool; an image is classified among the classes of one of these rows.
    """
    rows = functional.normalize(head, dim=1)
    rivals, others = close_pairs(rows, competing), []
    if not competing.all(dim=1).any():
        known = {pair[:2] for pair in rivals}
        everyone = torch.ones(1, len(rows), dtype=torch.bool)
        others = [pair for pair in close_pairs(rows, everyone) if pair[:2] not in known]
    return Alike(
        confused=[pair for pair in rivals if pair.distance < SAME],
        tied=[pair for pair in others if pair.distance < SAME],
        close=[pair for pair in (*rivals, *others) if pair.distance >= SAME],
    )


def close_pairs(rows: Tensor, competing: Tensor, below: float = CLOSE) -> list[Pair]:
    """Pairs of competing classes whose unit rows are closer than a distance, in the order of their numbers.

    Args:
        rows: (C, D) unit rows, float32.
        competing: (G, C) bool; two classes compete where one of these rows has both.
        below: The distance.
    """
    pairs: list[Pair] = []
    members = competing.float()
    for start in range(0, len(rows), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        # The squared distance is 2 - 2 cos. In float32 it is good enough to find candidates; their distance is then
        # computed from the difference, which is exact.
        candidates = (2 - 2 * rows[part] @ rows.T < 4 * below**2) & (members[:, part].T @ members > 0)
        first, second = candidates.nonzero(as_tuple=True)
        first, second = (first + start)[first + start < second], second[first + start < second]
        for i in range(0, len(first), _AT_ONCE):
            some = slice(i, i + _AT_ONCE)
            distances = (rows[first[some]] - rows[second[some]]).norm(dim=1)
            found = zip(first[some].tolist(), second[some].tolist(), distances.tolist(), strict=True)
            pairs += [Pair(*pair) for pair in found if pair[2] < below]
    return pairs


def clusters(pairs: Iterable[Pair]) -> list[list[int]]:
    """Groups the classes of the pairs: classes that pairs link, directly or through others, are together. Sorted."""
    parent: dict[int, int] = {}  # leads from each class to the smallest class of its cluster

    def smallest(label: int) -> int:
        while parent.setdefault(label, label) != label:
            parent[label] = label = parent[parent[label]]
        return label

    for first, second, _ in pairs:
        low, high = sorted((smallest(first), smallest(second)))
        parent[high] = low
    found: dict[int, list[int]] = {}
    for label in sorted(parent):
        found.setdefault(smallest(label), []).append(label)
    return list(found.values())
