"""Mergers around another: it merges, and they change what it has merged."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

from torch import Tensor

from cl_bench.mergers.engine.base import BaseMerger
from cl_bench.mergers.engine.blocks import Weights, checked
from cl_bench.mergers.engine.checks import check_names, check_saved, check_task
from cl_bench.mergers.engine.kept_models import KeptModels
from cl_bench.mergers.engine.pretrained import Pretrained
from cl_bench.mergers.engine.whole_parameters import WholeParameters
from cl_bench.store.models import Model, weights_of

_OF = "of."  # before the names of the inner merge's saved state


@dataclass(frozen=True)
class Merged:
    """One parameter as the inner rule has merged it, in the working type.

    Attributes:
        name: The name of the parameter.
        pretrained: θ_0, of the parameter's shape; must not be changed.
        vector: The merged task vector, with the inner rule's own λ; must not be changed.
        vectors: (T, *shape) task vectors in the order of the tasks; None unless ``Around.sees_tasks``.
    """

    name: str
    pretrained: Tensor
    vector: Tensor
    vectors: Tensor | None


@dataclass(frozen=True)
class Whole:
    """The model as the inner rule has merged it.

    Attributes:
        names: The names of its parameters.
        tasks: T, the number of tasks in it.
        notes: What was noted of them.
        parameters: Walks through all parameters, as often as needed. They are kept until each is changed, which costs
            the memory of one model: to merge them again may cost minutes.
    """

    names: Sequence[str]
    tasks: int
    notes: Weights
    parameters: Callable[[], Iterator[Merged]]


class Around(BaseMerger):
    """A rule that changes what another has merged, one parameter at a time: θ = θ_0 + λ · change(τ).

    τ is the other rule's merged task vector with its own λ. The other may be of any kind, itself around a third. It
    merges as it would alone, in the memory that it takes alone. This rule may take notes of each task vector, or ask
    for all of them, see ``sees_tasks``.

    Args:
        of: The inner rule.
        scaling: λ, beside that of ``of``.

    Raises:
        ValueError: ``of`` is no merger, makes a model for each task, or learns on test images.
    """

    kind = "around"
    version: ClassVar[int] = 1
    """Rises when what a class computes changes; here, what all rules around another share. See ``Merger.version``."""

    sees_tasks: bool = False
    """Whether the rule asks for all task vectors of a parameter, and so needs no notes. Models are then kept by
    reference, as for ``StackMerger``."""

    def __init__(self, of: BaseMerger, scaling: float) -> None:
        super().__init__(scaling)
        check_inner(of)
        self.of, self.requires = of, of.requires
        self.gains_from_a_gpu = self.sees_tasks or of.gains_from_a_gpu

    @property
    def inside(self) -> Sequence[BaseMerger]:
        """The inner rule."""
        return (self.of,)

    def fits(self, statistic: Tensor, parameter: Tensor) -> bool:
        """Statistics are for the inner rule."""
        return self.of.fits(statistic, parameter)

    @property
    def memory(self) -> str:
        """What the inner rule keeps, unless this one sees all tasks."""
        return "all tasks" if self.sees_tasks else self.of.memory

    def notes(self, parameters: Weights) -> dict[str, Tensor]:
        """Returns the notes before the first task, by names of its own, for θ_0's parameters in the working type."""
        return {}

    def note(self, notes: Mapping[str, Tensor], vectors: Iterable[tuple[str, Tensor]]) -> None:
        """Takes note of one more task, in place, from the names and whole task vectors of its parameters."""

    @abstractmethod
    def change(self, whole: Whole) -> Callable[[Merged], Tensor]:
        """Looks at the whole model, as far as needed, and returns what changes a parameter's task vector."""

    def begin(self, pretrained: Pretrained) -> "RunningAround":
        """Starts the inner rule's merge, and notes beside it."""
        return RunningAround(self, pretrained)


def check_inner(of: object) -> None:
    """Checks that a rule can be the inner one of another.

    Raises:
        ValueError: It is no merger, makes a model for each task, or learns on test images.
    """
    if not isinstance(of, BaseMerger):
        raise ValueError(f"of must be a merger, not {of!r}")
    if of.per_task:
        raise ValueError(f"of must merge one model for all tasks; {type(of).__name__} makes one for each")
    if of.sees_test_images:
        raise ValueError(f"of must merge without images; {type(of).__name__} learns on test images")


class RunningAround(WholeParameters):
    """The running merge of a rule around another: the other's own, and the notes beside it."""

    merger: Around

    def __init__(self, merger: Around, pretrained: Pretrained) -> None:
        super().__init__(merger, pretrained)
        self._inner = merger.of.begin(pretrained.without_averages())
        self._notes = merger.notes({name: pretrained.start(name) for name in pretrained.parameters})
        # Models are kept once: by the innermost merge that needs them.
        self._own_models = KeptModels(pretrained) if merger.sees_tasks and self._inner.models is None else None
        self.models = self._own_models or self._inner.models

    @property
    def keeps_models(self) -> bool:
        """Whether this or the inner merge keeps them."""
        return self.models is not None or self._inner.keeps_models

    def add(self, weights: Model, statistics: Mapping[str, Model] = MappingProxyType({})) -> None:
        """Folds one more task into the inner merge, and takes note of it."""
        called, weights = f"finetuned (task {self.tasks + 1})", weights_of(weights)
        check_task(called, weights, self.pretrained.weights, values=False)  # the inner merge looks at the values
        self.averages.check(called, weights)
        self._inner.add(weights, statistics)
        self.averages.add(weights)
        if self._own_models:
            self._own_models.append(weights)
        vectors = ((name, self.pretrained.vector(name, weights)) for name in self.pretrained.parameters)
        self.merger.note(self._notes, vectors)
        self.tasks += 1

    def vectors(self) -> Callable[[str], Tensor]:
        """Merges with the inner rule and its λ, then changes each parameter."""
        unscaled, kept = self._inner.vectors(), dict[str, Tensor]()

        def inner(name: str) -> Tensor:
            return unscaled(name).mul(self.merger.of.scaling)

        def merged(name: str, vector: Tensor) -> Merged:
            vectors = self.models.stack(name).vectors if self.models and self.merger.sees_tasks else None
            return Merged(name, self.pretrained.start(name), vector, vectors)

        def parameters() -> Iterator[Merged]:
            for name in self.pretrained.parameters:
                if name not in kept:
                    kept[name] = inner(name)
                yield merged(name, kept[name])

        change = self.merger.change(Whole(self.pretrained.parameters, self.tasks, self._notes, parameters))

        def vector(name: str) -> Tensor:
            own = kept.pop(name) if name in kept else inner(name)
            return checked(change(merged(name, own)), own.shape, f"{type(self.merger).__name__}.change")

        return vector

    def state(self) -> dict[str, Tensor]:
        """A copy of the notes; the models where they are kept here; the inner state, with ``of.`` before each name."""
        own = {name: note.clone() for name, note in self._notes.items()}
        if self._own_models:
            own |= self._own_models.state()
        return own | {_OF + name: tensor for name, tensor in self._inner.state().items()}

    def loader(self, saved: Weights, tasks: int) -> Callable[[], None]:
        """Checks the notes, the models that are kept here, and the inner state, one after the other."""
        own = {name: tensor for name, tensor in saved.items() if not name.startswith(_OF)}
        noted = {name: tensor for name, tensor in own.items() if name in self._notes}
        check_names("state_dict", set(self._notes), set(noted if self._own_models else own))
        for name, note in self._notes.items():
            check_saved(name, noted[name], note)
        models = {name: tensor for name, tensor in own.items() if name not in noted}
        load_models = self._own_models.loader(models, tasks) if self._own_models else None
        inner = {name.removeprefix(_OF): tensor for name, tensor in saved.items() if name.startswith(_OF)}
        load_inner = self._inner.loader(inner, tasks)

        def load() -> None:
            for name, note in self._notes.items():
                note.copy_(noted[name])
            if load_models:
                load_models()
            load_inner()
            self._inner.tasks = tasks

        return load
