"""How far weights have moved."""

import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from cl_bench.mergers.engine.running_statistics import is_running_statistic


def relative_change(start: Mapping[str, Tensor], end: Mapping[str, Tensor]) -> float:
    """‖end − start‖ / ‖start‖ over all weights; 1 where start is zero, as that of a classifier may be.

    Running statistics of normalization layers are no weights. Their variances would outweigh all others.
    """
    weights = {name: tensor for name, tensor in start.items() if not is_running_statistic(name)}

    def norm(tensors: Iterable[Tensor]) -> float:
        return math.hypot(*(float(torch.linalg.vector_norm(tensor.double())) for tensor in tensors))

    before = norm(weights.values())
    return norm(end[name] - tensor.to(end[name].device) for name, tensor in weights.items()) / before if before else 1.0
