"""The merger: a fold over tasks, one tensor at a time."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from cl_bench.mergers.engine.blocks import Array, MergeBlock, Stack, State, TaskBlock, TaskVector, Weights, checked
from cl_bench.store.models import Model

if TYPE_CHECKING:
    from cl_bench.mergers.engine.running import RunningMerge
    from cl_bench.mergers.engine.running_statistics import RunningStatistics


class Merger(ABC):
    """A rule by which task vectors τ_t = θ_t - θ_0 become one: θ = θ_0 + scaling · combined.

    A method names its running state, says how one block of it takes in one more task (``fold``) and
    what it amounts to (``combine``). It may look at the whole task vector before it is folded
    (``look``), and at the whole state before it is combined (``look_back``). Blocks of several parameters may be
    worked on at the same time, in threads.

    Args:
        scaling: λ, by which the merged task vector is multiplied.

    Raises:
        ValueError: ``scaling`` is not finite.
    """

    version: ClassVar[int] = 1
    """Rises in a class when what it computes changes: sweeps do anew what an earlier one has merged. Here, what all
    methods share."""

    requires: frozenset[str] = frozenset()
    """Statistics that a trainer must leave behind for this method, such as ``second_moments``."""

    state: ClassVar[Mapping[str, torch.dtype | None]]
    """The running state: one tensor per name and parameter, zero at first; None is the working type."""

    seed: int = 0
    """Seed of the random draws; methods without any ignore it."""

    whole_parameters: bool = False
    """Whether a block is always one whole parameter, as ranks and norms within it need; costs memory by its size."""

    looks_back: bool = False
    """Whether the method looks at the whole state, by ``look_back``, before it is combined."""

    restarts: bool = False
    """Whether the method can go on from weights that take the place of what it has merged so far."""

    carries_nan: bool = False
    """Whether a NaN or infinite value in any task's weights is always in what they are merged to: then it is looked for
    there, once, where all tasks are merged at once."""

    runs_as: type[RunningMerge] | None = None
    """The kind of running merge that the method needs, where ``RunningMerge`` itself will not do."""

    def __init__(self, scaling: float) -> None:
        if not math.isfinite(scaling):
            raise ValueError(f"scaling must be a finite number, not {scaling}")
        self.scaling = scaling

    def fits(self, statistic: Tensor, parameter: Tensor) -> bool:
        """Whether a statistic has the shape that it must have for this parameter: the parameter's own."""
        return statistic.shape == parameter.shape

    def look(self, vector: TaskVector) -> float:
        """Look at a whole task vector before it is folded; ``fold`` gets the answer as ``glance``."""
        return 0.0

    @abstractmethod
    def fold(self, state: State, block: TaskBlock) -> None:
        """Take one block of one more task into the state, in place."""

    def restart(self, state: State, weights: Tensor) -> None:
        """Go on from the weights of one block as if they were what was merged; where ``restarts`` says so."""
        raise NotImplementedError

    def look_back(self, state: State) -> float:
        """Look at one block of the state before any is combined; ``combine`` gets the sum over all blocks."""
        raise NotImplementedError

    @abstractmethod
    def combine(self, state: State, block: MergeBlock) -> Tensor:
        """The merged task vector of one block. The state may be returned itself, but not changed."""

    def combine_at_once(self, pretrained: Array, weights: Sequence[Array], out: Array) -> None:
        """What ``fold`` of all tasks and then ``combine`` give, bit for bit, for methods that have a faster way.

        It is asked for on the CPU only, and must carry what is not finite, see ``carries_nan``.

        Args:
            pretrained: θ_0, 1-D, in the working type; may not be changed.
            weights: θ_t of each task, in order, as ``pretrained``; may not be changed.
            out: The merged task vector, to be written.
        """
        raise NotImplementedError

    def apply(self, state: State, block: MergeBlock) -> Tensor:
        """The merged weights of one block, θ_0 + λ · combined, in the working type."""
        combined = checked(self.combine(state, block), block.pretrained.shape, f"{type(self).__name__}.combine")
        return combined.mul(self.scaling).add_(block.pretrained)

    def merge(
        self,
        pretrained: Model,
        finetuned: Iterable[Model],
        frozen_parameters: int = 0,
        statistics: Iterable[Mapping[str, Model]] = (),
        on_progress: Callable[[float], None] = lambda share: None,
        running_statistics: RunningStatistics = "pretrained",
    ) -> dict[str, Tensor]:
        """Merge models into one. Each may be given as names and tensors, as a module, or as the path of its file.

        Args:
            pretrained: θ_0. Buffers that are not floating-point pass through. Where it is, on the CPU or on a GPU, the
                work is done, and the result is; the tasks' models may be elsewhere.
            finetuned: θ_1 to θ_T, in the order of the tasks. Of a list, all are read side by side, block by
                block, which is fastest; files are mapped, and take no memory. Anything else is read once,
                one model after the other, so a generator that makes them will do.
            frozen_parameters: Parameters of the published model that were not trained and are not in
                ``pretrained``; only methods that count over the whole model ask for it.
            statistics: What each task's training left behind, by name, as ``requires`` says; read along
                with ``finetuned``.
            on_progress: Called with the share of the work that was just done, where ``finetuned`` is a list.
            running_statistics: What becomes of ``running_mean`` and ``running_var`` of normalization layers, which
                are no weights, and which no method gets to see: ``pretrained`` takes θ_0's, ``average`` the mean over
                the tasks.

        Returns:
            The merged weights in new tensors, with the types of ``pretrained``.

        Raises:
            ValueError: No model is given; names or shapes differ; a tensor has a type that is no weight where θ_0 has
                one, as quantized weights have; a value is NaN or infinite, or becomes too large for its type; or
                statistics that the method requires are missing.
        """
        from cl_bench.mergers.engine.running import RunningMerge  # which needs to know what a merger is

        running, left_behind = RunningMerge(self, pretrained, frozen_parameters, running_statistics), iter(statistics)
        if isinstance(finetuned, Sequence) and finetuned:
            return running.all_at_once([(weights, next(left_behind, {})) for weights in finetuned], on_progress)
        for weights in finetuned:
            running.add(weights, next(left_behind, {}))
            # Without this, two tasks' weights would be held while the iterable makes the next.
            del weights
        if running.tasks == 0:
            raise ValueError("finetuned is empty: there is nothing to merge")
        return running.finish()


class StackMerger(Merger):
    """A method that must see the values of all tasks together, one parameter at a time.

    The tasks' weights are kept by reference and must not be changed while the merge runs: where they are
    mapped from files, the memory is that of the largest parameter, once per task, and what the method
    itself needs.
    """

    state: ClassVar = {}

    def look_over(self, stacks: Callable[[], Iterator[Stack]]) -> Weights:
        """Look at the stacks of all parameters, as often as needed, before the first is combined.

        Args:
            stacks: Called without arguments, reads all tasks once more, one parameter at a time.

        Returns:
            Tensors by names of the method's own; what every stack is then given as ``overview``.
        """
        return {}

    @abstractmethod
    def combine_stack(self, stack: Stack) -> Tensor:
        """The merged task vector of one parameter, of its shape."""

    def fold(self, state: State, block: TaskBlock) -> None:
        """Nothing: the weights themselves are kept."""

    def combine(self, state: State, block: MergeBlock) -> Tensor:
        """Never called: ``combine_stack`` takes its place."""
        raise NotImplementedError
