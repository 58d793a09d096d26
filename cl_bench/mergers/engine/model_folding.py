"""Mergers that fold whole parameters, one task after the other, and may look at the whole model while they do."""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import ClassVar

import torch
from torch import Tensor

from cl_bench.mergers.engine.base import BaseMerger
from cl_bench.mergers.engine.blocks import State, Weights, checked, working_dtype
from cl_bench.mergers.engine.checks import check_names, check_saved
from cl_bench.mergers.engine.pretrained import Pretrained, Task
from cl_bench.mergers.engine.task_blocks import task_generator
from cl_bench.mergers.engine.whole_parameters import WholeParameters
from cl_bench.mergers.numerics.side_by_side import side_by_side
from cl_bench.mergers.numerics.sums import exact_sum
from cl_bench.store.models import Model


@dataclass(frozen=True)
class TaskParameter:
    """One parameter of the task that is being folded in.

    Attributes:
        name: The name of the parameter.
        vector: Its task vector τ_t, of the parameter's shape, in the working type; a new tensor, which may be changed.
        task: t, the number of the task, from 1.
        statistics: What the task's training left behind, by name, see ``BaseMerger.requires``; zeros for a parameter
            that was not trained. They must not be changed.
        generator: A random generator on the CPU for this task and parameter.
    """

    name: str
    vector: Tensor
    task: int
    statistics: Mapping[str, Tensor]
    generator: torch.Generator


class ModelFold(BaseMerger):
    """A rule that folds whole parameters, and may look at the whole model before each task.

    A rule names its state, says how the state of one parameter takes in one more task (``fold``), and which task vector
    it amounts to (``combine``). Where a step depends on all parameters, ``look`` sees them before they are folded, and
    ``numbers`` keeps what must be known of the whole model from task to task. Parameters are worked on side by side, in
    threads; the memory is that of the state, whatever the number of tasks.

    Args:
        scaling: λ, by which the merged task vector is multiplied.
    """

    kind = "folding"
    gains_from_a_gpu = True
    version: ClassVar[int] = 1
    """Rises when what a class computes changes; here, what all rules of this kind share. See ``Merger.version``."""

    state: ClassVar[Mapping[str, torch.dtype | None]]
    """The running state: one tensor of the parameter's shape per name and parameter, zero at first; None is the working
    type."""

    numbers: ClassVar[Mapping[str, float]] = MappingProxyType({})
    """Numbers of the whole model that are kept beside the state, with their values before the first task."""

    seed: int = 0
    """The seed of ``TaskParameter.generator``, for rules that draw at random."""

    @property
    def memory(self) -> str:
        """Numbers per element of the model."""
        return str(len(self.state))

    def look(self, model: Callable[[], Iterator[tuple[State, TaskParameter]]]) -> tuple[float, ...]:
        """Looks at the whole model before a task is folded in. The order of the parameters must not count.

        Args:
            model: Starts a walk through the parameters, with the state of each; the state must not be changed.

        Returns:
            Numbers that ``fold`` is given.
        """
        return ()

    @abstractmethod
    def fold(self, state: State, parameter: TaskParameter, seen: tuple[float, ...]) -> Tensor | None:
        """Takes one parameter of one more task into its state, in place.

        Returns:
            (N,) numbers, whose sums over all parameters ``count`` gets; None if it needs none.
        """

    def count(self, numbers: dict[str, float], sums: Tensor, task: int) -> None:
        """Changes ``numbers`` when all parameters of a task have been folded in.

        Args:
            numbers: Those of the whole model, to be changed in place.
            sums: (N,) sums over all parameters of what ``fold`` returned, each rounded once; a single 0 of none.
            task: The number of the task, from 1.
        """

    @abstractmethod
    def combine(self, state: State, name: str, tasks: int, numbers: Mapping[str, float]) -> Tensor:
        """Returns the merged task vector of one parameter. That may be a state itself, which must not be changed."""

    def begin(self, pretrained: Pretrained) -> "ModelFolding":
        """Starts a merge with a state of zeros."""
        return ModelFolding(self, pretrained)


class ModelFolding(WholeParameters):
    """The running merge of a rule that folds whole parameters."""

    merger: ModelFold

    def __init__(self, merger: ModelFold, pretrained: Pretrained) -> None:
        super().__init__(merger, pretrained)
        self._numbers = dict(merger.numbers)

    @cached_property
    def _state(self) -> dict[str, State]:
        """The running state of each parameter, made when it is first needed."""
        return {name: self._zeros(self.pretrained.weights[name]) for name in self.pretrained.parameters}

    def add(self, weights: Model, statistics: Mapping[str, Model] = MappingProxyType({})) -> None:
        """Folds one more task into the kept state."""
        self._fold(self.checked(self.tasks + 1, weights, statistics))

    def all_at_once(
        self, models: Sequence[tuple[Model, Mapping[str, Model]]], on_progress: Callable[[float], None]
    ) -> dict[str, Tensor]:
        """Just ``add`` of each, once all are checked, and then ``merged``: every task needs the whole model before."""
        numbered = range(1, len(models) + 1)
        for task in list(side_by_side(lambda number: self.checked(number, *models[number - 1]), numbered)):
            self._fold(task)
            on_progress(1 / len(models))
        return self.merged()

    def vectors(self) -> Callable[[str], Tensor]:
        """Combines a parameter's state."""
        weights = self.pretrained.weights

        def vector(name: str) -> Tensor:
            combined, own = self.merger.combine(self._state[name], name, self.tasks, self._numbers), weights[name]
            answer = checked(combined, own.shape, f"{type(self.merger).__name__}.combine")
            return answer.to(own.device, working_dtype(own), copy=True)

        return vector

    def state(self) -> dict[str, Tensor]:
        """A copy of the running state, ``<state>/<parameter>``, and the numbers of the whole model by their names."""
        return {name: tensor.clone() for name, tensor in self._named_state().items()}

    def loader(self, saved: Weights, tasks: int) -> Callable[[], None]:
        """The running state must have the names, shapes and types of this one."""
        own = self._named_state()
        check_names("state_dict", set(own), set(saved))
        for name, tensor in own.items():
            check_saved(name, saved[name], tensor)

        def load() -> None:
            for name, tensor in own.items():
                tensor.copy_(saved[name])
            self._numbers = {name: float(saved[name]) for name in self._numbers}

        return load

    def _fold(self, task: Task) -> None:
        state, merger, parameters = self._state, self.merger, self.pretrained.parameters
        seen = merger.look(lambda: ((state[name], self._parameter(task, name)) for name in parameters))

        def fold(name: str) -> Tensor | None:
            return merger.fold(state[name], self._parameter(task, name), seen)

        of_each = [numbers for numbers in side_by_side(fold, parameters) if numbers is not None]
        merger.count(self._numbers, exact_sum(of_each), task.number)
        self.averages.add(task.weights)
        self.tasks = task.number

    def _parameter(self, task: Task, name: str) -> TaskParameter:
        vector = self.pretrained.vector(name, task.weights).contiguous()
        left_behind = {key: _like(tensors.get(name), vector) for key, tensors in task.statistics.items()}
        generator = task_generator(self.merger.seed, task.number, name)
        return TaskParameter(name, vector, task.number, left_behind, generator)

    def _zeros(self, like: Tensor) -> State:
        return tuple(
            torch.zeros(like.shape, dtype=dtype or working_dtype(like), device=like.device)
            for dtype in self.merger.state.values()
        )

    def _named_state(self) -> dict[str, Tensor]:
        numbers = {name: torch.tensor(number, dtype=torch.float64) for name, number in self._numbers.items()}
        return numbers | {
            f"{part_name}/{name}": part
            for name, state in self._state.items()
            for part_name, part in zip(self.merger.state, state, strict=True)
        }


def _like(statistic: Tensor | None, vector: Tensor) -> Tensor:
    """A statistic as large as its parameter; zeros where the parameter was not trained."""
    return torch.zeros_like(vector) if statistic is None else statistic.detach().to(vector)
