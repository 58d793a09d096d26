"""What rules are given: tensors, one block or one parameter at a time, with what is known beside them.

Everything elementwise on blocks rounds once per operation (no fused multiply-add). A fused kernel rounds differently
in the vectorized body of a block and in its tail, so the result would depend on where the blocks end.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from cl_bench.mergers.numerics.selection import bracketed, kth_largest

Weights = Mapping[str, Tensor]
"""A model: the names of its parameters and buffers with their tensors."""

State = tuple[Tensor, ...]
"""The running state of a folding rule for one block, or for one parameter, in the order of ``Merger.state``."""

BLOCK_ELEMENTS = 2**19
"""Elements of one block: two megabytes in float32. A block and its temporaries fit into a shared cache, and still calls
take little of the time and files are read in long runs."""


class TaskBlock(NamedTuple):
    """One block of one parameter of the task that is being folded in; 1-D tensors of one length and type.

    Attributes:
        weights: The task's weights θ_t.
        vector: Its task vector τ_t = θ_t - θ_0. Both are valid during the call only and must not be changed.
        shape: The shape of the whole parameter.
        task: The number of the task, from 1.
        glance: What ``Merger.look`` returned for this task.
        generator: A random generator on the CPU for this task and parameter; it draws the same numbers whatever the
            block size.
        statistics: What the task's training left behind for this block, by name; see ``BaseMerger.requires``.
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
        pretrained: θ_0, 1-D, in the working type; must not be changed.
        tasks: Number of tasks in the state, at least 1.
        glance: What ``Merger.look_back`` returned, summed over all blocks.
    """

    pretrained: Tensor
    tasks: int
    glance: float


@dataclass(frozen=True)
class Stack:
    """One parameter in all tasks.

    Attributes:
        name: The name of the parameter.
        pretrained: θ_0, of the parameter's shape, in the working type; must not be changed.
        weights: θ_t of each task, in order, in the type of its file; must not be changed.
        statistics: What the training of each task left behind, see ``BaseMerger.requires``; None for a parameter that
            was not trained.
        overview: What ``StackMerger.look_over`` returned.
    """

    name: str
    pretrained: Tensor
    weights: Sequence[Tensor]
    statistics: Sequence[Mapping[str, Tensor | None]]
    overview: Weights = field(default_factory=dict)

    @cached_property
    def vectors(self) -> Tensor:
        """(T, *shape) task vectors in the order of the tasks, in the working type; the rule may change them."""
        vectors = self.pretrained.new_empty((len(self.weights), *self.pretrained.shape))
        for vector, weights in zip(vectors, self.weights, strict=True):
            torch.sub(weights.detach().to(self.pretrained), self.pretrained, out=vector)
        return vectors


@dataclass(frozen=True)
class TaskVector:
    """A whole task vector, which a rule may walk through block by block, as often as it needs.

    Attributes:
        blocks: Starts a new walk. A block is valid until the next one, and may be changed.
        sample: Draws one element in ``SAMPLED``, seeded, without a walk.
        elements: Number of elements of all parameters.
        frozen_parameters: Number of parameters of the published model that were not trained and are not here.
        dtype: The widest working type among the blocks.
        statistics: What the task's training left behind, by name and parameter; see ``BaseMerger.requires``.
    """

    blocks: Callable[[], Iterator[Tensor]]
    sample: Callable[[], Tensor]
    elements: int
    frozen_parameters: int
    dtype: torch.dtype
    statistics: Mapping[str, Weights]

    def kth_largest_magnitude(self, k: int) -> float:
        """The magnitude that k elements reach; k is from 1 to the number of elements."""

        def magnitudes() -> Iterator[Tensor]:
            return (block.abs_().to(self.dtype) for block in self.blocks())

        return kth_largest(magnitudes, k, self.dtype, bracketed(self.sample().abs_(), k / self.elements))


def working_dtype(tensor: Tensor) -> torch.dtype:
    """The type in which a tensor is merged: float64 stays, and everything narrower becomes float32."""
    return torch.float64 if tensor.dtype == torch.float64 else torch.float32


def spans(elements: int) -> Iterator[slice]:
    """Cuts ``elements`` into runs of at most ``BLOCK_ELEMENTS``."""
    for start in range(0, elements, BLOCK_ELEMENTS):
        yield slice(start, min(start + BLOCK_ELEMENTS, elements))


def flat(tensor: Tensor) -> Tensor:
    """The tensor in one dimension; a copy only where it is not contiguous."""
    return tensor.detach().reshape(-1)


def checked(answer: object, shape: torch.Size, method: str) -> Tensor:
    """Returns what a rule's method has returned.

    Raises:
        ValueError: It is no tensor of real numbers of that shape. PyTorch would spread another shape over it in
            silence.
    """
    if not isinstance(answer, Tensor):
        raise ValueError(f"{method} returns {type(answer).__name__}, not a tensor of shape {tuple(shape)}")
    if answer.shape != shape or answer.is_complex():
        kind = str(answer.dtype).removeprefix("torch.")
        raise ValueError(f"{method} returns {kind} of shape {tuple(answer.shape)}, not real numbers of {tuple(shape)}")
    return answer
