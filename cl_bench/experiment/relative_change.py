"""How far weights have moved."""

import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor


def relative_change(start: Mapping[str, Tensor], end: Mapping[str, Tensor]) -> float:
    """‖end − start‖ / ‖start‖ over all weights."""

    def norm(tensors: Iterable[Tensor]) -> float:
        return math.hypot(*(float(torch.linalg.vector_norm(tensor.double())) for tensor in tensors))

    return norm(end[name] - tensor.to(end[name].device) for name, tensor in start.items()) / norm(start.values())
