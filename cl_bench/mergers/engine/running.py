"""The running merge: what a method has made of the tasks so far, and how models are walked through."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from cl_bench.mergers.engine.base import Merger, StackMerger
from cl_bench.mergers.engine.blocks import (
    BLOCK_ELEMENTS,
    Array,
    MergeBlock,
    Stack,
    State,
    TaskBlock,
    TaskVector,
    Weights,
    checked,
    flat,
    give_back_freed_memory,
    keep_freed_memory,
    spans,
    working_dtype,
)
from cl_bench.mergers.engine.checks import (
    check_kind,
    check_names,
    check_range,
    check_saved,
    check_task,
    check_values,
    is_finite,
    needed_statistics,
)
from cl_bench.mergers.engine.running_statistics import PREFIX, Averages, RunningStatistics, is_running_statistic
from cl_bench.mergers.numerics.side_by_side import side_by_side
from cl_bench.store.models import Model, weights_of


class _Task(NamedTuple):
    number: int
    what: str
    weights: Weights
    statistics: Mapping[str, Weights]
    values_checked: bool
    glance: float


class RunningMerge:
    """A merge that grows task by task, in memory that does not depend on their number.

    Args:
        merger: The method. Its ``scaling`` may be changed at any time; it only matters in ``merged``.
        pretrained: θ_0, kept by reference: it must not be changed while the merge runs.
        frozen_parameters: See ``Merger.merge``.
        running_statistics: See ``Merger.merge``.

    Raises:
        ValueError: ``pretrained`` has a complex, NaN or infinite parameter.
    """

    def __new__(
        cls,
        merger: Merger,
        pretrained: Model,
        frozen_parameters: int = 0,
        running_statistics: RunningStatistics = "pretrained",
    ) -> RunningMerge:
        """Of the kind that the method needs."""
        return super().__new__(merger.runs_as or cls)

    def __init__(
        self,
        merger: Merger,
        pretrained: Model,
        frozen_parameters: int = 0,
        running_statistics: RunningStatistics = "pretrained",
    ) -> None:
        if frozen_parameters < 0:
            raise ValueError(f"frozen_parameters must not be negative, but is {frozen_parameters}")
        self.merger = merger
        self._pretrained = dict(weights_of(pretrained))
        for name, tensor in self._pretrained.items():
            check_kind("pretrained", name, tensor)
            check_values("pretrained", name, tensor)
        self._frozen_parameters = frozen_parameters
        self._tasks = 0
        self._models: list[tuple[Weights, Mapping[str, Weights]]] = []  # of methods that see all tasks together
        keep_freed_memory()
        self._parameters = [
            name
            for name, tensor in self._pretrained.items()
            if tensor.is_floating_point() and not is_running_statistic(name)
        ]
        self._statistics = Averages(self._pretrained, running_statistics)

    @cached_property
    def _state(self) -> dict[str, State]:
        """The running state of each parameter; made when it is first needed."""
        return {name: self._zeros(self._pretrained[name], self._pretrained[name].numel()) for name in self._parameters}

    @property
    def tasks(self) -> int:
        """Number of tasks added."""
        return self._tasks

    @property
    def _merges_whole_parameters(self) -> bool:
        return isinstance(self.merger, StackMerger)

    @property
    def keeps_models(self) -> bool:
        """Whether the weights of all tasks are kept by reference: they had better be mapped from files."""
        return isinstance(self.merger, StackMerger)

    def add(self, weights: Model, statistics: Mapping[str, Model] = MappingProxyType({})) -> None:
        """Fold in the weights of one more task. Weights that are refused leave everything as it was.

        Args:
            weights: θ_t.
            statistics: What its training left behind: one tensor per name and parameter, of the
                parameter's shape unless ``Merger.fits`` says otherwise. Parameters that are not there,
                since they were not trained, have zeros.

        Raises:
            ValueError: Names or shapes differ from ``pretrained``, a value is NaN or infinite, or
                statistics that the method requires are missing.
        """
        task = self._task(self._tasks + 1, weights, statistics, values=True)
        if isinstance(self.merger, StackMerger):
            self._models.append((task.weights, task.statistics))
        else:
            state = self._state
            _exhaust(side_by_side(lambda name: _exhaust(self._folded(name, [task], state[name])), self._parameters))
        self._statistics.add(task.weights)
        self._tasks = task.number

    def all_at_once(
        self, models: Sequence[tuple[Model, Mapping[str, Model]]], on_progress: Callable[[float], None]
    ) -> dict[str, Tensor]:
        """What ``add`` of each and then ``merged`` give, bit for bit, but faster; nothing can be added to it.

        Walks over the parameters once, block by block, and over the tasks within each block: θ_0, state and
        result cross the memory once, not once per task, and the state of most methods is that of a block.

        Args:
            models: θ_t of each task, and what its training left behind.
            on_progress: Called with the share of the work that was just done.

        Raises:
            ValueError: As for ``add`` and ``merged``.
        """
        looks = isinstance(self.merger, StackMerger) or _own(self.merger, "look")
        share_of_looks, tasks = 0.5 if looks else 0.0, list[_Task]()

        def look(number: int) -> _Task:
            task = self._task(number, *models[number - 1], values=looks)
            return task._replace(values_checked=looks or self.merger.carries_nan)

        walk = side_by_side if looks else map
        for task in walk(look, range(1, len(models) + 1)):
            tasks.append(task)
            self._statistics.add(task.weights)
            on_progress(share_of_looks / len(models))
        self._tasks = len(tasks)
        elements = sum(self._pretrained[name].numel() for name in self._parameters)

        def tell(name: str) -> None:
            on_progress((1 - share_of_looks) * self._pretrained[name].numel() / max(elements, 1))

        def blame(name: str) -> None:
            for task in tasks:
                check_values(task.what, name, task.weights[name])

        return self._model(self._at_once(tasks), tell, blame)

    def _at_once(self, tasks: Sequence[_Task]) -> Callable[[str, Tensor], None]:
        """What writes a merged parameter, for the models of all tasks."""
        if isinstance(self.merger, StackMerger):
            self._models = [(task.weights, task.statistics) for task in tasks]
            return self._from_vectors()
        if _own(self.merger, "combine_at_once") and all(own.device.type == "cpu" for own in self._pretrained.values()):
            return partial(self._combined_at_once, tasks)
        # The state is made twice where it is looked back at, since that takes no memory.
        folded = ((state for _, _, state in self._folded(name, tasks)) for name in self._parameters)
        return partial(self._folded_and_combined, tasks, self._looked_back(folded))

    def _combined_at_once(self, tasks: Sequence[_Task], name: str, result: Tensor) -> None:
        """Write one parameter by the method's own way for all tasks together."""
        models = [flat(tensor) for tensor in (self._pretrained[name], *(task.weights[name] for task in tasks))]
        dtype = working_dtype(result)
        parts = [_array(tensor, dtype) if tensor.dtype == dtype else tensor for tensor in models]
        with np.errstate(all="ignore"):  # what is not finite is found in the result
            for span in self._spans(result.numel()):
                pretrained, *weights = (_array(part[span], dtype) for part in parts)
                block = result.view(-1)[span]
                merged = block if block.dtype == dtype else torch.empty_like(block, dtype=dtype)
                out = merged.numpy()
                self.merger.combine_at_once(pretrained, weights, out)
                if self.merger.scaling != 1:
                    out *= self.merger.scaling
                out += pretrained
                block.copy_(merged)

    def _folded_and_combined(self, tasks: Sequence[_Task], glance: float, name: str, result: Tensor) -> None:
        """Write one parameter block by block, with a state that lasts for the block."""
        self._apply(self._folded(name, tasks), glance, result)

    def _task(self, number: int, weights: Model, statistics: Mapping[str, Model], values: bool) -> _Task:
        """Check a task and look at it."""
        what, weights = f"finetuned (task {number})", weights_of(weights)
        check_task(what, weights, self._pretrained, values)
        self._statistics.check(what, weights)
        needed = self._needed_statistics(what, statistics)
        looks = _own(self.merger, "look")
        glance = self.merger.look(self._task_vector(weights, needed)) if looks else 0.0
        return _Task(number, what, weights, needed, values, glance)

    def _needed_statistics(self, what: str, statistics: Mapping[str, Model]) -> dict[str, Weights]:
        return needed_statistics(
            what, statistics, self.merger, {name: self._pretrained[name] for name in self._parameters}
        )

    def _folded(
        self, name: str, tasks: Sequence[_Task], kept: State | None = None
    ) -> Iterator[tuple[slice, Tensor, State]]:
        """Fold one parameter of the tasks into a kept state, or into one made anew.

        Yields:
            Of each block: where it is, θ_0 and the state.
        """
        pretrained, shape = flat(self._pretrained[name]), self._pretrained[name].shape
        values = [flat(task.weights[name]) for task in tasks]
        generators = [_generator(self.merger.seed, task.number, name) for task in tasks]
        for span in self._spans(pretrained.numel()):
            start = pretrained[span].to(working_dtype(pretrained))
            state = self._zeros(start, start.numel()) if kept is None else tuple(part[span] for part in kept)
            vector = torch.empty_like(start)
            for task, whole, generator in zip(tasks, values, generators, strict=True):
                if not task.values_checked:
                    check_values(task.what, name, whole[span])
                weights = whole[span].to(device=start.device, dtype=start.dtype)
                torch.sub(weights, start, out=vector)
                left_behind = {key: _part(own.get(name), span, weights) for key, own in task.statistics.items()}
                block = TaskBlock(weights, vector, shape, task.number, task.glance, generator, left_behind)
                self.merger.fold(state, block)
            yield span, start, state

    def _kept(self, name: str, state: State) -> Iterator[tuple[slice, Tensor, State]]:
        """Of each block of one parameter: where it is, θ_0 and the kept state."""
        pretrained = flat(self._pretrained[name])
        for span in self._spans(pretrained.numel()):
            yield span, pretrained[span].to(working_dtype(pretrained)), tuple(part[span] for part in state)

    def restart(self, weights: Weights) -> None:
        """Take these weights for what was merged so far; the next task is folded into them.

        Raises:
            ValueError: As for ``add``; or the method cannot, see ``Merger.restarts``.
        """
        if not self.merger.restarts:
            raise ValueError(f"{type(self.merger).__name__} cannot go on from other weights than it has merged")
        check_task("weights", weights, self._pretrained)
        self._statistics.check("weights", weights)
        self._statistics.restart(weights, self._tasks)
        for name, state in self._state.items():
            values = flat(weights[name])
            for span in self._spans(values.numel()):
                parts = tuple(part[span] for part in state)
                self.merger.restart(parts, values[span].to(parts[0].device, working_dtype(values)))

    def merged(self) -> dict[str, Tensor]:
        """The merged weights of all tasks so far, in new tensors; before the first task, θ_0.

        Raises:
            ValueError: A merged value leaves the range of the parameter's type.
        """
        if self._tasks == 0:
            return self._model(lambda name, result: result.copy_(self._pretrained[name]))
        return self._model(self._from_state(keep=True))

    def finish(self) -> dict[str, Tensor]:
        """What ``merged`` gives, in the room that the state makes for it: nothing can be added any more.

        Raises:
            ValueError: As for ``merged``.
        """
        return self._model(self._from_state(keep=False))

    def _from_state(self, keep: bool) -> Callable[[str, Tensor], None]:
        """What writes a merged parameter from the state, which is kept, or goes parameter by parameter."""
        if isinstance(self.merger, StackMerger):
            return self._from_vectors()
        glance = self._looked_back(self._states())
        state_of = self._state.__getitem__ if keep else self._state.pop
        return lambda name, result: self._apply(self._kept(name, state_of(name)), glance, result)

    def merged_with_each(self, scalings: Iterable[float]) -> Iterator[dict[str, Tensor]]:
        """``merged`` with each λ in turn, bit for bit; methods that merge whole parameters do it once."""
        if self._tasks and self._merges_whole_parameters:
            vectors = {name: vector(name) for vector in [self.vectors()] for name in self._parameters}
            for self.merger.scaling in scalings:
                yield self._model(self._writer(vectors.__getitem__))
        else:
            for self.merger.scaling in scalings:
                yield self.merged()

    def _model(
        self,
        write: Callable[[str, Tensor], object],
        done: Callable[[str], None] = lambda name: None,
        blame: Callable[[str], None] = lambda name: None,
    ) -> dict[str, Tensor]:
        """A model in new tensors: what is no parameter as in θ_0, and each parameter as ``write`` fills it.

        ``done`` is told of each parameter; ``blame`` may say what made one NaN or infinite. Whole parameters of all
        tasks are written one by one, since that takes the memory of one.
        """
        contiguous = torch.contiguous_format
        parameters = set(self._parameters)
        model = {
            name: torch.empty_like(tensor, memory_format=contiguous, requires_grad=False)
            if name in parameters
            else tensor.detach().clone(memory_format=contiguous)
            for name, tensor in self._pretrained.items()
        }
        for name, mean in self._statistics.means(self._tasks) if self._tasks else ():
            model[name].copy_(mean)

        def write_and_check(name: str) -> None:
            result = model[name]
            is_narrow = result.itemsize == 1  # in whose place stands a wide one, since a conversion may hide its limits
            wide = torch.empty_like(result, dtype=working_dtype(result)) if is_narrow else result
            write(name, wide)
            if self.merger.whole_parameters and result.numel() > BLOCK_ELEMENTS:
                give_back_freed_memory()
            if not is_finite(wide):
                blame(name)
                check_values("merged", name, wide)
            if is_narrow:
                check_range("merged", name, wide, result.dtype)
                result.copy_(wide)

        if self._merges_whole_parameters:
            for name in self._parameters:
                write_and_check(name)
                done(name)
        else:
            for name, _ in zip(self._parameters, side_by_side(write_and_check, self._parameters), strict=True):
                done(name)
        return model

    def _apply(self, blocks: Iterator[tuple[slice, Tensor, State]], glance: float, result: Tensor) -> None:
        """Write what the state of one parameter amounts to."""
        for span, pretrained, state in blocks:
            result.view(-1)[span] = self.merger.apply(state, MergeBlock(pretrained, self._tasks, glance))

    def vectors(self) -> Callable[[str], Tensor]:
        """What gives the merged task vector of a parameter, without λ, in the working type and a new tensor."""
        merger = self.merger
        if isinstance(merger, StackMerger):
            overview = merger.look_over(lambda: map(self._stack, self._parameters))

            def of_stack(name: str) -> Tensor:
                stack = self._stack(name, overview)
                what = f"{type(merger).__name__}.combine_stack"
                return checked(merger.combine_stack(stack), stack.pretrained.shape, what)

            return of_stack
        glance = self._looked_back(self._states())

        def vector(name: str) -> Tensor:
            whole = torch.empty_like(self._start(name))
            for span, pretrained, state in self._kept(name, self._state[name]):
                combined = merger.combine(state, MergeBlock(pretrained, self._tasks, glance))
                whole.view(-1)[span] = checked(combined, pretrained.shape, f"{type(merger).__name__}.combine")
            return whole

        return vector

    def _from_vectors(self) -> Callable[[str, Tensor], None]:
        """What writes a merged parameter, for a method that merges whole parameters."""
        return self._writer(self.vectors())

    def _writer(self, vector: Callable[[str], Tensor]) -> Callable[[str, Tensor], None]:
        def write(name: str, result: Tensor) -> None:
            result.copy_(vector(name).mul(self.merger.scaling).add_(self._start(name)))

        return write

    def _start(self, name: str) -> Tensor:
        """θ_0 of one parameter, in the working type."""
        # Contiguous, as the task vectors are: a sum over another layout has another order.
        return self._pretrained[name].detach().to(working_dtype(self._pretrained[name])).contiguous()

    def _stack(self, name: str, overview: Weights = MappingProxyType({})) -> Stack:
        models = [weights[name] for weights, _ in self._models]
        statistics = [{key: tensors.get(name) for key, tensors in own.items()} for _, own in self._models]
        return Stack(name, self._start(name), models, statistics, overview)

    def state_dict(self) -> dict[str, Tensor]:
        """A copy of the running state: ``tasks``, and ``<state>/<parameter>`` for each of both.

        A method that sees all tasks together has the models themselves instead, not copied: ``<task>/<name>``
        for weights and buffers, and ``<task>.<statistic>/<parameter>`` for what their training left behind.
        """
        named = {name: part.clone() for name, part in self._named_state().items()}
        for task, (weights, statistics) in enumerate(self._models, start=1):
            # Contiguous, since files know no other layout.
            named |= {f"{task}/{name}": weights[name].detach().contiguous() for name in self._pretrained}
            for key, tensors in statistics.items():
                named |= {f"{task}.{key}/{name}": tensor.detach().contiguous() for name, tensor in tensors.items()}
        sums = {name: total.clone() for name, total in self._statistics.state().items()}
        return {"tasks": torch.tensor(self._tasks), **named, **sums}

    def load_state_dict(self, state_dict: Weights) -> None:
        """Go on from where ``state_dict`` was taken, with the same method, settings and θ_0.

        Tensors of models that are kept whole are not copied, and must not be changed while the merge runs.

        Raises:
            ValueError: The names, shapes or types are not those of this merge, or a model's value is NaN or
                infinite.
        """
        check_names("state_dict", {"tasks"}, {"tasks"} & state_dict.keys())
        tasks, merged = int(state_dict["tasks"]), without_statistics(state_dict)
        self._statistics.check_state(state_dict)
        if isinstance(self.merger, StackMerger):
            self._models = self._saved_models(merged, tasks)
        else:
            self._check_state(merged)
            self._load_state(merged)
        self._statistics.load(state_dict)
        self._tasks = tasks

    def _load_state(self, state_dict: Weights) -> None:
        for name, part in self._named_state().items():
            part.copy_(state_dict[name])

    def _check_state(self, state_dict: Weights) -> None:
        own = self._named_state()
        check_names("state_dict", {"tasks", *own}, set(state_dict))
        for name, part in own.items():
            check_saved(name, state_dict[name], part)

    def _saved_models(self, state_dict: Weights, tasks: int) -> list[tuple[Weights, Mapping[str, Weights]]]:
        parts: dict[str, dict[str, Tensor]] = {
            part: {} for task in range(1, tasks + 1) for part in (str(task), *self._statistics_of(task))
        }
        for name in state_dict.keys() - {"tasks"}:
            part, _, tensor_name = name.partition("/")
            if part not in parts:
                raise ValueError(f"state_dict has the unknown {name!r}")
            parts[part][tensor_name] = state_dict[name]
        models: list[tuple[Weights, Mapping[str, Weights]]] = []
        for task in range(1, tasks + 1):
            what, weights = f"state_dict (task {task})", parts[str(task)]
            check_task(what, weights, self._pretrained)
            statistics: dict[str, Weights] = {key: parts[part] for part, key in self._statistics_of(task).items()}
            models.append((weights, self._needed_statistics(what, statistics)))
        return models

    def _statistics_of(self, task: int) -> dict[str, str]:
        return {f"{task}.{key}": key for key in sorted(self.merger.requires)}

    def _named_state(self) -> dict[str, Tensor]:
        return {
            f"{part_name}/{name}": part.view(self._pretrained[name].shape)
            for name, state in self._state.items()
            for part_name, part in zip(self.merger.state, state, strict=True)
        }

    def _task_vector(self, weights: Weights, statistics: Mapping[str, Weights]) -> TaskVector:
        def blocks() -> Iterator[Tensor]:
            for name in self._parameters:
                yield from self._vectors(name, weights[name])

        dtypes = {working_dtype(self._pretrained[name]) for name in self._parameters}
        return TaskVector(
            blocks=blocks,
            elements=sum(self._pretrained[name].numel() for name in self._parameters),
            frozen_parameters=self._frozen_parameters,
            dtype=torch.float64 if torch.float64 in dtypes else torch.float32,
            statistics=statistics,
        )

    def _vectors(self, name: str, weights: Tensor) -> Iterator[Tensor]:
        """Walk over the task vector of one parameter, in the working type."""
        pretrained, weights = flat(self._pretrained[name]), flat(weights)
        dtype, device = working_dtype(pretrained), pretrained.device
        scratch: Tensor | None = None
        for span in spans(pretrained.numel()):
            block = weights[span].to(device=device, dtype=dtype)
            scratch = torch.empty_like(block) if scratch is None else scratch[: block.numel()]
            yield torch.sub(block, pretrained[span].to(dtype), out=scratch)

    def _spans(self, elements: int) -> Iterator[slice]:
        if not self.merger.whole_parameters:
            yield from spans(elements)
        elif elements:
            yield slice(0, elements)

    def _zeros(self, like: Tensor, elements: int) -> State:
        return tuple(
            torch.zeros(elements, dtype=dtype or working_dtype(like), device=like.device)
            for dtype in self.merger.state.values()
        )

    def _states(self) -> Iterator[Iterator[State]]:
        """Of each parameter, its state block by block."""

        def in_blocks(state: State) -> Iterator[State]:  # bound to its own state, whenever it is walked through
            return (tuple(part[span] for part in state) for span in self._spans(state[0].numel()))

        return map(in_blocks, self._state.values())

    def _looked_back(self, states: Iterator[Iterator[State]]) -> float:
        """What the method sees in the whole state: the sum over blocks."""
        if not self.merger.looks_back:
            return 0.0
        return sum(side_by_side(lambda blocks: sum(map(self.merger.look_back, blocks)), list(states)))


def without_statistics(state_dict: Weights) -> dict[str, Tensor]:
    """A saved state without what the normalization layers' statistics add to it."""
    return {name: tensor for name, tensor in state_dict.items() if not name.startswith(PREFIX)}


def _own(merger: Merger, method: str) -> bool:
    """Whether the method has its own way of what mergers need not do."""
    return getattr(type(merger), method) is not getattr(Merger, method)


def _array(block: Array | Tensor, dtype: torch.dtype) -> Array:
    return block if isinstance(block, np.ndarray) else block.to("cpu", dtype).numpy()


def _exhaust(blocks: Iterator[object]) -> None:
    deque(blocks, maxlen=0)


def _part(tensor: Tensor | None, span: slice, like: Tensor) -> Tensor:
    return torch.zeros_like(like) if tensor is None else flat(tensor)[span].to(like.device, like.dtype)


def _generator(seed: int, task: int, parameter: str) -> torch.Generator:
    """A generator for one task and parameter, so that neither order nor interruption changes a draw."""
    digest = hashlib.sha256(f"{seed}/{task}/{parameter}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big"))
