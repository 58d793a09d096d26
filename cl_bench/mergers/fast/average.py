"""The average of all tasks at once, without a state between them."""

from collections.abc import Sequence

import numpy as np

from cl_bench.mergers.fast.array import Array


def at_once(merger: object, pretrained: Array, weights: Sequence[Array], out: Array) -> None:
    """(θ_1 + … + θ_T) / T - θ_0."""
    total = weights[0]
    for model in weights[1:]:
        total = np.add(total, model, out=out)
    np.divide(total, len(weights), out=out)
    out -= pretrained
