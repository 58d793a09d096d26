"""What methods around any other share: it merges, and they change what it has merged."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import torch
from torch import Tensor

from cl_bench.mergers.engine.base import Merger, StackMerger
from cl_bench.mergers.engine.blocks import MergeBlock, State, TaskBlock, Weights, checked
from cl_bench.mergers.engine.checks import check_task
from cl_bench.mergers.engine.running import RunningMerge, without_statistics
from cl_bench.mergers.engine.running_statistics import RunningStatistics
from cl_bench.store.models import Model, weights_of


@dataclass(frozen=True)
class Merged:
    """One parameter as the inner method has merged it, in the working type.

    Attributes:
        name: Of the parameter.
        pretrained: θ_0, of the parameter's shape; may not be changed.
        vector: The merged task vector, with the inner method's own λ; may not be changed.
        vectors: (T, *shape) the task vectors, in the order of the tasks; None unless ``Around.sees_tasks``.
    """

    name: str
    pretrained: Tensor
    vector: Tensor
    vectors: Tensor | None


@dataclass(frozen=True)
class Whole:
    """The model as the inner method has merged it.

    Attributes:
        names: Of its parameters.
        tasks: T, the number of tasks in it.
        notes: What was noted of them.
        parameters: Walks over all parameters, as often as needed. They are then kept until each is changed, which
            costs the memory of one model, since to merge them once more may cost minutes.
    """

    names: Sequence[str]
    tasks: int
    notes: Weights
    parameters: Callable[[], Iterator[Merged]]


class Around(Merger):
    """A method that changes what another has merged, one parameter at a time: θ = θ_0 + λ · change(τ).

    τ is the other method's merged task vector with its own λ. The other may be of any kind, around a third
    itself. It merges as it would alone, in the memory that it takes alone; this method may take notes of each
    task vector beside it, or ask for all of them, see ``sees_tasks``.

    Args:
        of: The inner method.
        scaling: λ, beside that of ``of``.

    Raises:
        ValueError: ``of`` is no merger.
    """

    state: ClassVar = {}

    sees_tasks: bool = False
    """Whether the method asks for all task vectors of a parameter, and so needs no notes: models are then kept by
    reference, as for ``StackMerger``."""

    def __init__(self, of: Merger, scaling: float) -> None:
        super().__init__(scaling)
        if not isinstance(of, Merger):
            raise ValueError(f"of must be a merger, not {of!r}")
        self.of, self.requires, self.runs_as = of, of.requires, RunningAround

    def notes(self, parameters: Weights) -> dict[str, Tensor]:
        """The notes before the first task, by names of its own; ``parameters`` are θ_0's, in the working type."""
        return {}

    def note(self, notes: Mapping[str, Tensor], vectors: Iterable[tuple[str, Tensor]]) -> None:
        """Take note of one more task, in place, from the names and whole task vectors of its parameters."""

    @abstractmethod
    def change(self, whole: Whole) -> Callable[[Merged], Tensor]:
        """Look at the whole model, as far as needed; what is returned gives a parameter's changed task vector."""

    def fold(self, state: State, block: TaskBlock) -> None:
        """Never called: the inner method's takes its place."""
        raise NotImplementedError

    def combine(self, state: State, block: MergeBlock) -> Tensor:
        """Never called: ``change`` takes its place."""
        raise NotImplementedError


class RunningAround(RunningMerge):
    """The running merge of a method around another: the other's own running merge, and the notes beside it."""

    def __init__(
        self,
        merger: Around,
        pretrained: Model,
        frozen_parameters: int = 0,
        running_statistics: RunningStatistics = "pretrained",
    ) -> None:
        super().__init__(merger, pretrained, frozen_parameters, running_statistics)
        self._around = merger
        self._inner = RunningMerge(merger.of, self._pretrained, frozen_parameters)
        self._notes = merger.notes({name: self._start(name) for name in self._parameters})

    @property
    def _merges_whole_parameters(self) -> bool:
        return True

    @property
    def keeps_models(self) -> bool:
        """As ``RunningMerge.keeps_models``."""
        return self._keeper() is not None

    def add(self, weights: Model, statistics: Mapping[str, Model] = MappingProxyType({})) -> None:
        """Fold the weights of one more task into the inner merge, and take note of them; as ``RunningMerge.add``."""
        what, weights = f"finetuned (task {self._tasks + 1})", weights_of(weights)
        check_task(what, weights, self._pretrained, values=False)
        self._statistics.check(what, weights)
        self._inner.add(weights, statistics)
        self._statistics.add(weights)
        if self._keeper() is self:
            self._models.append((weights, {}))
        self._around.note(self._notes, ((name, self._vector(name, weights)) for name in self._parameters))
        self._tasks += 1

    def all_at_once(
        self, models: Sequence[tuple[Model, Mapping[str, Model]]], on_progress: Callable[[float], None]
    ) -> dict[str, Tensor]:
        """Just ``add`` of each and then ``merged``."""
        for weights, statistics in models:
            self.add(weights, statistics)
            on_progress(0.5 / len(models))
        merged = self.merged()
        on_progress(0.5)
        return merged

    def _from_state(self, keep: bool) -> Callable[[str, Tensor], None]:
        return self._from_vectors()

    def vectors(self) -> Callable[[str], Tensor]:
        """What changes the inner method's merged task vector of a parameter, in which that method's λ is."""
        unscaled = self._inner.vectors()
        looked_at: dict[str, Tensor] = {}

        def inner(name: str) -> Tensor:
            return unscaled(name).mul(self._inner.merger.scaling)

        def merged(name: str, vector: Tensor) -> Merged:
            return Merged(name, self._start(name), vector, self._all_vectors(name))

        def parameters() -> Iterator[Merged]:
            for name in self._parameters:
                if name not in looked_at:
                    looked_at[name] = inner(name)
                yield merged(name, looked_at[name])

        change = self._around.change(Whole(self._parameters, self._tasks, self._notes, parameters))

        def vector(name: str) -> Tensor:
            own = looked_at.pop(name) if name in looked_at else inner(name)
            changed = change(merged(name, own))
            return checked(changed, own.shape, f"{type(self._around).__name__}.change")

        return vector

    def state_dict(self) -> dict[str, Tensor]:
        """A copy of the notes, or the models where all are seen; and the inner state, each name after ``of.``."""
        inner = self._inner.state_dict()
        return super().state_dict() | {f"of.{name}": inner[name] for name in inner.keys() - {"tasks"}}

    def load_state_dict(self, state_dict: Weights) -> None:
        """Go on from where ``state_dict`` was taken; as ``RunningMerge.load_state_dict``."""
        inner = {name[3:]: tensor for name, tensor in state_dict.items() if name.startswith("of.")}
        own = {name: tensor for name, tensor in state_dict.items() if not name.startswith("of.")}
        tasks, models = own.get("tasks"), []
        self._statistics.check_state(own)
        if self._keeper() is self and tasks is not None:
            models = self._saved_models(without_statistics(own), int(tasks))
        else:
            self._check_state(without_statistics(own))
        self._inner.load_state_dict(inner | ({} if tasks is None else {"tasks": tasks}))
        self._statistics.load(own)
        self._load_state(own)
        self._models, self._tasks = models, self._inner.tasks

    def _named_state(self) -> dict[str, Tensor]:
        return self._notes

    def _keeper(self) -> RunningMerge | None:
        """The merge that keeps the models: the innermost, so that they are in the state once; or none."""
        if isinstance(self._inner, RunningAround):
            of_inner = self._inner._keeper()
        else:
            of_inner = self._inner if isinstance(self._around.of, StackMerger) else None
        return of_inner or (self if self._around.sees_tasks else None)

    def _all_vectors(self, name: str) -> Tensor | None:
        keeper = self._keeper()
        return keeper._stack(name).vectors if keeper and self._around.sees_tasks else None

    def _vector(self, name: str, weights: Weights) -> Tensor:
        start = self._start(name)
        return torch.sub(weights[name].detach().to(start), start)
