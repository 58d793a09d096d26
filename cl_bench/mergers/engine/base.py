"""What all mergers have in common, whichever way they run."""

from __future__ import annotations

import math
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from cl_bench.mergers.engine.blocks import Weights
from cl_bench.mergers.engine.checks import check_names, check_task, needed_statistics
from cl_bench.mergers.engine.kept_models import KeptModels
from cl_bench.mergers.engine.memory import keep_freed_memory
from cl_bench.mergers.engine.pretrained import Pretrained, Task
from cl_bench.mergers.engine.running_statistics import PREFIX, Averages, RunningStatistics
from cl_bench.store.models import Model, weights_of


class BaseMerger(ABC):
    """A rule by which task vectors τ_t = θ_t - θ_0 become one: θ = θ_0 + λ · merged.

    Derive a rule from one of the three kinds, which know how to run it:

    - ``Merger`` folds: it takes in one task after the other, and its memory does not grow with their number.
    - ``StackMerger`` sees all tasks together, one parameter at a time.
    - ``Around`` changes what another rule has merged.

    Args:
        scaling: λ, by which the merged task vector is multiplied.

    Raises:
        ValueError: ``scaling`` is not finite.
    """

    kind: ClassVar[Literal["folding", "stacking", "around"]]
    """The way in which it runs."""

    requires: frozenset[str] = frozenset()
    """Statistics that a trainer must leave behind for this rule, such as ``second_moments``."""

    per_task: ClassVar[bool] = False
    """Whether it makes a model for each task instead of one for all, see ``PerTaskMerger``."""

    sees_test_images: ClassVar[bool] = False
    """Whether it merges by what a run learns on unlabelled test images; such numbers stand apart in every table."""

    starts_from: ClassVar[Literal["merged"] | None] = None
    """The weights that every task must start from, where the rule needs that; see the trainers' ``starts_from``."""

    restarts: bool = False
    """Whether the rule can go on from other weights than it has merged so far."""

    gains_from_a_gpu: bool = False
    """Whether it computes so much that reading files and copying to a GPU do not count."""

    def __init__(self, scaling: float) -> None:
        if not math.isfinite(scaling):
            raise ValueError(f"scaling must be a finite number, not {scaling}")
        self.scaling = scaling

    @property
    @abstractmethod
    def memory(self) -> str:
        """What is kept while tasks arrive one by one, in words: a count of numbers per element, or of what."""

    @abstractmethod
    def begin(self, pretrained: Pretrained) -> Running:
        """Starts a merge of this rule's kind."""

    @property
    def inside(self) -> Sequence[BaseMerger]:
        """The rules that this one is around."""
        return ()

    def chain(self) -> Iterator[BaseMerger]:
        """Yields this rule and all that it is around, however deep."""
        yield self
        for rule in self.inside:
            yield from rule.chain()

    def check_names(self, names: Sequence[str]) -> None:
        """Checks that the rule can do what it is told with parameters of these names; most rules know no names.

        Raises:
            ValueError: It cannot.
        """
        for rule in self.inside:
            rule.check_names(names)

    def check_tasks(self, parameters: Weights, tasks: int) -> None:
        """Checks that the rule can merge so many tasks of a model with these parameters; most merge any number.

        Raises:
            ValueError: It cannot.
        """
        for rule in self.inside:
            rule.check_tasks(parameters, tasks)

    def fits(self, statistic: Tensor, parameter: Tensor) -> bool:
        """Whether a statistic has the shape that it must have for this parameter: the same, unless a rule differs."""
        return statistic.shape == parameter.shape

    def merge(
        self,
        pretrained: Model,
        finetuned: Iterable[Model],
        frozen_parameters: int = 0,
        statistics: Iterable[Mapping[str, Model]] = (),
        on_progress: Callable[[float], None] = lambda share: None,
        running_statistics: RunningStatistics = "pretrained",
    ) -> dict[str, Tensor]:
        """Merges models into one. Each is given as names and tensors, as a module, or as the path of its file.

        Args:
            pretrained: θ_0. Buffers that are not floating-point pass through. Where it lies, on the CPU or on a GPU,
                the work is done and the result lies; the tasks' models may lie elsewhere.
            finetuned: θ_1 to θ_T, in the order of the tasks. The models of a list are read side by side, block by
                block, which is fastest; files are mapped and take no memory. Anything else is read once, one model
                after the other, so a generator that makes them will do.
            frozen_parameters: Number of parameters of the published model that were not trained and are not in
                ``pretrained``. Only rules that count over the whole model ask for it.
            statistics: What each task's training left behind, by name, as ``requires`` says; read along with
                ``finetuned``.
            on_progress: Called with the share of the work that was just done, where ``finetuned`` is a list.
            running_statistics: What becomes of ``running_mean`` and ``running_var`` of normalization layers, which are
                no weights, and which no rule gets to see: ``pretrained`` takes θ_0's, ``average`` the mean over the
                tasks.

        Returns:
            The merged weights in new tensors, with the types of ``pretrained``.

        Raises:
            ValueError: No model is given, or one model instead of a list; names or shapes differ; a tensor has a type
                that is no weight where θ_0 has one, as quantized weights have; a value is NaN or infinite, or becomes
                too large for its type; statistics that the rule requires are missing; or the rule is ``per_task``.
        """
        if isinstance(finetuned, (Mapping, nn.Module, str, os.PathLike)):
            kind = type(finetuned).__name__
            raise ValueError(f"finetuned has to be a list of models, [first, second, …], not a {kind}")
        running = self.begin(Pretrained(pretrained, frozen_parameters, running_statistics))
        left_behind = iter(statistics)
        if isinstance(finetuned, Sequence) and finetuned:
            return running.all_at_once([(weights, next(left_behind, {})) for weights in finetuned], on_progress)
        for weights in finetuned:
            running.add(weights, next(left_behind, {}))
            del weights  # otherwise two tasks' weights would be held while the iterable makes the next
        if running.tasks == 0:
            raise ValueError("finetuned is empty: there is nothing to merge")
        return running.finish()


class Running(ABC):
    """A merge that grows task by task. Each kind of merger has its own; ``RunningMerge`` is their face.

    Attributes:
        merger: The rule. Its ``scaling`` may change at any time: it counts when weights are written.
        pretrained: θ_0.
        tasks: Number of tasks added.
        models: All tasks' weights, where the merge keeps them; None where a state takes their place.
    """

    models: KeptModels | None = None

    def __init__(self, merger: BaseMerger, pretrained: Pretrained) -> None:
        self.merger, self.pretrained, self.tasks = merger, pretrained, 0
        self.averages = Averages(pretrained.weights, pretrained.running_statistics)
        keep_freed_memory()

    @property
    def keeps_models(self) -> bool:
        """Whether all tasks' weights are kept."""
        return self.models is not None

    @abstractmethod
    def add(self, weights: Model, statistics: Mapping[str, Model] = MappingProxyType({})) -> None:
        """See ``RunningMerge.add``."""

    @abstractmethod
    def all_at_once(
        self, models: Sequence[tuple[Model, Mapping[str, Model]]], on_progress: Callable[[float], None]
    ) -> dict[str, Tensor]:
        """Merges these models, and nothing after them: the bits of ``add`` of each and then ``finish``, but faster.

        Args:
            models: θ_t of each task, with what its training left behind.
            on_progress: Called with the share of the work that was just done.
        """

    @abstractmethod
    def merged(self) -> dict[str, Tensor]:
        """See ``RunningMerge.merged``."""

    @abstractmethod
    def finish(self) -> dict[str, Tensor]:
        """See ``RunningMerge.finish``."""

    @abstractmethod
    def merged_with_each(self, scalings: Iterable[float]) -> Iterator[dict[str, Tensor]]:
        """See ``RunningMerge.merged_with_each``."""

    def merged_for(self, task: int, candidate: float | None = None) -> dict[str, Tensor]:
        """See ``RunningMerge.merged_for``."""
        raise ValueError(f"{type(self.merger).__name__} makes one model for all tasks: RunningMerge.merged()")

    @abstractmethod
    def vectors(self) -> Callable[[str], Tensor]:
        """Returns what gives a parameter's merged task vector: without λ, in the working type and a new tensor."""

    def restart(self, weights: Weights) -> None:
        """See ``RunningMerge.restart``."""
        raise ValueError(f"{type(self.merger).__name__} cannot go on from other weights than it has merged")

    @abstractmethod
    def state(self) -> dict[str, Tensor]:
        """What has to be saved beside the number of tasks and the averages."""

    @abstractmethod
    def loader(self, saved: Weights, tasks: int) -> Callable[[], None]:
        """Checks what ``state`` gave, and returns what loads it: nothing is loaded before all is checked.

        Raises:
            ValueError: It is not of such a merge.
        """

    def state_dict(self) -> dict[str, Tensor]:
        """See ``RunningMerge.state_dict``."""
        averages = {name: total.clone() for name, total in self.averages.state().items()}
        return {"tasks": torch.tensor(self.tasks), **self.state(), **averages}

    def load_state_dict(self, state_dict: Weights) -> None:
        """See ``RunningMerge.load_state_dict``."""
        check_names("state_dict", {"tasks"}, {"tasks"} & state_dict.keys())
        tasks = int(state_dict["tasks"])
        self.averages.check_state(state_dict)
        own = {name: tensor for name, tensor in state_dict.items() if name != "tasks" and not name.startswith(PREFIX)}
        load = self.loader(own, tasks)
        load()
        self.averages.load(state_dict)
        self.tasks = tasks

    def new_model(self) -> dict[str, Tensor]:
        """A model with room for the merged parameters; what is no parameter is in it already."""
        model = self.pretrained.to_be_merged()
        for name, mean in self.averages.means(self.tasks):
            model[name].copy_(mean)
        return model

    def checked(self, number: int, weights: Model, statistics: Mapping[str, Model], values: bool = True) -> Task:
        """Checks one task, its values only where that is asked for.

        Raises:
            ValueError: See ``BaseMerger.merge``.
        """
        called, weights = f"finetuned (task {number})", weights_of(weights)
        check_task(called, weights, self.pretrained.weights, values)
        self.averages.check(called, weights)
        parameters = {name: self.pretrained.weights[name] for name in self.pretrained.parameters}
        return Task(number, called, weights, needed_statistics(called, statistics, self.merger, parameters), values)
