"""Which classes a head cannot tell apart: those whose rows point the same way."""

from collections.abc import Iterable
from typing import NamedTuple

from torch import Tensor

SAME = 1e-3
"""Distance of unit rows below which logits differ by less than images and rounding make of them."""

CLOSE = 1e-2

_AT_ONCE = 512  # rows that are compared with all others; what is kept for them is of this height


class Pair(NamedTuple):
    """Two classes, the first with the smaller number, and the distance of their unit rows."""

    first: int
    second: int
    distance: float


def close_pairs(rows: Tensor, groups: Tensor, below: float = CLOSE) -> list[Pair]:
    """Pairs of competing classes whose unit rows are closer than that, in order of their numbers.

    Args:
        rows: (C, D) unit rows, float32.
        groups: (G, C) bool; two classes compete where some group has both.
        below: The distance.
    """
    pairs: list[Pair] = []
    members = groups.float()
    for start in range(0, len(rows), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        # The squared distance is 2 - 2 cos; in float32 this finds candidates, whose distance is then taken exactly.
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
    """The classes of the pairs, those together that are linked by pairs; sorted."""
    above: dict[int, int] = {}  # each class's way up to the smallest of its cluster

    def smallest(label: int) -> int:
        while above.setdefault(label, label) != label:
            above[label] = label = above[above[label]]
        return label

    for first, second, _ in pairs:
        low, high = sorted((smallest(first), smallest(second)))
        above[high] = low
    found: dict[int, list[int]] = {}
    for label in sorted(above):
        found.setdefault(smallest(label), []).append(label)
    return list(found.values())
