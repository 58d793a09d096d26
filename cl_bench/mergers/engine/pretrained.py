"""θ_0: what the tasks' weights are compared with, and what a merged model is made from."""

import copy
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from cl_bench.mergers.engine.blocks import Weights, working_dtype
from cl_bench.mergers.engine.checks import check_kind, check_range, check_values, is_finite
from cl_bench.mergers.engine.running_statistics import RunningStatistics, is_running_statistic
from cl_bench.store.models import Model, weights_of


class Task(NamedTuple):
    """One task whose weights have passed the checks.

    Attributes:
        number: From 1.
        called: What error messages call it.
        weights: θ_t.
        statistics: Those that the rule requires, by name and parameter.
        has_finite_values: Whether all values were looked at. Otherwise whoever reads a block has to look.
        glance: What ``Merger.look`` returned.
    """

    number: int
    called: str
    weights: Weights
    statistics: dict[str, Weights]
    has_finite_values: bool
    glance: float = 0.0


class Pretrained:
    """θ_0, checked.

    Args:
        model: Kept by reference: it must not be changed while the merge runs.
        frozen_parameters: See ``BaseMerger.merge``.
        running_statistics: See ``BaseMerger.merge``.

    Attributes:
        weights: All tensors by name.
        parameters: The names of those that are merged.

    Raises:
        ValueError: A parameter is complex, sparse, NaN or infinite, or ``frozen_parameters`` is negative.
    """

    def __init__(
        self, model: Model, frozen_parameters: int = 0, running_statistics: RunningStatistics = "pretrained"
    ) -> None:
        if frozen_parameters < 0:
            raise ValueError(f"frozen_parameters must not be negative, but is {frozen_parameters}")
        self.weights = dict(weights_of(model))
        for name, tensor in self.weights.items():
            check_kind("pretrained", name, tensor)
            check_values("pretrained", name, tensor)
        self.parameters = parameters_of(self.weights)
        self.frozen_parameters, self.running_statistics = frozen_parameters, running_statistics

    def without_averages(self) -> "Pretrained":
        """The same θ_0 for the merger inside another, which leaves normalization layers' statistics to the outer."""
        same = copy.copy(self)
        same.running_statistics = "pretrained"
        return same

    def only(self, names: Sequence[str], frozen_parameters: int) -> "Pretrained":
        """Some of its parameters, for a merger that sees no others.

        Args:
            names: Theirs.
            frozen_parameters: How many parameters beside these were not trained.
        """
        part = copy.copy(self)
        part.weights, part.parameters = {name: self.weights[name] for name in names}, list(names)
        part.frozen_parameters, part.running_statistics = frozen_parameters, "pretrained"
        return part

    @property
    def elements(self) -> int:
        """Number of elements of all parameters."""
        return sum(self.weights[name].numel() for name in self.parameters)

    def start(self, name: str) -> Tensor:
        """One parameter in the working type, contiguous: a sum over another layout has another order."""
        return self.weights[name].detach().to(working_dtype(self.weights[name])).contiguous()

    def vector(self, name: str, weights: Weights) -> Tensor:
        """The task vector of one parameter, θ_t - θ_0, in the working type."""
        start = self.start(name)
        return torch.sub(weights[name].detach().to(start), start)

    def copied(self) -> dict[str, Tensor]:
        """θ_0 in new, contiguous tensors."""
        return {
            name: tensor.detach().clone(memory_format=torch.contiguous_format) for name, tensor in self.weights.items()
        }

    def to_be_merged(self) -> dict[str, Tensor]:
        """The same with room for the merged parameters in place of θ_0's."""
        contiguous, parameters = torch.contiguous_format, set(self.parameters)
        return {
            name: torch.empty_like(tensor, memory_format=contiguous, requires_grad=False)
            if name in parameters
            else tensor.detach().clone(memory_format=contiguous)
            for name, tensor in self.weights.items()
        }


def parameters_of(weights: Weights) -> list[str]:
    """The names of what is merged of a model: floating-point weights, without statistics of normalization layers."""
    return [name for name, tensor in weights.items() if tensor.is_floating_point() and not is_running_statistic(name)]


def room_for(result: Tensor) -> Tensor:
    """Where a merged parameter is written at first.

    That is the result itself, or a wider tensor beside a type of 8 bits, whose conversion would hide its limits.
    """
    return torch.empty_like(result, dtype=working_dtype(result)) if result.itemsize == 1 else result


def settle(name: str, written: Tensor, result: Tensor, suspects: Sequence[Task] = ()) -> None:
    """Checks a merged parameter, and converts it where it was written beside the result.

    Args:
        name: The parameter's.
        written: In the room that ``room_for`` gave.
        result: Where it belongs.
        suspects: Tasks whose values nobody has looked at yet.

    Raises:
        ValueError: A value is NaN or infinite, of a task or merged, or the result's type cannot hold it.
    """
    if not is_finite(written):
        for task in suspects:
            check_values(task.called, name, task.weights[name])
        check_values("merged", name, written)
    if written is not result:
        check_range("merged", name, written, result.dtype)
        result.copy_(written)
