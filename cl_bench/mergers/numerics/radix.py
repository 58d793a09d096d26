"""The k-th largest of any non-negative numbers, by their digits: slower than a bracket, and sure to end."""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

DIGIT_BITS = 16
"""Bits that one pass through the numbers settles; its histogram has 2**16 bins."""


def by_radix(blocks: Callable[[], Iterator[Sequence[Tensor]]], ks: Sequence[int], dtype: torch.dtype) -> list[float]:
    """Finds the k-th largest in each of several runs of non-negative numbers, in the same passes.

    The bit patterns of non-negative floats have the order of their values. A histogram of the leading bits says which
    prefix the k-th largest has, and the next pass only looks at numbers with that prefix. That takes two passes in
    float32, four in float64.

    Args:
        blocks: Starts a walk through the numbers, one block of each run at a time; called once per pass.
        ks: For each run, from 1 to the number of its numbers.
        dtype: float32 or float64, the type of all blocks.
    """
    pattern_type, all_bits = (torch.int32, 31) if dtype == torch.float32 else (torch.int64, 63)
    left, prefixes, bits = list(ks), [0] * len(ks), all_bits
    while bits > 0:
        width = min(DIGIT_BITS, bits)
        bits -= width
        histograms = torch.zeros(len(left), 2**width, dtype=torch.int64)
        for of_each in blocks():
            for block, prefix, histogram in zip(of_each, prefixes, histograms, strict=True):
                digits = block.view(pattern_type).bitwise_right_shift(bits)
                if bits + width < all_bits:
                    digits = digits[digits.bitwise_right_shift(width) == prefix]
                histogram += torch.bincount(digits.bitwise_and_(2**width - 1), minlength=2**width).cpu()
        for run, histogram in enumerate(histograms):
            at_least = histogram.flip(0).cumsum(0).flip(0)
            # The last bin in which, counted from the top, k numbers are reached.
            digit = int((at_least >= left[run]).sum()) - 1
            left[run] -= int(at_least[digit] - histogram[digit])
            prefixes[run] = prefixes[run] << width | digit
    return [float(torch.tensor(prefix, dtype=pattern_type).view(dtype)) for prefix in prefixes]
