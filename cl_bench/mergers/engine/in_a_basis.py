"""Mergers that let another rule merge weight matrices in directions that the tasks share."""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from cl_bench.mergers.engine.around import check_inner
from cl_bench.mergers.engine.base import BaseMerger
from cl_bench.mergers.engine.blocks import Stack, Weights
from cl_bench.mergers.engine.matrices import Matrices, check_matrices, is_fused_attention, parts_of
from cl_bench.mergers.engine.pretrained import Pretrained
from cl_bench.mergers.engine.stacking import StackMerger
from cl_bench.mergers.numerics.products import product
from cl_bench.mergers.numerics.side_by_side import side_by_side


class Basis(NamedTuple):
    """Directions for the task vectors (m, n) of one matrix. Everything is float64.

    Attributes:
        left: (m, k) with orthonormal columns.
        right: (n, l) likewise; None for the inputs as they are.
        units: (k,) the unit of each row of coordinates; None for 1.
    """

    left: Tensor
    right: Tensor | None = None
    units: Tensor | None = None

    def coordinates(self, vector: Tensor) -> Tensor:
        """leftᵀ · τ · right, divided by the units."""
        rows = product(self.left.T, vector.double())
        rows = rows if self.units is None else rows / self.units[:, None]
        return rows if self.right is None else product(rows, self.right)

    def zeros(self, like: Tensor) -> Tensor:
        """The coordinates of a task vector (m, n) of zeros, in its type."""
        return like.new_zeros(self.left.shape[1], like.shape[1] if self.right is None else self.right.shape[1])

    def vector(self, coordinates: Tensor) -> Tensor:
        """The task vector (m, n) that has these coordinates."""
        rows = coordinates.double()
        rows = rows if self.right is None else product(rows, self.right.T)
        return product(self.left, rows if self.units is None else rows * self.units[:, None])


class InABasis(StackMerger):
    """A rule around another, which merges coordinates in place of weight matrices: θ = θ_0 + λ · back(merged).

    For each matrix ``basis`` finds directions from all tasks. The inner rule is given each task's coordinates in them
    as a task's weights, with zeros as the pre-trained ones, and what it has merged is turned back. It merges all other
    parameters as they are, in a merge of their own, so that its trimming counts coordinates alone. What it counts over
    the whole model, it counts over what it is given, without ``frozen_parameters``.

    The tasks' weights are kept by reference. While merging, the memory is the bases in float64, one model, and what the
    inner rule keeps of coordinates: if it sees all tasks together, these are all tasks'.

    Args:
        of: The inner rule.
        scaling: λ, beside that of ``of``.
        split_qkv: See ``MatrixMerger``.
        matrices: See ``Matrices``.
        per_matrix: Whether the inner rule merges each matrix by itself, and not all of them together.

    Raises:
        ValueError: ``of`` is no merger, makes a model for each task, needs statistics of the training, or is itself
            around another rule.
    """

    kind = "around"  # type: ignore[assignment]  # though it keeps all models as a stacking rule does
    sees_tasks: ClassVar[bool] = True
    version: ClassVar[int] = 1

    def __init__(self, of: BaseMerger, scaling: float, split_qkv: bool, matrices: Matrices, per_matrix: bool) -> None:
        super().__init__(scaling)
        check_inner(of)
        check_matrices(matrices)
        name, inner = type(self).__name__, type(of).__name__
        if of.requires:
            raise ValueError(
                f"of must do without statistics of the training: {', '.join(sorted(of.requires))} of {inner} belong to "
                f"weights, and {name} gives it coordinates"
            )
        if of.inside:  # it may go by names and layers, which coordinates have not
            raise ValueError(f"of must not itself be around another rule; put {inner} around {name} instead")
        self.of = of
        self._split_qkv, self._matrices, self._per_matrix = split_qkv, matrices, per_matrix

    @property
    def inside(self) -> Sequence[BaseMerger]:
        """The inner rule."""
        return (self.of,)

    def check_tasks(self, parameters: Weights, tasks: int) -> None:
        """Nobody knows before merging how many coordinates the inner rule will be given."""

    @abstractmethod
    def basis(self, matrix: Stack) -> Basis:
        """Finds the directions for one matrix, of which ``matrix`` has θ_0 and all tasks' weights as (m, n)."""

    def look_over(self, stacks: Callable[[], Iterator[Stack]]) -> Weights:
        """Merges the whole model with the inner rule; returns each parameter's merged task vector by its name."""
        parameters = {stack.name: stack for stack in stacks()}
        parts = {name: self._parts(stack) for name, stack in parameters.items()}
        matrices = {part.name: part for own in parts.values() for part in own}
        names = list(matrices)
        # A copy of a stack, since each keeps the task vectors that were asked of it.
        found = side_by_side(lambda name: self.basis(replace(matrices[name])), names)
        bases = dict(zip(names, found, strict=True))
        rest = [name for name, own in parts.items() if not own]
        merged = dict[str, Tensor]()
        for group in [*([name] for name in names), rest] if self._per_matrix else [names, rest]:
            merged |= self._merged({name: matrices.get(name) or parameters[name] for name in group}, bases)

        def turned_back(name: str) -> Tensor:
            start, own = parameters[name].pretrained, parts[name]
            if not own:
                return merged[name]
            vectors = [bases[part.name].vector(merged[part.name]) for part in own]
            return torch.cat(vectors).to(start).view_as(start)

        return dict(zip(parameters, side_by_side(turned_back, list(parameters)), strict=True))

    def combine_stack(self, stack: Stack) -> Tensor:
        """What the inner rule has made of the parameter."""
        return stack.overview[stack.name]

    def _parts(self, stack: Stack) -> Sequence[Stack]:
        """The matrices in a parameter; none if it is merged as it is.

        Parts of fused attention have a name that no rule takes for fused attention again.
        """
        number = parts_of(stack.name, stack.pretrained, self._matrices, self._split_qkv)
        if number == 0:
            return ()
        fused = is_fused_attention(stack.name, stack.pretrained)
        starts, *of_tasks = (
            tensor.detach().contiguous().flatten(1).chunk(number)  # as a saved state has them
            for tensor in (stack.pretrained, *stack.weights)
        )
        return [
            Stack(f"{stack.name}.{part}.weight" if fused else stack.name, start, [own[part] for own in of_tasks], ())
            for part, start in enumerate(starts)
        ]

    def _merged(self, stacks: Mapping[str, Stack], bases: Mapping[str, Basis]) -> dict[str, Tensor]:
        """Lets the inner rule merge these matrices and parameters; returns coordinates, or task vectors, with its λ."""
        if not stacks:
            return {}
        names = list(stacks)

        def weights(task: int, name: str) -> Tensor:
            start, own = stacks[name].pretrained, stacks[name].weights[task]
            return bases[name].coordinates(own.to(start) - start).to(start) if name in bases else own

        def start(name: str) -> Tensor:
            pretrained = stacks[name].pretrained
            return bases[name].zeros(pretrained) if name in bases else pretrained

        running = self.of.begin(Pretrained({name: start(name) for name in names}))
        for task in range(len(stacks[names[0]].weights)):
            made = side_by_side(partial(weights, task), names)
            running.add(dict(zip(names, made, strict=True)))
        vector = running.vectors()
        return {name: vector(name).mul(self.of.scaling) for name in names}
