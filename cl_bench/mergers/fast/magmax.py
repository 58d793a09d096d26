"""MagMax of all tasks at once: the largest and the smallest weight of each element are enough.

Rounding θ_t - θ_0 keeps the order of the θ_t, so the task vector of largest magnitude belongs to one of the two.
"""

from collections.abc import Sequence

import numpy as np
import torch

from cl_bench.mergers.fast.array import Array


def at_once(merger: object, pretrained: Array, weights: Sequence[Array], out: Array) -> None:
    """Per element, the task vectors' value of largest magnitude; a tie goes to the later task."""
    largest = np.maximum(weights[0], weights[-1], out=out)
    smallest = np.minimum(weights[0], weights[-1])
    for model in weights[1:-1]:
        np.maximum(largest, model, out=largest)
        np.minimum(smallest, model, out=smallest)
    largest -= pretrained
    smallest -= pretrained
    sums = largest + smallest  # below 0 where the smallest is the larger one by magnitude, 0 where both are equal
    tied = np.flatnonzero(sums == 0)
    tied = tied[largest[tied] > 0]
    largest[tied] = smallest[tied] = _of_the_later(np.stack([model[tied] for model in weights]) - pretrained[tied])
    # As in the formula, interpolating by 0 or 1 is exact; NumPy has nothing of the kind.
    torch.from_numpy(largest).lerp_(torch.from_numpy(smallest), torch.from_numpy(sums).lt_(0))


def _of_the_later(vectors: Array) -> Array:
    """Per element of (T, N) task vectors, the value of largest magnitude; a tie goes to the later task."""
    later_first = vectors[::-1]
    task = np.abs(later_first).argmax(axis=0)
    values: Array = later_first[task, np.arange(len(task))]
    return values
