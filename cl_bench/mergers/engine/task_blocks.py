"""A task's parameters as blocks: where they are cut, and what a rule is given of each."""

import hashlib
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from cl_bench.mergers.engine.blocks import TaskBlock, TaskVector, flat, spans, working_dtype
from cl_bench.mergers.engine.checks import check_values
from cl_bench.mergers.engine.pretrained import Pretrained, Task
from cl_bench.mergers.numerics.selection import places


def starts(pretrained: Pretrained, name: str, whole: bool = False) -> Iterator[tuple[slice, Tensor]]:
    """Cuts θ_0's values of one parameter into blocks.

    Args:
        pretrained: θ_0.
        name: The parameter's.
        whole: Whether the parameter is one block.

    Yields:
        Where the block is, and θ_0 there, 1-D, in the working type.
    """
    values = flat(pretrained.weights[name])
    everything = [slice(0, values.numel())] if values.numel() else []
    for span in everything if whole else spans(values.numel()):
        yield span, values[span].to(working_dtype(values))


def task_blocks(
    pretrained: Pretrained, tasks: Sequence[Task], name: str, seed: int, whole: bool, look_for_nan: bool
) -> Iterator[tuple[slice, Tensor, Iterator[TaskBlock]]]:
    """Cuts one parameter of several tasks into blocks.

    Args:
        pretrained: θ_0.
        tasks: In order.
        name: The parameter's.
        seed: The rule's.
        whole: Whether the parameter is one block.
        look_for_nan: Whether to look for NaN and infinity in tasks where nobody has yet.

    Yields:
        Where the block is, θ_0 there, and the block of each task, valid until the next one.
    """
    parameters = [_Parameter(task, name, pretrained.weights[name].shape, seed, look_for_nan) for task in tasks]
    for span, start in starts(pretrained, name, whole):
        vector = torch.empty_like(start)
        yield span, start, (parameter.block(span, start, vector) for parameter in parameters)


def task_vector(pretrained: Pretrained, task: Task) -> TaskVector:
    """The task vector of the whole model, to be walked through."""

    def blocks() -> Iterator[Tensor]:
        for name in pretrained.parameters:
            values, vector = flat(task.weights[name]), torch.empty(0)
            for span, start in starts(pretrained, name):
                vector = vector[: len(start)] if span.start else torch.empty_like(start)
                yield torch.sub(values[span].to(start), start, out=vector)

    def sample() -> Tensor:
        random, drawn = torch.Generator().manual_seed(0), []
        for name in pretrained.parameters:
            values, start = flat(task.weights[name]), flat(pretrained.weights[name])
            at = places(len(start), random).to(start.device)
            start = start[at].to(dtype)
            drawn.append(values[at.to(values.device)].to(start).sub_(start))
        return torch.cat(drawn) if drawn else torch.empty(0, dtype=dtype)

    wide = any(pretrained.weights[name].dtype == torch.float64 for name in pretrained.parameters)
    dtype = torch.float64 if wide else torch.float32
    return TaskVector(
        blocks=blocks,
        sample=sample,
        elements=pretrained.elements,
        frozen_parameters=pretrained.frozen_parameters,
        dtype=dtype,
        statistics=task.statistics,
    )


class _Parameter:
    """One parameter of one task, to be cut into blocks."""

    def __init__(self, task: Task, name: str, shape: torch.Size, seed: int, look_for_nan: bool) -> None:
        self._task, self._name, self._shape = task, name, shape
        self._values, self._generator = flat(task.weights[name]), task_generator(seed, task.number, name)
        self._look_for_nan = look_for_nan and not task.has_finite_values

    def block(self, span: slice, start: Tensor, vector: Tensor) -> TaskBlock:
        """Writes the task vector of a block into ``vector``, and names what else there is of it."""
        task, values = self._task, self._values[span]
        if self._look_for_nan:
            check_values(task.called, self._name, values)
        weights = values.to(start)
        torch.sub(weights, start, out=vector)
        left_behind = {key: _part(tensors.get(self._name), span, start) for key, tensors in task.statistics.items()}
        return TaskBlock(weights, vector, self._shape, task.number, task.glance, self._generator, left_behind)


def _part(statistic: Tensor | None, span: slice, like: Tensor) -> Tensor:
    """One block of a statistic; zeros where the parameter was not trained."""
    return torch.zeros_like(like) if statistic is None else flat(statistic)[span].to(like)


def task_generator(seed: int, task: int, parameter: str) -> torch.Generator:
    """A generator for one task and parameter, so that neither order nor interruption changes a draw."""
    digest = hashlib.sha256(f"{seed}/{task}/{parameter}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big"))
