"""Mergers that see the values of all tasks together, one parameter at a time."""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar

from torch import Tensor

from cl_bench.mergers.engine.base import BaseMerger
from cl_bench.mergers.engine.blocks import Stack, Weights, checked
from cl_bench.mergers.engine.kept_models import KeptModels
from cl_bench.mergers.engine.pretrained import Pretrained, Task
from cl_bench.mergers.engine.whole_parameters import WholeParameters
from cl_bench.mergers.numerics.side_by_side import side_by_side
from cl_bench.store.models import Model


class StackMerger(BaseMerger):
    """A rule that must see all tasks' values of a parameter together.

    The tasks' weights are kept by reference and must not be changed while the merge runs. Where they are mapped from
    files, the memory is that of the largest parameter, once per task, and what the rule itself needs.

    Args:
        scaling: λ, by which the merged task vector is multiplied.
    """

    kind = "stacking"
    gains_from_a_gpu = True
    version: ClassVar[int] = 1
    """Rises when what a class computes changes; here, what all stacking rules share. See ``Merger.version``."""

    @property
    def memory(self) -> str:
        """The weights of all tasks."""
        return "all tasks"

    def look_over(self, stacks: Callable[[], Iterator[Stack]]) -> Weights:
        """Looks at the stacks of all parameters, as often as needed, before the first is combined.

        Args:
            stacks: Reads all tasks once more, one parameter at a time.

        Returns:
            Tensors by names of the rule's own; every stack then has them as its ``overview``.
        """
        return {}

    @abstractmethod
    def combine_stack(self, stack: Stack) -> Tensor:
        """Returns the merged task vector of one parameter, of its shape."""

    def begin(self, pretrained: Pretrained) -> "Stacking":
        """Starts a merge that keeps the tasks' weights."""
        return Stacking(self, pretrained)


class Stacking(WholeParameters):
    """The running merge of a rule that sees all tasks together."""

    merger: StackMerger
    models: KeptModels

    def __init__(self, merger: StackMerger, pretrained: Pretrained) -> None:
        super().__init__(merger, pretrained)
        self.models = KeptModels(pretrained, merger)

    def add(self, weights: Model, statistics: Mapping[str, Model] = MappingProxyType({})) -> None:
        """Keeps one more task."""
        self._keep(self.checked(self.tasks + 1, weights, statistics))

    def all_at_once(
        self, models: Sequence[tuple[Model, Mapping[str, Model]]], on_progress: Callable[[float], None]
    ) -> dict[str, Tensor]:
        """Checks the tasks side by side, then merges them; each of both counts as half of the work."""
        for task in side_by_side(lambda number: self.checked(number, *models[number - 1]), range(1, len(models) + 1)):
            self._keep(task)
            on_progress(0.5 / len(models))
        weights, elements = self.pretrained.weights, max(self.pretrained.elements, 1)
        return self.written(self.vectors(), lambda name: on_progress(0.5 * weights[name].numel() / elements))

    def vectors(self) -> Callable[[str], Tensor]:
        """Looks over all stacks; each parameter's is then combined."""
        merger, models = self.merger, self.models
        overview = merger.look_over(lambda: map(models.stack, self.pretrained.parameters))

        def vector(name: str) -> Tensor:
            stack = models.stack(name, overview)
            return checked(
                merger.combine_stack(stack), stack.pretrained.shape, f"{type(merger).__name__}.combine_stack"
            )

        return vector

    def state(self) -> dict[str, Tensor]:
        """The tasks' weights and statistics."""
        return self.models.state()

    def loader(self, saved: Weights, tasks: int) -> Callable[[], None]:
        """The tasks' weights are taken as they are, not copied."""
        return self.models.loader(saved, tasks)

    def _keep(self, task: Task) -> None:
        self.models.append(task.weights, task.statistics)
        self.averages.add(task.weights)
        self.tasks = task.number
