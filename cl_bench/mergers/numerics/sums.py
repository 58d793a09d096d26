"""Sums whose bits do not depend on how the work is divided."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

_PIECE = 2**14  # elements that torch adds up in one thread


def sum_in_order(tensors: Tensor) -> Tensor:
    """The sum over the first dimension, one rounding at a time.

    ``tensors.sum(0)`` adds in another order where its vectorized body ends, and so where a thread's part ends.
    """
    total = tensors[0].clone()
    for tensor in tensors[1:]:
        total.add_(tensor)
    return total


def dot(one: Tensor, other: Tensor) -> float:
    """The inner product of two 1-D tensors, in float64: a sum over pieces, each of which one thread adds up."""
    pieces = zip(one.split(_PIECE), other.split(_PIECE), strict=True)
    return sum(float((left.double() * right.double()).sum()) for left, right in pieces)


def exact_sum(tensors: Sequence[Tensor]) -> Tensor:
    """The sum of (N,) tensors, rounded once, so that the order does not count: files have their parameters in theirs.

    The sum of none is a single 0.
    """
    columns = zip(*(tensor.tolist() for tensor in tensors), strict=True)
    sums = [math.fsum(column) for column in columns]
    return torch.tensor(sums if tensors else 0.0, dtype=torch.float64)
