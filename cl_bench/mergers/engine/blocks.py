"""Models as runs of elements: what a merger's formula is given, one cache-sized block at a time.

Everything elementwise here is one rounding per operation (no fused multiply-add), because a fused
kernel rounds differently in the vectorised body of a block and in its tail, and then the result
would depend on where the blocks end.
"""

import ctypes
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Weights = Mapping[str, Tensor]
"""A model: parameter and buffer names with their tensors."""

Array: TypeAlias = NDArray[Any]
"""One block where all tasks are merged at once: NumPy rounds as torch does, and threads that call it wait less for each
other."""

State = tuple[Tensor, ...]
"""A method's running state for one block (or one parameter), in the order of ``Merger.state``."""

BLOCK_ELEMENTS = 2**19
"""Elements of one block: two megabytes in float32. Small enough that a block and its temporaries stay in a shared
cache, large enough that calls take little of the time, and that reading a file is not interrupted all the time."""


class TaskBlock(NamedTuple):
    """One block of one parameter in the task that is being added; 1-D tensors of one length and dtype.

    Attributes:
        weights: The task's weights θ_t.
        vector: Its task vector τ_t = θ_t - θ_0. Both are only valid during the call and may not be changed.
        shape: The shape of the whole parameter.
        task: The number of the task, from 1.
        glance: What ``Merger.look`` returned for this task.
        generator: CPU random generator of this task and parameter, in the same state whatever the block size.
        statistics: What the task's training left behind for this block, by name, as ``Merger.requires`` says.
    """

    weights: Tensor
    vector: Tensor
    shape: torch.Size
    task: int
    glance: float
    generator: torch.Generator
    statistics: Mapping[str, Tensor]


class MergeBlock(NamedTuple):
    """One block of one parameter while the merged weights are computed.

    Attributes:
        pretrained: θ_0, 1-D, in the working type; may not be changed.
        tasks: Number of tasks in the state, at least 1.
        glance: What ``Merger.look_back`` returned.
    """

    pretrained: Tensor
    tasks: int
    glance: float


@dataclass(frozen=True)
class Stack:
    """One parameter in all tasks, in the working type.

    Attributes:
        name: Of the parameter.
        pretrained: θ_0, of the parameter's shape; may not be changed.
        weights: θ_t of each task, in order, in whatever type; may not be changed.
        statistics: Per task, what its training left behind, as ``Merger.requires`` says; None where it was not
            trained.
        overview: What ``StackMerger.look_over`` returned.
    """

    name: str
    pretrained: Tensor
    weights: Sequence[Tensor]
    statistics: Sequence[Mapping[str, Tensor | None]]
    overview: Weights = field(default_factory=dict)

    @cached_property
    def vectors(self) -> Tensor:
        """(T, *shape) the task vectors, in the order of the tasks; the method's own, to be changed at will."""
        vectors = self.pretrained.new_empty((len(self.weights), *self.pretrained.shape))
        for vector, weights in zip(vectors, self.weights, strict=True):
            torch.sub(weights.detach().to(self.pretrained), self.pretrained, out=vector)
        return vectors


@dataclass(frozen=True)
class TaskVector:
    """A whole task vector, to be walked block by block as often as a method needs.

    Attributes:
        blocks: Called without arguments, walks over the task vector from its start. A block is only
            valid until the next one.
        elements: Elements of the vector, without integer buffers.
        frozen_parameters: Parameters of the published model that were not trained and are not here.
        dtype: The widest working type among its blocks.
        statistics: What the task's training left behind, by name and parameter, as ``Merger.requires`` says.
    """

    blocks: Callable[[], Iterator[Tensor]]
    elements: int
    frozen_parameters: int
    dtype: torch.dtype
    statistics: Mapping[str, Weights]


def working_dtype(tensor: Tensor) -> torch.dtype:
    """The type that merging computes in: float64 stays, everything narrower becomes float32."""
    return torch.float64 if tensor.dtype == torch.float64 else torch.float32


def spans(elements: int) -> Iterator[slice]:
    """Cut ``elements`` into runs of at most ``BLOCK_ELEMENTS``."""
    for start in range(0, elements, BLOCK_ELEMENTS):
        yield slice(start, min(start + BLOCK_ELEMENTS, elements))


def flat(tensor: Tensor) -> Tensor:
    """The tensor as one dimension, without a copy where it is contiguous."""
    return tensor.detach().reshape(-1)


def checked(answer: object, shape: torch.Size, what: str) -> Tensor:
    """What a method has returned, if it is a tensor of that shape; others might be spread over it in silence."""
    if not isinstance(answer, Tensor):
        raise ValueError(f"{what} returns {type(answer).__name__}, not a tensor of shape {tuple(shape)}")
    if answer.shape != shape or answer.is_complex():
        kind = str(answer.dtype).removeprefix("torch.")
        raise ValueError(f"{what} returns {kind} of shape {tuple(answer.shape)}, not real numbers of {tuple(shape)}")
    return answer


def sum_in_order(tensors: Tensor) -> Tensor:
    """The sum over the first dimension, one rounding at a time.

    ``tensors.sum(0)`` adds in another order where its vectorized body ends, and so where a thread's part ends.
    """
    total = tensors[0].clone()
    for tensor in tensors[1:]:
        total.add_(tensor)
    return total


def keep_freed_memory() -> None:
    """Let this process keep what temporaries of a block's size free, so that the next block need not ask for it.

    The C library of Linux otherwise gives such memory back to the system, which fills it with zeros before it
    is used again: that can take longer than merging. Having seen 28 MiB come and go, it keeps up to twice as much; of
    32 MiB or more it would learn nothing, and where huge pages are asked for, torch takes 2 MiB in addition.
    """
    torch.empty(28 * 2**20, dtype=torch.uint8)


def give_back_freed_memory() -> None:
    """Give all that is kept free back to the system: after a large parameter, it is in pieces that fit no other."""
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None:
        trim(0)


def sum_of_vectors(pretrained: Array, weights: Sequence[Array], out: Array) -> None:
    """Write the sum of all tasks' θ_t - θ_0, added up in their order."""
    np.subtract(weights[0], pretrained, out=out)
    vector = np.empty_like(out)
    for own in weights[1:]:
        out += np.subtract(own, pretrained, out=vector)
