"""The type of a merged model's weights, where it is not to be that of θ_0."""

from typing import Literal, TypeAlias

import torch
from torch import Tensor

from cl_bench.mergers.engine.blocks import Weights
from cl_bench.mergers.engine.checks import check_range

TypeName: TypeAlias = Literal["float64", "float32", "bfloat16", "float16"]
"""Types that a result may have."""


def wide_enough(pretrained: Weights, name: TypeName) -> dict[str, Tensor]:
    """θ_0 in a type that holds its own values and those of the result, so that a merge rounds to the latter alone."""

    def widened(tensor: Tensor) -> Tensor:
        wide = _at_least_half(tensor)
        return wide.to(torch.promote_types(wide.dtype, _type(name)))

    return {key: widened(tensor) if tensor.is_floating_point() else tensor for key, tensor in pretrained.items()}


def converted(model: Weights, name: TypeName) -> dict[str, Tensor]:
    """A model with this type for all floating-point tensors.

    Raises:
        ValueError: The type cannot hold a value; names the parameter.
    """
    result = dict(model)
    for key, tensor in model.items():
        if tensor.is_floating_point():
            wide = _at_least_half(tensor)
            check_range("merged", key, wide, _type(name))
            result[key] = wide.to(_type(name))
    return result


def _at_least_half(tensor: Tensor) -> Tensor:
    """Torch computes with no types of 8 bits."""
    return tensor.float() if tensor.itemsize == 1 else tensor


def _type(name: TypeName) -> torch.dtype:
    dtype: torch.dtype = getattr(torch, name)
    return dtype
