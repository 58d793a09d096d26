"""The sum of all task vectors at once, without a state between them."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from cl_bench.mergers.fast.array import Array


class _TaskArithmetic(Protocol):
    def divisor(self, tasks: int) -> float:
        """By what the sum is divided."""


def at_once(merger: _TaskArithmetic, pretrained: Array, weights: Sequence[Array], out: Array) -> None:
    """(τ_1 + … + τ_T) / d, added in the order of the tasks."""
    np.subtract(weights[0], pretrained, out=out)
    vector = np.empty_like(out)
    for model in weights[1:]:
        out += np.subtract(model, pretrained, out=vector)
    out /= merger.divisor(len(weights))
