"""The merger: a fold over tasks, one tensor at a time."""

import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import ClassVar

import torch
from torch import Tensor

from cl_bench.mergers.blocks import (
    MergeBlock,
    Stack,
    State,
    TaskBlock,
    TaskVector,
    Weights,
    flat,
    is_finite,
    spans,
    working_dtype,
)


class Merger(ABC):
    """A rule by which task vectors τ_t = θ_t - θ_0 become one: θ = θ_0 + scaling · combined.

    A method names its running state, says how one block of it takes in one more task (``fold``) and
    what it amounts to (``combine``). It may look at the whole task vector before it is folded
    (``look``), and at the whole state before it is combined (``look_back``).

    Args:
        scaling: λ, by which the merged task vector is multiplied.

    Raises:
        ValueError: ``scaling`` is not finite.
    """

    requires: frozenset[str] = frozenset()
    """Statistics that a trainer must leave behind for this method, such as ``second_moments``."""

    state: ClassVar[Mapping[str, torch.dtype | None]]
    """The running state: one tensor per name and parameter, zero at first; None is the working type."""

    seed: int = 0
    """Seed of the random draws; methods without any ignore it."""

    restarts: bool = False
    """Whether the method can go on from weights that take the place of what it has merged so far."""

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

    def look_back(self, states: Iterator[State]) -> float:
        """Look at the whole state, block by block, before it is combined; ``combine`` gets the answer."""
        return 0.0

    @abstractmethod
    def combine(self, state: State, block: MergeBlock) -> Tensor:
        """The merged task vector of one block. The state may be returned itself, but not changed."""

    def apply(self, state: State, block: MergeBlock) -> Tensor:
        """The merged weights of one block, θ_0 + λ · combined, in the working type."""
        return self.combine(state, block).mul(self.scaling).add_(block.pretrained)

    def merge(
        self,
        pretrained: Weights,
        finetuned: Iterable[Weights],
        frozen_parameters: int = 0,
        statistics: Iterable[Mapping[str, Weights]] = (),
    ) -> dict[str, Tensor]:
        """Merge models into one, holding one of them at a time.

        Args:
            pretrained: θ_0. Buffers that are not floating-point pass through.
            finetuned: θ_1 to θ_T, in the order of the tasks; read once, so a generator that reads files
                will do.
            frozen_parameters: Parameters of the published model that were not trained and are not in
                ``pretrained``; only methods that count over the whole model ask for it.
            statistics: What each task's training left behind, by name, as ``requires`` says; read along
                with ``finetuned``.

        Returns:
            The merged weights in new tensors, with the types of ``pretrained``.

        Raises:
            ValueError: No model is given, names or shapes differ, a value is NaN or infinite, or
                statistics that the method requires are missing.
        """
        running, left_behind = RunningMerge(self, pretrained, frozen_parameters), iter(statistics)
        for weights in finetuned:
            running.add(weights, next(left_behind, {}))
            # Without this, two tasks' weights would be held while the iterable makes the next.
            del weights
        if running.tasks == 0:
            raise ValueError("finetuned is empty: there is nothing to merge")
        return running.merged()


class StackMerger(Merger):
    """A method that must see the values of all tasks together, one parameter at a time.

    The tasks' weights are kept by reference: where they are mapped from files, the memory is that of the
    largest parameter, once per task, and what the method itself needs.
    """

    state: ClassVar = {}

    @abstractmethod
    def combine_stack(self, stack: Stack) -> Tensor:
        """The merged task vector of one parameter, of its shape."""

    def fold(self, state: State, block: TaskBlock) -> None:
        """Nothing: the weights themselves are kept."""

    def combine(self, state: State, block: MergeBlock) -> Tensor:
        """Never called: ``combine_stack`` takes its place."""
        raise NotImplementedError


class RunningMerge:
    """A merge that grows task by task, in memory that does not depend on their number.

    Args:
        merger: The method. Its ``scaling`` may be changed at any time; it only matters in ``merged``.
        pretrained: θ_0, kept by reference: it must not be changed while the merge runs.
        frozen_parameters: See ``Merger.merge``.

    Raises:
        ValueError: ``pretrained`` has a complex, NaN or infinite parameter.
    """

    def __init__(self, merger: Merger, pretrained: Weights, frozen_parameters: int = 0) -> None:
        if frozen_parameters < 0:
            raise ValueError(f"frozen_parameters must not be negative, but is {frozen_parameters}")
        for name, tensor in pretrained.items():
            _check_values("pretrained", name, tensor)
        self.merger = merger
        self._pretrained = dict(pretrained)
        self._frozen_parameters = frozen_parameters
        self._tasks = 0
        self._models: list[tuple[Weights, Mapping[str, Weights]]] = []  # of methods that see all tasks together
        self._state: dict[str, State] = {
            name: tuple(
                torch.zeros(tensor.numel(), dtype=dtype or working_dtype(tensor), device=tensor.device)
                for dtype in merger.state.values()
            )
            for name, tensor in pretrained.items()
            if tensor.is_floating_point()
        }

    @property
    def tasks(self) -> int:
        """Number of tasks added."""
        return self._tasks

    def add(self, weights: Weights, statistics: Mapping[str, Weights] = MappingProxyType({})) -> None:
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
        task = self._tasks + 1
        what = f"finetuned (task {task})"
        self._check_task(what, weights)
        needed = self._needed(what, statistics)
        glance = self.merger.look(self._task_vector(weights, needed))
        for name, state in self._state.items():
            generator = _generator(self.merger.seed, task, name)
            for span, block_weights, vector in self._blocks(name, weights[name]):
                left_behind = {key: _part(tensors.get(name), span, block_weights) for key, tensors in needed.items()}
                block = TaskBlock(block_weights, vector, task, glance, generator, left_behind)
                self.merger.fold(tuple(part[span] for part in state), block)
        if isinstance(self.merger, StackMerger):
            self._models.append((weights, needed))
        self._tasks = task

    def restart(self, weights: Weights) -> None:
        """Take these weights for what was merged so far; the next task is folded into them.

        Raises:
            ValueError: As for ``add``; or the method cannot, see ``Merger.restarts``.
        """
        if not self.merger.restarts:
            raise ValueError(f"{type(self.merger).__name__} cannot go on from other weights than it has merged")
        self._check_task("weights", weights)
        for name, state in self._state.items():
            values = flat(weights[name])
            for span in spans(values.numel()):
                parts = tuple(part[span] for part in state)
                self.merger.restart(parts, values[span].to(parts[0].device, working_dtype(values)))

    def merged(self) -> dict[str, Tensor]:
        """The merged weights of all tasks so far, in new tensors; before the first task, θ_0.

        Raises:
            ValueError: A merged value leaves the range of the parameter's type.
        """
        merged = {
            name: tensor.detach().clone(memory_format=torch.contiguous_format)
            for name, tensor in self._pretrained.items()
        }
        if self._tasks == 0:
            return merged
        if isinstance(self.merger, StackMerger):
            for name in self._state:
                stack = self._stack(name)
                merged[name].copy_(self.merger.combine_stack(stack).mul(self.merger.scaling).add_(stack.pretrained))
                _check_values("merged", name, merged[name])
            return merged
        glance = self.merger.look_back(self._states())
        for name, state in self._state.items():
            result = merged[name].view(-1)
            for span in spans(result.numel()):
                pretrained = result[span].to(working_dtype(result))
                block = MergeBlock(pretrained, self._tasks, glance)
                result[span] = self.merger.apply(tuple(part[span] for part in state), block)
            _check_values("merged", name, result)
        return merged

    def _stack(self, name: str) -> Stack:
        pretrained = self._pretrained[name].detach().to(working_dtype(self._pretrained[name]))
        vectors = pretrained.new_empty((self._tasks, *pretrained.shape))
        for vector, (weights, _) in zip(vectors, self._models, strict=True):
            torch.sub(weights[name].detach().to(pretrained), pretrained, out=vector)
        statistics = [{key: tensors.get(name) for key, tensors in own.items()} for _, own in self._models]
        return Stack(name, pretrained, vectors, statistics)

    def state_dict(self) -> dict[str, Tensor]:
        """A copy of the running state: ``tasks``, and ``<state>/<parameter>`` for each of both."""
        named = {
            f"{part_name}/{name}": part.view(self._pretrained[name].shape).clone()
            for name, state in self._state.items()
            for part_name, part in zip(self.merger.state, state, strict=True)
        }
        return {"tasks": torch.tensor(self._tasks), **named}

    def load_state_dict(self, state_dict: Weights) -> None:
        """Go on from where ``state_dict`` was taken, with the same method, settings and θ_0.

        Raises:
            ValueError: The names, shapes or types are not those of this merge.
        """
        own = {
            f"{part_name}/{name}": part.view(self._pretrained[name].shape)
            for name, state in self._state.items()
            for part_name, part in zip(self.merger.state, state, strict=True)
        }
        _check_names("state_dict", {"tasks", *own}, set(state_dict))
        for name, part in own.items():
            saved = state_dict[name]
            if saved.shape != part.shape or saved.dtype != part.dtype:
                raise ValueError(
                    f"state_dict: {name!r} is {saved.dtype} of shape {tuple(saved.shape)}, "
                    f"but this merge has {part.dtype} of shape {tuple(part.shape)}"
                )
        for name, part in own.items():
            part.copy_(state_dict[name])
        self._tasks = int(state_dict["tasks"])

    def _check_task(self, what: str, weights: Weights) -> None:
        if not isinstance(weights, Mapping):
            raise ValueError(f"{what} must be a mapping of names to tensors, not {type(weights).__name__}")
        _check_names(what, set(self._pretrained), set(weights))
        for name, own in self._pretrained.items():
            tensor = weights[name]
            if tensor.shape != own.shape:
                raise ValueError(
                    f"{what}: {name!r} has shape {tuple(tensor.shape)}, but {tuple(own.shape)} in pretrained"
                )
            if name in self._state:
                _check_values(what, name, tensor)

    def _needed(self, what: str, statistics: Mapping[str, Weights]) -> dict[str, Weights]:
        if missing := sorted(self.merger.requires - statistics.keys()):
            raise ValueError(f"{what}: {type(self.merger).__name__} needs the statistics {_some(missing)}")
        needed = {key: statistics[key] for key in sorted(self.merger.requires)}
        for key, tensors in needed.items():
            for name, tensor in tensors.items():
                if name not in self._state or not self.merger.fits(tensor, self._pretrained[name]):
                    raise ValueError(f"{what}: {key} of {name!r}, of shape {tuple(tensor.shape)}, fit no parameter")
                _check_values(f"{what}: {key}", name, tensor)
        return needed

    def _task_vector(self, weights: Weights, statistics: Mapping[str, Weights]) -> TaskVector:
        def blocks() -> Iterator[Tensor]:
            for name in self._state:
                for _, _, vector in self._blocks(name, weights[name]):
                    yield vector

        dtypes = {working_dtype(self._pretrained[name]) for name in self._state}
        return TaskVector(
            blocks=blocks,
            elements=sum(self._pretrained[name].numel() for name in self._state),
            frozen_parameters=self._frozen_parameters,
            dtype=torch.float64 if torch.float64 in dtypes else torch.float32,
            statistics=statistics,
        )

    def _blocks(self, name: str, weights: Tensor) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """Walk over one parameter: span, weights and task vector of each block, in the working type."""
        pretrained, weights = flat(self._pretrained[name]), flat(weights)
        dtype, device = working_dtype(pretrained), pretrained.device
        scratch: Tensor | None = None
        for span in spans(pretrained.numel()):
            block = weights[span].to(device=device, dtype=dtype)
            scratch = torch.empty_like(block) if scratch is None else scratch[: block.numel()]
            yield span, block, torch.sub(block, pretrained[span].to(dtype), out=scratch)

    def _states(self) -> Iterator[State]:
        for state in self._state.values():
            for span in spans(state[0].numel()):
                yield tuple(part[span] for part in state)


def _part(tensor: Tensor | None, span: slice, like: Tensor) -> Tensor:
    return torch.zeros_like(like) if tensor is None else flat(tensor)[span].to(like.device, like.dtype)


def _check_names(what: str, expected: set[str], given: set[str]) -> None:
    missing, extra = sorted(expected - given), sorted(given - expected)
    if missing or extra:
        parts = [f"lacks {_some(missing)}"] * bool(missing) + [f"has the unknown {_some(extra)}"] * bool(extra)
        raise ValueError(f"{what} {' and '.join(parts)}")


def _some(names: list[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"


def _check_values(what: str, name: str, tensor: Tensor) -> None:
    if tensor.is_complex():
        raise ValueError(f"{what}: {name!r} is complex, only real parameters can be merged")
    if tensor.is_floating_point() and not is_finite(tensor):
        raise ValueError(f"{what}: {name!r} has a NaN or infinite value in {tensor.dtype}")


def _generator(seed: int, task: int, parameter: str) -> torch.Generator:
    """A generator for one task and parameter, so that neither order nor interruption changes a draw."""
    digest = hashlib.sha256(f"{seed}/{task}/{parameter}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big"))
