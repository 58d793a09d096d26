"""Checks of models that are to be merged. Each failure is one sentence that names the parameter."""

import math
from collections.abc import Mapping
from functools import cache
from typing import Protocol

import torch
from torch import Tensor

from cl_bench.mergers.engine.blocks import Weights, flat, spans, working_dtype
from cl_bench.store.models import Model, weights_of


def check_task(what: str, weights: Weights, pretrained: Weights, values: bool = True) -> None:
    """Checks that a task's weights have the names and shapes of θ_0 and, with ``values``, that they are finite."""
    if not isinstance(weights, Mapping):
        raise ValueError(f"{what} must be a mapping of names to tensors, not {type(weights).__name__}")
    check_names(what, set(pretrained), set(weights))
    for name, own in pretrained.items():
        tensor = weights[name]
        if tensor.shape != own.shape:
            raise ValueError(f"{what}: {name!r} has shape {tuple(tensor.shape)}, but {tuple(own.shape)} in pretrained")
        if not own.is_floating_point():
            _check_no_weight(what, name, tensor, own)
            continue
        check_kind(what, name, tensor)
        if not tensor.is_floating_point():
            raise ValueError(
                f"{what}: {name!r} is {_kind(tensor)}, but floating-point weights ({_kind(own)}) in pretrained; "
                "convert it back to them first"
            )
        if values:
            check_values(what, name, tensor)


class Asks(Protocol):
    """A merger, seen as what asks for statistics."""

    @property
    def requires(self) -> frozenset[str]:
        """Their names."""

    def fits(self, statistic: Tensor, parameter: Tensor) -> bool:
        """Whether one has the shape that it must have for a parameter."""


def needed_statistics(
    what: str, statistics: Mapping[str, Model], merger: Asks, parameters: Weights
) -> dict[str, Weights]:
    """Returns those that the merger requires.

    Raises:
        ValueError: One is missing, fits no parameter, or is not finite.
    """
    if missing := sorted(merger.requires - statistics.keys()):
        raise ValueError(f"{what}: {type(merger).__name__} needs the statistics {_some(missing)}")
    needed = {key: weights_of(statistics[key]) for key in sorted(merger.requires)}
    for key, tensors in needed.items():
        for name, tensor in tensors.items():
            parameter = parameters.get(name)
            if parameter is None or not merger.fits(tensor, parameter):
                raise ValueError(f"{what}: {key} of {name!r}, of shape {tuple(tensor.shape)}, fit no parameter")
            check_kind(f"{what}: {key}", name, tensor)
            if not tensor.is_floating_point():
                raise ValueError(f"{what}: {key} of {name!r} are {_kind(tensor)}, not floating-point")
            check_values(f"{what}: {key}", name, tensor)
    return needed


def check_names(what: str, expected: set[str], given: set[str]) -> None:
    """Checks that no name is missing and none is unknown."""
    missing, extra = sorted(expected - given), sorted(given - expected)
    if missing or extra:
        parts = [f"lacks {_some(missing)}"] * bool(missing) + [f"has the unknown {_some(extra)}"] * bool(extra)
        raise ValueError(f"{what} {' and '.join(parts)}")


def check_kind(what: str, name: str, tensor: Tensor) -> None:
    """Checks that a parameter has real numbers of a type that can be computed with."""
    if tensor.is_complex():
        raise ValueError(f"{what}: {name!r} is complex, only real parameters can be merged")
    if tensor.layout != torch.strided or tensor.is_meta:
        raise ValueError(f"{what}: {name!r} is {'without values' if tensor.is_meta else 'sparse'}, not a dense tensor")
    if tensor.is_floating_point() and not _can_be_converted(tensor.dtype):
        raise ValueError(f"{what}: {name!r} is {_kind(tensor)}, which cannot be converted to float32")


def _check_no_weight(what: str, name: str, tensor: Tensor, own: Tensor) -> None:
    """Checks a tensor that passes through, since it is no floating-point weight in θ_0.

    It must be none in the task's model either. A counter may differ. A table that differs holds quantized weights or a
    mask, and θ_0's would not fit the rest of the model.
    """
    if tensor.is_floating_point() or tensor.is_complex():
        raise ValueError(f"{what}: {name!r} is {_kind(tensor)}, but {_kind(own)} in pretrained, which is no weight")
    if own.dim() > 1 and not torch.equal(tensor.to(own), own):
        raise ValueError(
            f"{what}: {name!r} differs from pretrained, but is {_kind(own)}, which cannot be merged; convert quantized "
            "weights back to floating-point ones first"
        )


def check_saved(name: str, saved: Tensor, own: Tensor) -> None:
    """Checks that a tensor of a saved state has the shape and type that this merge's has."""
    if saved.shape != own.shape or saved.dtype != own.dtype:
        raise ValueError(
            f"state_dict: {name!r} is {saved.dtype} of shape {tuple(saved.shape)}, "
            f"but this merge has {own.dtype} of shape {tuple(own.shape)}"
        )


def check_range(what: str, name: str, tensor: Tensor, dtype: torch.dtype) -> None:
    """Checks that a narrower type can hold all values.

    Some types of 8 bits have no infinity, and others no sign. A conversion then silently ends at the largest number, or
    drops the sign.
    """
    limits = torch.finfo(dtype)
    for span in spans(tensor.numel()):
        low, high = torch.aminmax(flat(tensor)[span])
        if low < limits.min or high > limits.max:
            raise ValueError(f"{what}: {name!r} has values from {low:g} to {high:g}, which {dtype} cannot hold")


def check_values(what: str, name: str, tensor: Tensor) -> None:
    """Checks that no value is NaN or infinite; integers never are."""
    if tensor.is_floating_point() and not is_finite(tensor):
        raise ValueError(f"{what}: {name!r} has a NaN or infinite value in {tensor.dtype}")


def is_finite(tensor: Tensor) -> bool:
    """Whether no element is NaN or infinite. Where none is, that takes one pass at memory speed."""
    # A finite sum proves finite terms. Only where the sum overflows, each element has to be looked at.
    total = float(tensor.detach().sum(dtype=working_dtype(tensor)))
    return math.isfinite(total) or all(bool(flat(tensor)[span].isfinite().all()) for span in spans(tensor.numel()))


@cache
def _can_be_converted(dtype: torch.dtype) -> bool:
    try:
        torch.empty(1, dtype=dtype).float()
    except (NotImplementedError, RuntimeError):  # types of 4 bits, two values to a byte
        return False
    return True


def _kind(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _some(names: list[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"
