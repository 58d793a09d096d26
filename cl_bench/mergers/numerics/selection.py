"""The k-th largest of more numbers than fit into memory at once."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cl_bench.mergers.numerics.radix import by_radix

Bracket: TypeAlias = tuple[float, float]
"""The smallest and the largest number that the k-th largest is expected to be."""

SAMPLED = 2**10
"""One in so many numbers is drawn to find a bracket."""

GATHERED = 2**21
"""How many numbers between the ends of a bracket are kept at most."""

_DEVIATIONS = 5  # of a rank in the sample, to either side; in one of two million brackets the k-th largest is not


def kth_largest(
    blocks: Callable[[], Iterator[Tensor]], k: int, dtype: torch.dtype, bracket: Bracket | None = None
) -> float:
    """Finds the k-th largest of non-negative numbers exactly, in memory that does not depend on how many there are.

    Args:
        blocks: Starts a walk through the numbers; called once per pass.
        k: From 1 to the number of numbers.
        dtype: float32 or float64, the type of all blocks.
        bracket: Where to look; see ``bracketed``.
    """
    brackets = None if bracket is None else [bracket]
    return kth_largest_of_each(lambda: ((block,) for block in blocks()), [k], dtype, brackets)[0]


def kth_largest_of_each(
    blocks: Callable[[], Iterator[Sequence[Tensor]]],
    ks: Sequence[int],
    dtype: torch.dtype,
    brackets: Sequence[Bracket] | None = None,
) -> list[float]:
    """Finds the k-th largest in each of several runs of non-negative numbers, in the same passes.

    One pass counts the numbers above a bracket and gathers those within; the k-th largest is among them. Where it is
    not, or where too many are within, since they are equal, it is found by digits, in two to four more passes.

    Args:
        blocks: Starts a walk through the numbers, one block of each run at a time; called once per pass.
        ks: For each run, from 1 to the number of its numbers.
        dtype: float32 or float64, the type of all blocks.
        brackets: Where to look in each run; without them, one pass more draws a sample. They do not change the result.
    """
    ends = torch.tensor(brackets or _brackets(blocks, ks), dtype=torch.float64).to(dtype)
    searches = [_Search(low, high) for low, high in ends.tolist()]
    for of_each in blocks():
        for block, search in zip(of_each, searches, strict=True):
            search.look_at(block.cpu().numpy())
    found = [search.kth_largest(k) for search, k in zip(searches, ks, strict=True)]
    missed = [run for run, number in enumerate(found) if number is None]
    if missed:
        numbers = by_radix(
            lambda: ([of_each[run] for run in missed] for of_each in blocks()), [ks[r] for r in missed], dtype
        )
        for run, number in zip(missed, numbers, strict=True):
            found[run] = number
    return [number for number in found if number is not None]


def bracketed(sample: Tensor, share: float) -> Bracket:
    """Brackets the number that a share of all numbers reach, from a random sample of them."""
    ordered, count = sample.sort(descending=True).values, len(sample)
    rank, margin = share * count, _DEVIATIONS * math.sqrt(share * (1 - share) * count) + 1
    first, last = math.floor(rank - margin), math.ceil(rank + margin)
    return float(ordered[last]) if last < count else 0.0, float(ordered[first]) if first >= 0 else math.inf


def _brackets(blocks: Callable[[], Iterator[Sequence[Tensor]]], ks: Sequence[int]) -> list[Bracket]:
    """Brackets from a sample of each run, seeded; that of few numbers may be empty."""
    random = torch.Generator().manual_seed(0)
    samples: list[list[Tensor]] = [[] for _ in ks]
    sizes = [0] * len(ks)
    for of_each in blocks():
        for run, block in enumerate(of_each):
            sizes[run] += len(block)
            samples[run].append(block[places(len(block), random).to(block.device)].cpu())
    return [
        bracketed(torch.cat(sample), k / size) if sample else (0.0, math.inf)
        for sample, k, size in zip(samples, ks, sizes, strict=True)
    ]


def places(count: int, random: torch.Generator) -> Tensor:
    """Draws places from ``count`` ones, with replacement; so many that, over all blocks, each number counts alike."""
    drawn = int(count / SAMPLED + torch.rand((), generator=random).item())
    return torch.randint(count, (drawn,), generator=random) if drawn else torch.empty(0, dtype=torch.int64)


class _Search:
    """The numbers of one run that reach or exceed the ends of a bracket, counted, and those between, gathered."""

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high
        self.above_high = self.from_high = self.above_low = self.from_low = 0
        self.between: list[NDArray[np.floating]] = []

    def look_at(self, block: NDArray[np.floating]) -> None:
        """Takes in one more block."""
        from_high, above_low = block >= self.high, block > self.low
        self.above_high += int(np.count_nonzero(block > self.high))
        self.from_high += int(np.count_nonzero(from_high))
        self.above_low += int(np.count_nonzero(above_low))
        self.from_low += int(np.count_nonzero(block >= self.low))
        if self.above_low - self.from_high > GATHERED:
            self.between.clear()
        elif self.low < self.high:
            self.between.append(block[np.flatnonzero(above_low ^ from_high)])

    def kth_largest(self, k: int) -> float | None:
        """The k-th largest; None if it is not in the bracket, or if not all numbers there were kept."""
        if not self.above_high < k <= self.from_low:
            return None
        if k <= self.from_high:
            return self.high
        if k > self.above_low:
            return self.low
        if self.above_low - self.from_high > GATHERED:
            return None
        numbers, place = np.concatenate(self.between), self.above_low - k
        numbers.partition(place)
        return float(numbers[place])
