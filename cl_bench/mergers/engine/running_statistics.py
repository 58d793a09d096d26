"""Statistics of normalization layers: means and variances of the inputs that a layer has seen. They are no weights.

A rule for task vectors would make nonsense of them: a variance could become negative, and the layer's output NaN. So no
rule gets to see them.
"""

from collections.abc import Iterator, Mapping
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor

from cl_bench.mergers.engine.blocks import Weights
from cl_bench.mergers.engine.checks import check_names, check_saved, check_values

RunningStatistics: TypeAlias = Literal["pretrained", "average"]
"""What becomes of them: the result has θ_0's, or the mean over all tasks."""

PREFIX = "running_statistics/"
_NAMES = ("running_mean", "running_var", "num_batches_tracked")


def is_running_statistic(name: str) -> bool:
    """Whether a tensor with this name is a statistic of a normalization layer."""
    return name.rpartition(".")[2] in _NAMES


class Averages:
    """The averages of these statistics over the tasks, which arrive one by one.

    Args:
        pretrained: θ_0.
        how: ``pretrained`` keeps θ_0's; ``average`` takes the mean over the tasks. Integers are always θ_0's.

    Raises:
        ValueError: ``how`` is neither.
    """

    def __init__(self, pretrained: Weights, how: RunningStatistics) -> None:
        if how not in get_args(RunningStatistics):
            raise ValueError(f"running_statistics must be 'pretrained' or 'average', not {how!r}")
        self._names = [n for n, tensor in pretrained.items() if is_running_statistic(n) and tensor.is_floating_point()]
        # In float64 a sum of narrower numbers is practically exact, whatever their order.
        self._sums = {
            name: torch.zeros_like(pretrained[name], dtype=torch.float64) for name in self._names if how == "average"
        }

    def check(self, what: str, weights: Weights) -> None:
        """Checks those of one model.

        Raises:
            ValueError: One is NaN or infinite, or a variance is negative and would be averaged; names the tensor.
        """
        for name in self._names:
            check_values(what, name, weights[name])
        for name in self._sums:
            if name.endswith("running_var") and bool((weights[name].detach().double() < 0).any()):
                raise ValueError(f"{what}: {name!r} has a negative variance")

    def add(self, weights: Weights) -> None:
        """Takes in those of one more task."""
        for name, total in self._sums.items():
            total.add_(weights[name].detach().to(total))

    def restart(self, weights: Weights, tasks: int) -> None:
        """Goes on from these as if they were the mean over all tasks so far."""
        for name, total in self._sums.items():
            total.copy_(weights[name]).mul_(tasks)

    def means(self, tasks: int) -> Iterator[tuple[str, Tensor]]:
        """Yields the means over all tasks so far, with their names; nothing where θ_0's are kept."""
        for name, total in self._sums.items():
            yield name, total / tasks

    def state(self) -> dict[str, Tensor]:
        """Returns the sums over the tasks so far, by names that no other state has."""
        return {PREFIX + name: total for name, total in self._sums.items()}

    def check_state(self, state_dict: Mapping[str, Tensor]) -> None:
        """Checks that a saved state contains what ``state`` returned.

        Raises:
            ValueError: A tensor is missing, unknown or has another shape or type.
        """
        own = self.state()
        check_names("state_dict", set(own), {name for name in state_dict if name.startswith(PREFIX)})
        for name, total in own.items():
            check_saved(name, state_dict[name], total)

    def load(self, state_dict: Mapping[str, Tensor]) -> None:
        """Goes on from a saved state that was checked."""
        for name, total in self.state().items():
            total.copy_(state_dict[name])
