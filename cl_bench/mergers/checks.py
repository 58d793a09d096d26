"""What is wrong with a model that cannot be merged, in one sentence that names the parameter."""

import math
from collections.abc import Mapping

from torch import Tensor

from cl_bench.mergers.base import Merger
from cl_bench.mergers.blocks import Weights, flat, spans, working_dtype
from cl_bench.store.models import Model, weights_of


def check_task(what: str, weights: Weights, pretrained: Weights, values: bool = True) -> None:
    """A task's weights have the names and shapes of θ_0, and, where that is looked at, finite values."""
    if not isinstance(weights, Mapping):
        raise ValueError(f"{what} must be a mapping of names to tensors, not {type(weights).__name__}")
    check_names(what, set(pretrained), set(weights))
    for name, own in pretrained.items():
        tensor = weights[name]
        if tensor.shape != own.shape:
            raise ValueError(f"{what}: {name!r} has shape {tuple(tensor.shape)}, but {tuple(own.shape)} in pretrained")
        if own.is_floating_point():
            check_kind(what, name, tensor)
            if values:
                check_values(what, name, tensor)


def needed_statistics(
    what: str, statistics: Mapping[str, Model], merger: Merger, pretrained: Weights
) -> dict[str, Weights]:
    """Those that the method requires, which are there, fit the parameters and are finite."""
    if missing := sorted(merger.requires - statistics.keys()):
        raise ValueError(f"{what}: {type(merger).__name__} needs the statistics {_some(missing)}")
    needed = {key: weights_of(statistics[key]) for key in sorted(merger.requires)}
    for key, tensors in needed.items():
        for name, tensor in tensors.items():
            parameter = pretrained.get(name)
            if parameter is None or not parameter.is_floating_point() or not merger.fits(tensor, parameter):
                raise ValueError(f"{what}: {key} of {name!r}, of shape {tuple(tensor.shape)}, fit no parameter")
            check_values(f"{what}: {key}", name, tensor)
    return needed


def check_names(what: str, expected: set[str], given: set[str]) -> None:
    """Both must be the same."""
    missing, extra = sorted(expected - given), sorted(given - expected)
    if missing or extra:
        parts = [f"lacks {_some(missing)}"] * bool(missing) + [f"has the unknown {_some(extra)}"] * bool(extra)
        raise ValueError(f"{what} {' and '.join(parts)}")


def check_kind(what: str, name: str, tensor: Tensor) -> None:
    """Parameters are real numbers."""
    if tensor.is_complex():
        raise ValueError(f"{what}: {name!r} is complex, only real parameters can be merged")


def check_values(what: str, name: str, tensor: Tensor) -> None:
    """Parameters are finite; buffers of integers always are."""
    if tensor.is_floating_point() and not is_finite(tensor):
        raise ValueError(f"{what}: {name!r} has a NaN or infinite value in {tensor.dtype}")


def is_finite(tensor: Tensor) -> bool:
    """Whether no element is NaN or infinite; one pass at memory speed where none is."""
    # A finite sum proves finite terms; only a sum that overflows needs the exact look.
    total = float(tensor.detach().sum(dtype=working_dtype(tensor)))
    return math.isfinite(total) or all(bool(flat(tensor)[span].isfinite().all()) for span in spans(tensor.numel()))


def _some(names: list[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"
