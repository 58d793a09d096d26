"""Mergers that fold: a running state takes in one more task, one block at a time."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from types import MappingProxyType
from typing import ClassVar

import torch
from torch import Tensor

from cl_bench.mergers import fast
from cl_bench.mergers.engine.base import BaseMerger, Running
from cl_bench.mergers.engine.blocks import (
    BLOCK_ELEMENTS,
    MergeBlock,
    State,
    TaskBlock,
    TaskVector,
    Weights,
    checked,
    flat,
    spans,
    working_dtype,
)
from cl_bench.mergers.engine.checks import check_names, check_saved, check_task
from cl_bench.mergers.engine.memory import give_back_freed_memory
from cl_bench.mergers.engine.pretrained import Pretrained, Task, room_for, settle
from cl_bench.mergers.engine.task_blocks import starts, task_blocks, task_vector
from cl_bench.mergers.numerics.side_by_side import side_by_side
from cl_bench.store.models import Model


class Merger(BaseMerger):
    """A rule that folds: its state takes in one task after the other, and needs none of those before.

    A rule names its state, says how one block of it takes in one more task (``fold``) and which task vector it amounts
    to (``combine``). Blocks of several parameters may be worked on at the same time, in threads.

    Args:
        scaling: λ, by which the merged task vector is multiplied.
    """

    kind = "folding"
    version: ClassVar[int] = 1
    """Rises when what a class computes changes, so that sweeps repeat what an earlier version merged. Here it stands
    for what all folding rules share."""

    state: ClassVar[Mapping[str, torch.dtype | None]]
    """The running state: one tensor per name and parameter, zero at first; None is the working type."""

    seed: int = 0
    """The seed of ``TaskBlock.generator``, for rules that draw at random."""

    whole_parameters: bool = False
    """Whether a block is always one whole parameter, as ranks and norms within it need; costs memory of that size."""

    look: Callable[[TaskVector], float] | None = None
    """A method that looks at a whole task vector before it is folded; ``fold`` gets its answer as ``block.glance``."""

    look_back: Callable[[State], float] | None = None
    """A method that looks at each block of the state before any is combined; ``combine`` gets the sum of its answers as
    ``block.glance``."""

    def undecided(self, state: State) -> Tensor:
        """Returns the places, 1-D, where what ``combine`` makes of a block depends on its ``glance``; at first, all."""
        return torch.arange(len(state[0]), device=state[0].device)

    @property
    def memory(self) -> str:
        """Numbers per element of the model."""
        return str(len(self.state))

    @abstractmethod
    def fold(self, state: State, block: TaskBlock) -> None:
        """Takes one block of one more task into the state, in place."""

    @abstractmethod
    def combine(self, state: State, block: MergeBlock) -> Tensor:
        """Returns the merged task vector of one block. That may be a state itself, which must not be changed."""

    def apply(self, state: State, block: MergeBlock) -> Tensor:
        """Returns the merged weights of one block, θ_0 + λ · combined, in the working type."""
        combined = checked(self.combine(state, block), block.pretrained.shape, f"{type(self).__name__}.combine")
        return combined.mul(self.scaling).add_(block.pretrained)

    def restart(self, state: State, weights: Tensor) -> None:
        """Goes on from the weights of one block as if it had merged them; needed where ``restarts`` is true."""
        raise NotImplementedError

    def begin(self, pretrained: Pretrained) -> "Folding":
        """Starts a merge with a state of zeros."""
        return Folding(self, pretrained)


class Folding(Running):
    """The running merge of a rule that folds. Parameters are worked on side by side, each by one thread."""

    merger: Merger

    @cached_property
    def _state(self) -> dict[str, State]:
        """The running state of each parameter, made when it is first needed."""
        return {name: self._zeros(flat(self.pretrained.weights[name])) for name in self.pretrained.parameters}

    def add(self, weights: Model, statistics: Mapping[str, Model] = MappingProxyType({})) -> None:
        """Folds one more task into the kept state."""
        task = self._looked_at(self.checked(self.tasks + 1, weights, statistics))
        state = self._state

        def fold(name: str) -> None:
            for span, _, folded in self._blocks([task], name):
                for block in folded:
                    self.merger.fold(_part(state[name], span), block)

        for _ in side_by_side(fold, self.pretrained.parameters):
            pass
        self.averages.add(task.weights)
        self.tasks = task.number

    def all_at_once(
        self, models: Sequence[tuple[Model, Mapping[str, Model]]], on_progress: Callable[[float], None]
    ) -> dict[str, Tensor]:
        """Walks through the parameters once, block by block, and through the tasks within each block.

        So θ_0, state and result cross the memory once, not once per task, and the state is that of a block. A rule that
        looks at whole task vectors reads all of them beforehand. One with a faster way to the same bits takes that.
        """
        share = 0.0 if self.merger.look is None else 0.5  # of the work, that is done when all tasks were looked at

        def look(number: int) -> Task:
            return self._looked_at(self.checked(number, *models[number - 1], values=self.merger.look is not None))

        tasks = []
        for task in side_by_side(look, range(1, len(models) + 1)):
            tasks.append(task)
            self.averages.add(task.weights)
            on_progress(share / len(models))
        self.tasks = len(tasks)
        parameters, elements = self.pretrained.parameters, max(self.pretrained.elements, 1)
        model = self.new_model()

        glance, waiting = 0.0, list[Callable[[float], None]]()
        written = side_by_side(partial(self._write_at_once, tasks, model), parameters)
        for name, (seen, decide) in zip(parameters, written, strict=True):
            glance += seen
            waiting += [decide] if decide else []
            on_progress((1 - share) * model[name].numel() / elements)
        list(side_by_side(lambda decide: decide(glance), waiting))
        return model

    def merged(self) -> dict[str, Tensor]:
        """θ_0 + λ · what the state amounts to."""
        return self._from_state(self._state.__getitem__) if self.tasks else self.pretrained.copied()

    def finish(self) -> dict[str, Tensor]:
        """The same; the state of each parameter makes room for the next one's weights."""
        return self._from_state(self._state.pop) if self.tasks else self.pretrained.copied()

    def merged_with_each(self, scalings: Iterable[float]) -> Iterator[dict[str, Tensor]]:
        """``merged`` with each λ."""
        for self.merger.scaling in scalings:
            yield self.merged()

    def vectors(self) -> Callable[[str], Tensor]:
        """Combines a parameter's state, block by block."""
        glance = self._glance_back()

        def vector(name: str) -> Tensor:
            whole = torch.empty_like(self.pretrained.start(name))
            for span, start in self._starts(name):
                combined = self.merger.combine(_part(self._state[name], span), MergeBlock(start, self.tasks, glance))
                whole.view(-1)[span] = checked(combined, start.shape, f"{type(self.merger).__name__}.combine")
            return whole

        return vector

    def restart(self, weights: Weights) -> None:
        """Takes these weights for what was merged so far, where the rule can."""
        if not self.merger.restarts:
            super().restart(weights)
        check_task("weights", weights, self.pretrained.weights)
        self.averages.check("weights", weights)
        self.averages.restart(weights, self.tasks)
        for name, state in self._state.items():
            values = flat(weights[name])
            for span in spans(values.numel()):
                part = _part(state, span)
                self.merger.restart(part, values[span].to(part[0].device, working_dtype(values)))

    def state(self) -> dict[str, Tensor]:
        """A copy of the running state: ``<state>/<parameter>``."""
        return {name: part.clone() for name, part in self._named_state().items()}

    def loader(self, saved: Weights, tasks: int) -> Callable[[], None]:
        """The running state must have the names, shapes and types of this one."""
        own = self._named_state()
        check_names("state_dict", set(own), set(saved))
        for name, part in own.items():
            check_saved(name, saved[name], part)

        def load() -> None:
            for name, part in own.items():
                part.copy_(saved[name])

        return load

    def _looked_at(self, task: Task) -> Task:
        """Lets the rule look at the whole task vector."""
        look = self.merger.look
        return task if look is None else task._replace(glance=look(task_vector(self.pretrained, task)))

    def _write_at_once(
        self, tasks: Sequence[Task], model: Weights, name: str
    ) -> tuple[float, Callable[[float], None] | None]:
        """Writes one parameter. Returns what ``look_back`` sees in it, and what decides undecided places, if any."""
        merger, result, seen, undecided = self.merger, room_for(model[name]), 0.0, list[tuple[Tensor, State, Tensor]]()

        def decide(glance: float) -> None:
            for places, state, start in undecided:
                block = MergeBlock(start, self.tasks, glance)
                result.view(-1)[places] = merger.apply(state, block).to(result.dtype)
            self._settle(name, result, model[name], tasks)

        way = fast.way_of(merger)
        if way is not None and result.device.type == "cpu":
            start, weights = self.pretrained.weights[name], [task.weights[name] for task in tasks]
            fast.write(way, merger, start, weights, result)
        else:
            for span, start, folded in self._blocks(tasks, name, look_for_nan=way is None):
                state = self._zeros(start)
                for block in folded:
                    merger.fold(state, block)
                result.view(-1)[span] = merger.apply(state, MergeBlock(start, self.tasks, 0.0))
                if merger.look_back is not None:
                    seen += merger.look_back(state)
                    if len(places := merger.undecided(state)):
                        undecided.append((places + span.start, _part(state, places), start[places]))
        if not undecided:
            decide(0.0)
        return seen, decide if undecided else None

    def _glance_back(self) -> float:
        """What the rule sees in the kept state."""
        look_back = self.merger.look_back
        if look_back is None:
            return 0.0

        def of_parameter(name: str) -> float:
            return sum(look_back(_part(self._state[name], span)) for span, _ in self._starts(name))

        return sum(side_by_side(of_parameter, self.pretrained.parameters))

    def _from_state(self, take: Callable[[str], State]) -> dict[str, Tensor]:
        glance, model = self._glance_back(), self.new_model()

        def merge(name: str) -> None:
            state, result = take(name), room_for(model[name])
            for span, start in self._starts(name):
                block = MergeBlock(start, self.tasks, glance)
                result.view(-1)[span] = self.merger.apply(_part(state, span), block)
            self._settle(name, result, model[name])

        for _ in side_by_side(merge, self.pretrained.parameters):
            pass
        return model

    def _settle(self, name: str, written: Tensor, result: Tensor, suspects: Sequence[Task] = ()) -> None:
        if self.merger.whole_parameters and result.numel() > BLOCK_ELEMENTS:
            give_back_freed_memory()
        settle(name, written, result, suspects)

    def _starts(self, name: str) -> Iterator[tuple[slice, Tensor]]:
        return starts(self.pretrained, name, self.merger.whole_parameters)

    def _blocks(
        self, tasks: Sequence[Task], name: str, look_for_nan: bool = True
    ) -> Iterator[tuple[slice, Tensor, Iterator[TaskBlock]]]:
        merger = self.merger
        return task_blocks(self.pretrained, tasks, name, merger.seed, merger.whole_parameters, look_for_nan)

    def _zeros(self, like: Tensor) -> State:
        """The state before the first task, for 1-D θ_0."""
        return tuple(
            torch.zeros(len(like), dtype=dtype or working_dtype(like), device=like.device)
            for dtype in self.merger.state.values()
        )

    def _named_state(self) -> dict[str, Tensor]:
        return {
            f"{part_name}/{name}": part.view(self.pretrained.weights[name].shape)
            for name, state in self._state.items()
            for part_name, part in zip(self.merger.state, state, strict=True)
        }


def _part(state: State, places: slice | Tensor) -> State:
    return tuple(tensor[places] for tensor in state)
