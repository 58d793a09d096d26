"""Mergers that make a model for each task: one merged task vector, and what each task takes of it."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, NoReturn

from torch import Tensor

from cl_bench.mergers.engine.blocks import Weights, checked
from cl_bench.mergers.engine.pretrained import Pretrained, Task
from cl_bench.mergers.engine.stacking import Stacking, StackMerger
from cl_bench.store.models import Model


class TaskPart(NamedTuple):
    """One parameter while a task's model is made.

    Attributes:
        name: The name of the parameter.
        merged: What ``combine_stack`` has made of all tasks, without λ; must not be changed.
        vector: τ_t of the task, of the same shape and type.
        glance: What ``PerTaskMerger.look_at_task`` returned; 0 while it looks.
        candidate: One of ``PerTaskMerger.candidates``; None where nobody chose one.
    """

    name: str
    merged: Tensor
    vector: Tensor
    glance: float
    candidate: float | None


class PerTaskMerger(StackMerger):
    """A rule that makes a model for each task: θ_t = θ_0 + λ · for_task(merged, τ_t).

    Such models answer only where the task of an image is known, and there is none for a task that was not merged.
    ``RunningMerge.merged_for`` makes them; ``merge``, which makes one model, refuses.

    ``combine_stack`` merges the tasks once. The result is kept until another task arrives, which costs the memory of
    one model.

    Args:
        scaling: λ.
    """

    per_task = True

    candidates: tuple[float, ...] = ()
    """Values of a setting that is each task's own; a run chooses one by the task's validation images, if it has any."""

    def look_at_task(self, parts: Iterable[TaskPart]) -> float:
        """Looks at all parameters of a task before its model is made; ``for_task`` gets the answer as ``glance``."""
        return 0.0

    @abstractmethod
    def for_task(self, part: TaskPart) -> Tensor:
        """Returns the task vector of one parameter of the task's model, without λ."""

    def begin(self, pretrained: Pretrained) -> "PerTask":
        """Starts a merge that keeps the tasks' weights."""
        return PerTask(self, pretrained)


class PerTask(Stacking):
    """The running merge of a rule that makes a model for each task."""

    merger: PerTaskMerger

    def __init__(self, merger: PerTaskMerger, pretrained: Pretrained) -> None:
        super().__init__(merger, pretrained)
        self._merged: dict[str, Tensor] = {}  # of the tasks so far, once it is needed

    def merged_for(self, task: int, candidate: float | None = None) -> dict[str, Tensor]:
        """See ``RunningMerge.merged_for``."""
        if not 1 <= task <= self.tasks:
            raise ValueError(f"there is no model for task {task}: tasks 1 to {self.tasks} are merged")
        if not self._merged:
            vector = self.vectors()
            self._merged = {name: vector(name) for name in self.pretrained.parameters}

        def part(name: str, glance: float) -> TaskPart:
            vector = self.pretrained.vector(name, {name: self.models.stack(name).weights[task - 1]})
            return TaskPart(name, self._merged[name], vector, glance, candidate)

        merger = self.merger
        glance = merger.look_at_task(part(name, 0.0) for name in self.pretrained.parameters)

        def vector_for_task(name: str) -> Tensor:
            return checked(
                merger.for_task(part(name, glance)), self._merged[name].shape, f"{type(merger).__name__}.for_task"
            )

        return self.written(vector_for_task)

    def merged(self) -> dict[str, Tensor]:
        """θ_0 before the first task; then there is no single model."""
        return self.pretrained.copied() if self.tasks == 0 else self._refuse()

    def merged_with_each(self, scalings: Iterable[float]) -> Iterator[dict[str, Tensor]]:
        """The same for each λ."""
        for self.merger.scaling in scalings:
            yield self.merged()

    def all_at_once(
        self, models: Sequence[tuple[Model, Mapping[str, Model]]], on_progress: Callable[[float], None]
    ) -> dict[str, Tensor]:
        """There is no single model."""
        return self._refuse()

    def loader(self, saved: Weights, tasks: int) -> Callable[[], None]:
        """As for all rules that see all tasks; what was merged before is forgotten."""
        load_models = super().loader(saved, tasks)

        def load() -> None:
            load_models()
            self._merged = {}

        return load

    def _keep(self, task: Task) -> None:
        super()._keep(task)
        self._merged = {}

    def _refuse(self) -> NoReturn:
        raise ValueError(
            f"{type(self.merger).__name__} makes a model for each task, not one for all: RunningMerge.merged_for(task)"
        )
