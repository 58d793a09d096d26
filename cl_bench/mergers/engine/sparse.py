"""Rules that sparsify each task vector, then combine what is left."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar, Literal, Protocol

import torch
from torch import Tensor

from cl_bench.mergers.engine.blocks import MergeBlock, State, TaskBlock, spans
from cl_bench.mergers.engine.folding import Merger


class Combination(Protocol):
    """A way to make one task vector of many sparse ones that come one after the other. See ``Merger``."""

    state: ClassVar[Mapping[str, torch.dtype | None]]
    """The running state."""

    def fold(self, state: State, kept: Tensor) -> None:
        """Takes in what was kept of one more task."""

    @property
    def look_back(self) -> Callable[[State], float] | None:
        """As ``Merger.look_back``."""

    def undecided(self, state: State) -> Tensor:
        """As ``Merger.undecided``."""

    def combine(self, state: State, block: MergeBlock) -> Tensor:
        """Returns the merged task vector of one block."""


class Sum:
    """Per element, the sum of the kept values. The memory is one number per element."""

    state: ClassVar[Mapping[str, torch.dtype | None]] = {"sum": None}
    look_back: Callable[[State], float] | None = None

    def fold(self, state: State, kept: Tensor) -> None:
        """sum ← sum + kept."""
        state[0].add_(kept)

    def undecided(self, state: State) -> Tensor:
        """None: there is no glance."""
        return torch.empty(0, dtype=torch.int64)

    def combine(self, state: State, block: MergeBlock) -> Tensor:
        """The sum itself."""
        return state[0]


class Mean(Sum):
    """Per element, the sum of the kept values divided by the number of all tasks."""

    def combine(self, state: State, block: MergeBlock) -> Tensor:
        """sum / T."""
        return state[0] / block.tasks


class Elected:
    """Per element, the mean of the kept values that have the elected sign; 0 where none has it.

    The elected sign is that of the sum of the kept values. Where that sum is 0, it is the majority sign: the sign of
    the sum of all elements' elected signs, negative if that is 0 too.

    The memory is two sums and two counts per element.

    Source: Yadav et al., "TIES-Merging", NeurIPS 2023, arXiv 2306.01708.
    """

    state: ClassVar[Mapping[str, torch.dtype | None]] = {
        "positive_sum": None,
        "negative_sum": None,
        "positive_count": torch.int16,
        "negative_count": torch.int16,
    }

    def fold(self, state: State, kept: Tensor) -> None:
        """Adds the kept values to the sum and the count of their sign."""
        positive_sum, negative_sum, positive_count, negative_count = state
        positive, negative = kept.clamp(min=0), kept.clamp(max=0)
        positive_sum.add_(positive)
        negative_sum.add_(negative)
        # To compare floats in place is several times as fast as to compare to bool.
        positive_count.add_(positive.gt_(0).to(positive_count.dtype))
        negative_count.add_(negative.lt_(0).to(negative_count.dtype))

    def look_back(self, state: State) -> float:
        """The sum of the elements' elected signs."""
        positive, negative, *_ = state
        return float((positive + negative).sign_().sum(dtype=torch.float64))

    def undecided(self, state: State) -> Tensor:
        """Where kept values of both signs cancel; where nothing was kept, either sign gives 0."""
        positive, negative, *_ = state
        return positive.add(negative).eq_(0).mul_(positive).nonzero().view(-1)

    def combine(self, state: State, block: MergeBlock) -> Tensor:
        """The mean of the kept values of the elected sign."""
        positive_sum, negative_sum, positive_count, negative_count = state
        total = positive_sum + negative_sum
        # The mask is a float, 1 or 0, as in MagMax.
        positive_wins = total.ge_(0) if block.glance > 0 else total.gt_(0)
        positive_mean = positive_sum / self.divisor(positive_count)
        negative_mean = negative_sum / self.divisor(negative_count)
        return negative_mean.lerp_(positive_mean, positive_wins)

    def divisor(self, count: Tensor) -> Tensor:
        """What a sum is divided by, 1 where nothing was added."""
        return count.clamp(min=1)


class ElectedByWeight(Elected):
    """The same of values that are multiplied by their task's weight; their mean is by the sum of these weights."""

    state: ClassVar[Mapping[str, torch.dtype | None]] = {
        "positive_sum": None,
        "negative_sum": None,
        "positive_weight": None,
        "negative_weight": None,
    }

    def fold_weighted(self, state: State, kept: Tensor, weight: float) -> None:
        """Adds the kept values, times the weight, to the sum of their sign, and the weight to that of the weights."""
        positive_sum, negative_sum, positive_weight, negative_weight = state
        positive, negative = kept.clamp(min=0).mul_(weight), kept.clamp(max=0).mul_(weight)
        positive_sum.add_(positive)
        negative_sum.add_(negative)
        positive_weight.add_(positive.gt_(0).mul_(weight))
        negative_weight.add_(negative.lt_(0).mul_(weight))

    def divisor(self, count: Tensor) -> Tensor:
        """The sum of the weights, 1 where nothing was added."""
        return count.where(count > 0, 1)


CombinationName = Literal["sum", "mean", "ties"]
"""The names of the ways to combine, for rules that offer them as a setting."""

_COMBINATIONS: dict[CombinationName, type[Combination]] = {"sum": Sum, "mean": Mean, "ties": Elected}


class SparseMerger(Merger):
    """A rule that says which part of a task vector is kept, and leaves it to a ``Combination`` to merge these parts.

    Args:
        scaling: λ.
        combination: How the kept parts are merged: "sum"; "mean", over all tasks; or "ties", by electing signs and
            averaging the values that agree.

    Raises:
        ValueError: ``combination`` is unknown.
    """

    version = 2  # since then, the majority sign is the whole model's where tasks are merged one by one, too

    def __init__(self, scaling: float, combination: CombinationName) -> None:
        super().__init__(scaling)
        if combination not in _COMBINATIONS:
            raise ValueError(f"combination must be 'sum', 'mean' or 'ties', not {combination!r}")
        self._combination = _COMBINATIONS[combination]()
        # No other rule has a state that depends on a setting.
        self.state = self._combination.state  # type: ignore[misc]
        self.look_back = self._combination.look_back

    @abstractmethod
    def sparsify(self, block: TaskBlock) -> Tensor:
        """Returns what is kept of one block of a task vector, with zeros elsewhere, in a new tensor."""

    def fold(self, state: State, block: TaskBlock) -> None:
        """Combines what is kept with what was kept of the tasks before."""
        kept = self.sparsify(block)
        for span in spans(len(kept)):  # saves memory where blocks are whole parameters
            self._combination.fold(tuple(part[span] for part in state), kept[span])

    def undecided(self, state: State) -> Tensor:
        """As the combination does."""
        return self._combination.undecided(state)

    def combine(self, state: State, block: MergeBlock) -> Tensor:
        """As the combination does."""
        return self._combination.combine(state, block)
