"""Model Stock: the average of the models, as near to it as the angle between them says."""

from collections.abc import Iterable, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from cl_bench.mergers.engine.base import Merger
from cl_bench.mergers.engine.blocks import Array, MergeBlock, State, TaskBlock, sum_of_vectors

_PIECE = 2**14
"""Elements that torch adds up in one thread; a sum of such sums has the same bits with any number of threads."""

_BLOCK = 8 * _PIECE
"""Elements worked on at a time, where all tasks are there at once: whole pieces."""


class ModelStock(Merger):
    """Per parameter, the average task vector times t = T c / (1 + (T - 1) c).

    c is the cosine between two task vectors of the parameter, averaged over all pairs of tasks; a vector of
    zeros has the cosine 0. Task vectors that agree (c = 1) are averaged, and those at right angles (c = 0)
    leave the pre-trained weights. One task alone has t = 1.

    The sum of all pairs' cosines is (|Σ u_t|² - m) / 2, where u_t = τ_t / |τ_t| and m of the u_t are not 0. So
    the memory is two numbers and a count per element, and a copy of the largest parameter.

    Source: Jang, Yun and Han, "Model Stock", ECCV 2024, arXiv 2403.19522.

    Differs from the publication in: the paper takes all angles to be equal and does not say how they become one
    where there are more than two models; the mean of the cosines is what ``mergekit`` uses, too. Nor does it
    have c < 0, where t would lead away from the models; here t is 0. The authors' code was never published.

    Args:
        scaling: λ of the merged task vector, which the publication does not have.
    """

    state: ClassVar = {"sum": None, "directions": None, "moved": torch.int16}
    whole_parameters = True
    carries_nan = True

    def __init__(self, scaling: float = 1.0) -> None:
        super().__init__(scaling)

    def fold(self, state: State, block: TaskBlock) -> None:
        """sum ← sum + τ_t and, where τ_t is not 0, directions ← directions + τ_t / |τ_t|."""
        total, directions, moved = state
        total.add_(block.vector)
        length = _squared_length([block.vector]) ** 0.5
        if length > 0:
            directions.add_(block.vector / length)
            moved.add_(1)

    def combine(self, state: State, block: MergeBlock) -> Tensor:
        """sum · t / T."""
        total, directions, moved = state
        return total * self._share(block.tasks, int(moved[0]), [directions])

    def combine_at_once(self, pretrained: Array, weights: Sequence[Array], out: Array) -> None:
        """The same block by block, first all lengths, so that only the sum is as large as the parameter."""
        starts = torch.split(torch.from_numpy(pretrained), _BLOCK)
        models = [torch.split(torch.from_numpy(own), _BLOCK) for own in weights]
        lengths = [_squared_length(map(torch.sub, model, starts)) ** 0.5 for model in models]

        def directions() -> Iterable[Tensor]:
            for start, *own in zip(starts, *models, strict=True):
                total = torch.zeros_like(start)
                for part, length in zip(own, lengths, strict=True):
                    if length > 0:
                        total.add_((part - start).div_(length))
                yield total

        share = self._share(len(weights), sum(length > 0 for length in lengths), directions())
        for start in range(0, len(pretrained), _BLOCK):
            part = slice(start, start + _BLOCK)
            sum_of_vectors(pretrained[part], [own[part] for own in weights], out[part])
        out *= share

    def _share(self, tasks: int, moved: int, directions: Iterable[Tensor]) -> float:
        """t / T, from the number of tasks whose vector is not 0, and the sum of the directions in blocks."""
        if tasks == 1:
            return 1.0
        cosine = max(0.0, (_squared_length(directions) - moved) / (tasks * (tasks - 1)))
        return cosine / (1 + (tasks - 1) * cosine)


def _squared_length(blocks: Iterable[Tensor]) -> float:
    """Of a vector in blocks of whole pieces."""
    pieces = (piece for block in blocks for piece in torch.split(block, _PIECE))
    return sum(float(piece.double().square().sum()) for piece in pieces)
